//! The refusals that matter, and what is let through once it is in order.

use anyhow::Context;
use proto::evaluator::v1::ActivateAutomationRequest;

use super::super::requests::{automation, automation_webhook, entitlements, event_webhook};
use super::Script;

/// A private address, as somebody might try it.
const PRIVATE: &str = "https://10.0.0.1/";
/// A public target, for calls that are refused for another reason.
const PUBLIC: &str = "https://shop.example.com/hooks/";

impl Script<'_> {
    pub(super) async fn refusals(&mut self) -> anyhow::Result<()> {
        let (client, cast) = (self.client, self.cast);
        self.story.chapter("What is refused");
        client.put_entitlements(&cast.billing, entitlements("essential", 1)).await?;
        self.story.line("Billing puts the account `demo` on the plan essential.");
        let wanted = || automation_webhook("Shop: deals won", PUBLIC);
        let answer = client.create_webhook(&cast.admin, wanted()).await;
        self.trial("automation webhook on the plan essential", "PLAN_REQUIRED", answer);

        client.put_entitlements(&cast.billing, entitlements("advanced", 2)).await?;
        self.story.line("Billing puts it on advanced: 100 executions at once and 100 a minute.");
        let answer = client.create_webhook(&cast.member, wanted()).await;
        self.trial("automation webhook by a member", "GLOBAL_ADMIN_REQUIRED", answer);
        let private = automation_webhook("Internal", PRIVATE);
        let answer = client.create_webhook(&cast.admin, private).await;
        self.trial("automation webhook to the private address 10.0.0.1", "TARGET_FORBIDDEN", answer);
        let answer = client.create_webhook(&cast.stranger, wanted()).await;
        self.trial("automation webhook with another account's token", "PERMISSION_DENIED", answer);
        let answer = client.create_webhook(&cast.forger, wanted()).await;
        self.trial("automation webhook with a token signed by a wrong key", "UNAUTHENTICATED", answer);
        Ok(())
    }

    /// Registers the webhooks, tries the wrong kind, and returns the name of the one for automations.
    pub(super) async fn targets(&mut self, endpoint: &str) -> anyhow::Result<String> {
        let (client, cast) = (self.client, self.cast);
        self.story.chapter("A webhook and an automation");
        let created =
            client.create_webhook(&cast.admin, automation_webhook("Shop: deals won", endpoint)).await?;
        self.receiver.add_secret(&created.signing_secret).await?;
        let webhook = created.webhook.context("the answer holds no webhook")?.name;
        self.story.line(format_args!("The admin creates an automation webhook to {endpoint}"));
        self.story.line("and gives its signing secret to the receiver.");

        let regular = client.create_webhook(&cast.member, event_webhook("Notes", endpoint)).await?;
        self.receiver.add_secret(&regular.signing_secret).await?;
        let regular = regular.webhook.context("the answer holds no webhook")?.name;
        let answer = self
            .once_heard("the evaluator has heard of the plan and the webhooks", async || {
                client.create_automation(&cast.admin, automation(&regular)).await
            })
            .await?;
        self.trial("automation that names an event webhook", "WEBHOOK_KIND_MISMATCH", answer);
        Ok(webhook)
    }

    pub(super) async fn automation(&mut self, webhook: &str) -> anyhow::Result<()> {
        let (client, cast) = (self.client, self.cast);
        let created = self
            .once_heard("the evaluator has heard of the automation webhook", async || {
                client.create_automation(&cast.admin, automation(webhook)).await
            })
            .await??;
        let name = created.automation.context("the answer holds no automation")?.name;
        client.activate_automation(&cast.admin, ActivateAutomationRequest { name }).await?;
        self.story.line("The admin creates and activates an automation:");
        self.story.line("  when a deal is updated and deal.stage has changed to `won`,");
        self.story.line("  POST deals/{{ deal.id }}/won with a JSON body from a template.");
        Ok(())
    }
}
