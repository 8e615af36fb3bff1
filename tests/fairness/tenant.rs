//! Accounts with webhooks of their own, and an automation for each that tells it of an event by its id.

use std::collections::HashMap;

use proto::dispatcher::v1::{GetQuotaRequest, Quota};
use proto::evaluator::v1::IngestOutcome;
use proto::evaluator::v1::batch_ingest_events_result::Answer;
use proto::registry::v1::WebhookState;
use sluice_tests::requests::{automation_webhook, deal, post, titled};
use sluice_tests::{House, Person, until};

/// One account.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    account: String,
    admin: Person,
    producer: Person,
    /// The names of its webhooks, by title.
    webhooks: HashMap<String, String>,
}

impl Tenant {
    /// An account on a plan without bounds, with a webhook for each of these titles of deals, at its URL.
    pub(crate) async fn new(house: &House, account: &str, webhooks: &[(&str, String)]) -> Self {
        Self::on_plan(house, account, "boundless", webhooks).await
    }

    /// The same on another plan.
    pub(crate) async fn on_plan(
        house: &House,
        account: &str,
        plan: &str,
        webhooks: &[(&str, String)],
    ) -> Self {
        let people = house.people();
        people.billing().put_entitlements(account, plan, 1).await.unwrap();
        let (admin, parent) = (people.admin(account), format!("accounts/{account}"));
        let mut names = HashMap::new();
        for (title, url) in webhooks {
            let mut request = automation_webhook(title, url);
            request.parent.clone_from(&parent);
            let webhook = until("the registry takes the webhook", async || {
                admin.create_webhook(request.clone()).await.ok()
            });
            let name = webhook.await.webhook.unwrap().name;
            let automation = titled(title, [post(&name, "{{ event.id }}")]);
            let created = until("the evaluator has heard of the plan and the webhook", async || {
                admin.create_automation(&parent, automation.clone()).await.ok()
            });
            admin.activate(&created.await.name).await.unwrap();
            names.insert((*title).to_owned(), name);
        }
        Self { account: account.to_owned(), admin, producer: people.producer(account), webhooks: names }
    }

    /// Enables or disables a webhook.
    pub(crate) async fn set_state(&self, title: &str, state: WebhookState) {
        self.admin.set_state(&self.webhooks[title], state).await.unwrap();
    }

    /// What it may start, and how much waits.
    pub(crate) async fn quota(&self) -> Quota {
        let request = GetQuotaRequest { name: format!("accounts/{}/quota", self.account) };
        self.admin.quotas().get_quota(request).await.unwrap().into_inner().quota.unwrap()
    }

    /// Sends one event of this title; it is accepted when this returns.
    pub(crate) async fn send(&self, id: &str, title: &str) {
        let parent = format!("accounts/{}", self.account);
        let answer = self.producer.ingest(&parent, deal(id, title)).await.unwrap();
        assert_eq!(answer.outcome(), IngestOutcome::Accepted);
    }

    /// Sends so many, in batches.
    pub(crate) async fn flood(&self, count: usize, title: &str) {
        let parent = format!("accounts/{}", self.account);
        let numbers: Vec<usize> = (0..count).collect();
        for batch in numbers.chunks(500) {
            let events = batch.iter().map(|number| deal(&format!("{title}-{number}"), title)).collect();
            for result in self.producer.ingest_batch(&parent, events).await.unwrap() {
                let Some(Answer::Response(response)) = result.answer else { panic!("{result:?}") };
                assert_eq!(response.outcome(), IngestOutcome::Accepted);
            }
        }
    }
}
