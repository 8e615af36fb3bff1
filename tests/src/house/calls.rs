//! What tests do in a house again and again, as `acme`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::dispatcher::v1::{Execution, ExecutionState, GetQuotaRequest, ListExecutionsRequest};
use proto::evaluator::v1::{Automation, IngestEventResponse, IngestOutcome};
use proto::event::v1::Event;
use proto::registry::v1::CreateWebhookRequest;

use super::House;
use crate::people::{ACCOUNT, PARENT, SYSTEM_ACCOUNT};
use crate::requests::{self, post};
use crate::wait::{until, within};

/// What passes by itself once the evaluator has read the registry's feed.
const NOT_HEARD_YET: [&str; 5] =
    ["ACCOUNT_UNKNOWN", "PLAN_REQUIRED", "PLAN_LIMIT_EXCEEDED", "WEBHOOK_UNKNOWN", "UNAVAILABLE"];
/// Few enough for a handful of executions to take several pages.
const PAGE: i32 = 7;
/// As many as a page has at most.
const WHOLE_PAGE: i32 = 1_000;
/// For hundreds of executions on a machine that does other things besides.
const LONG: Duration = Duration::from_secs(120);
/// Between two looks at hundreds of executions.
const PACE: Duration = Duration::from_millis(200);

impl House {
    /// Puts `acme` on a plan; its version.
    pub async fn put_plan(&self, plan: &str) -> i64 {
        let version = self.versions.fetch_add(1, Ordering::Relaxed) + 1;
        let billing = self.people().billing();
        billing.put_entitlements(ACCOUNT, plan, version).await.expect("the plan should be taken");
        version
    }

    /// Puts `acme` on a plan, and waits until the dispatcher has taken in all that the registry had to tell by then.
    pub async fn dispatcher_heard(&self, plan: &str) {
        // Twice: the first may be part of the present state, which is not told in order; what comes after it is.
        for _ in 0..2 {
            let version = self.put_plan(plan).await;
            let admin = self.admin();
            until("the dispatcher has heard of the plan", async || {
                let asked = GetQuotaRequest { name: format!("{PARENT}/quota") };
                let quota = admin.quotas().get_quota(asked).await.ok()?.into_inner().quota?;
                (quota.entitlements_version >= version).then_some(())
            })
            .await;
        }
    }

    /// Registers a webhook as admin; its name and signing secret.
    pub async fn webhook(&self, request: CreateWebhookRequest) -> (String, String) {
        let created = self.admin().create_webhook(request).await.expect("the webhook should be taken");
        (created.webhook.expect("the webhook").name, created.signing_secret)
    }

    /// Gives the system account an event webhook that wants notices of this object; its name and signing secret.
    pub async fn operations_webhook(&self, url: &str, object: &str) -> (String, String) {
        let people = self.people();
        let billing = people.billing();
        billing.put_entitlements(SYSTEM_ACCOUNT, "essential", 1).await.expect("the plan should be taken");
        let parent = format!("accounts/{SYSTEM_ACCOUNT}");
        let request = CreateWebhookRequest { parent, ..requests::event_webhook("operations", url, object) };
        let admin = people.admin(SYSTEM_ACCOUNT);
        let created = admin.create_webhook(request).await.expect("the webhook should be taken");
        (created.webhook.expect("the webhook").name, created.signing_secret)
    }

    /// Creates an automation and lets it fire, as soon as the evaluator has heard of what it needs; its name.
    pub async fn automation(&self, automation: Automation) -> String {
        let admin = self.admin();
        let created = until("the evaluator has heard of the plan and the webhooks", async || {
            match admin.create_automation(PARENT, automation.clone()).await {
                Ok(created) => Some(created),
                Err(refusal) if NOT_HEARD_YET.contains(&refusal.reason.as_str()) => None,
                Err(refusal) => panic!("the automation should be taken: {refusal:?}"),
            }
        });
        let name = created.await.name;
        admin.activate(&name).await.expect("the automation should be activated");
        name
    }

    /// Waits until the evaluator has heard of an event webhook, and so of everything before it; needs a plan with automations.
    pub async fn heard_of(&self, event_webhook: &str) {
        let admin = self.admin();
        let probe = requests::automation("probe", [post(event_webhook, "{}")]);
        until("the evaluator has heard of the event webhook", async || {
            let refusal = admin.create_automation(PARENT, probe.clone()).await.err();
            let reason = refusal.expect("an event webhook is not for automations").reason;
            assert!(
                reason == "WEBHOOK_KIND_MISMATCH" || NOT_HEARD_YET.contains(&reason.as_str()),
                "{reason}"
            );
            (reason == "WEBHOOK_KIND_MISMATCH").then_some(())
        })
        .await;
    }

    /// Sends an event as the producer.
    pub async fn ingest(&self, event: Event) -> IngestEventResponse {
        self.producer().ingest(PARENT, event).await.expect("the event should be taken")
    }

    /// Sends an event that sets off exactly one execution; its name.
    pub async fn fires(&self, event: Event) -> String {
        let answer = self.ingest(event).await;
        assert_eq!(answer.outcome(), IngestOutcome::Accepted);
        the_execution(&answer)
    }

    /// Sends an event again and again until who was away takes it; the name of the one execution that it set off.
    pub async fn fires_once_taken(&self, event: Event) -> String {
        let producer = self.producer();
        let answer =
            until("the event is taken", async || match producer.ingest(PARENT, event.clone()).await {
                Ok(answer) => Some(answer),
                Err(refusal) if refusal.reason == "UNAVAILABLE" => None,
                Err(refusal) => panic!("the event should be taken: {refusal:?}"),
            });
        the_execution(&answer.await)
    }

    /// Reads an execution whole.
    pub async fn execution(&self, name: &str) -> Execution {
        self.admin().get_execution(name).await.expect("the execution should be there")
    }

    /// Waits until an execution is shown in this state.
    pub async fn shows(&self, name: &str, state: ExecutionState) -> Execution {
        let mut last = ExecutionState::Unspecified;
        let what = format!("{name} is {}", state.as_str_name());
        until(&what, async || {
            let seen = self.execution(name).await;
            last = seen.state();
            assert!(last == state || !is_final(last), "{} instead of {what}: {seen:?}", last.as_str_name());
            (last == state).then_some(seen)
        })
        .await
    }

    /// All executions, newest first, without their attempts.
    pub async fn history(&self) -> Vec<Execution> {
        self.listed(ListExecutionsRequest { page_size: PAGE, ..Default::default() }).await
    }

    /// All executions of `acme` that are asked for, newest first, without their attempts.
    pub async fn listed(&self, request: ListExecutionsRequest) -> Vec<Execution> {
        let request = ListExecutionsRequest { parent: PARENT.to_owned(), ..request };
        self.admin().list_all_executions(request).await.expect("the history should be readable")
    }

    /// How many executions are shown in this state.
    pub async fn count(&self, state: ExecutionState) -> usize {
        let request =
            ListExecutionsRequest { state: state.into(), page_size: WHOLE_PAGE, ..Default::default() };
        self.listed(request).await.len()
    }

    /// Waits until every execution is over, as long as a lease and a slow quota may take.
    pub async fn rests(&self) {
        within(LONG, "every execution is over", async || {
            // Each is looked at once: who asks state after state misses what moves from one to another meanwhile.
            let everything = ListExecutionsRequest { page_size: WHOLE_PAGE, ..Default::default() };
            let all = self.listed(everything).await;
            if all.iter().all(|execution| is_final(execution.state())) {
                return Some(());
            }
            tokio::time::sleep(PACE).await;
            None
        })
        .await;
    }

    /// Waits until every execution is over; all of them, newest first.
    pub async fn all_ended(&self) -> Vec<Execution> {
        until("every execution is over", async || {
            let all = self.history().await;
            all.iter().all(|execution| is_final(execution.state())).then_some(all)
        })
        .await
    }
}

/// A time of an answer in microseconds since the epoch.
pub fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.expect("the time should be there");
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}

/// The one execution that an event set off.
fn the_execution(answer: &IngestEventResponse) -> String {
    let [execution] = &answer.executions[..] else { panic!("one execution: {answer:?}") };
    execution.clone()
}

/// Whether nothing more happens by itself.
pub fn is_final(state: ExecutionState) -> bool {
    use ExecutionState::{Cancelled, Failed, Stopped, Succeeded};
    matches!(state, Succeeded | Failed | Stopped | Cancelled)
}
