//! Making events of notices: each becomes an event of the system account for those of its webhooks that want it, once, also after a
//! restart. It waits while the registry's feed is not followed, and so nobody knows who they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_domain::{AccountId, DeliveryId, ExecutionId, Span, WebhookId};
use sluice_runtime::{Clock, Entropy, Shutdown};
use sluice_storage::StorageError;
use sluice_telemetry::TraceContext;
use tokio::sync::watch;

use super::Accepting;
use crate::notice::{Notice, Subscriber};
use crate::plan::{Delivery, Plan};
use crate::store::{Acceptance, NewEvent, NewExecution, Store, Unsent, Work};

/// How often it looks for what another replica left, and for what there was no room for.
const POLL: Duration = Duration::from_secs(5);

/// Who is told of notices, as the registry has said last. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Subscribers(watch::Sender<Heard>);

/// What was heard of them.
#[derive(Debug, Default)]
struct Heard {
    all: BTreeMap<WebhookId, Subscriber>,
    /// Whether the feed is followed.
    live: bool,
}

impl Subscribers {
    /// These are all there are, and what changes is heard from now on.
    pub fn replace(&self, all: BTreeMap<WebhookId, Subscriber>) {
        self.0.send_replace(Heard { all, live: true });
    }

    /// A webhook is one of them from now on, or none.
    pub fn put(&self, webhook: WebhookId, subscriber: Option<Subscriber>) {
        self.0.send_modify(|Heard { all, .. }| {
            match subscriber {
                Some(subscriber) => all.insert(webhook, subscriber),
                None => all.remove(&webhook),
            };
        });
    }

    /// The feed is followed from where it broke off, or is not followed any more.
    pub fn follow(&self, live: bool) {
        self.0.send_modify(|heard| heard.live = live);
    }

    /// Waits until they are known.
    async fn known(&self) {
        let mut changes = self.0.subscribe();
        // The sender lives as long as this borrows it.
        let _known = changes.wait_for(|heard| heard.live).await;
    }

    /// Who wants a notice.
    fn of(&self, notice: &Notice) -> Vec<(WebhookId, Subscriber)> {
        let heard = self.0.borrow();
        let wanting = heard.all.iter().filter(|(_, subscriber)| notice.is_wanted_by(subscriber));
        wanting.map(|(webhook, subscriber)| (*webhook, subscriber.clone())).collect()
    }
}

/// What making events of notices needs.
pub struct Notifying {
    /// Where they are on record.
    pub store: Store,
    /// Who wants them.
    pub subscribers: Subscribers,
    /// Who accepts the events.
    pub accepting: Accepting,
    /// The process's time.
    pub clock: Clock,
    /// For ids.
    pub entropy: Entropy,
}

impl Notifying {
    /// Runs until shutdown.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            if shutdown.or(self.subscribers.known()).await.is_none() {
                return;
            }
            match shutdown.or(self.pass()).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(error = %error, cause = ?error, "notices wait: the database does not answer");
                }
            }
            tokio::select! {
                () = self.store.notices_come() => {}
                () = tokio::time::sleep(POLL) => {}
                () = shutdown.triggered() => return,
            }
        }
    }

    /// Makes events of what there is, oldest first, as far as it is taken.
    async fn pass(&self) -> Result<(), StorageError> {
        loop {
            let unsent = self.store.unsent_notices().await?;
            let mut done = Vec::with_capacity(unsent.len());
            for Unsent { place, notice } in &unsent {
                match self.send(notice).await {
                    Ok(true) => done.push(*place),
                    Ok(false) => break,
                    Err(error) if error.is_transient() => return Err(error),
                    // It keeps none from those behind it.
                    Err(error) => {
                        tracing::error!(notice.id = %notice.id, error = %error, cause = ?error, "a notice can't be stored as an event");
                    }
                }
            }
            if done.is_empty() {
                return Ok(());
            }
            self.store.notices_sent(&done).await?;
            if done.len() < unsent.len() {
                return Ok(());
            }
        }
    }

    /// Makes an event of a notice, if somebody wants it. Says whether that is done.
    async fn send(&self, notice: &Notice) -> Result<bool, StorageError> {
        let wanted = self.subscribers.of(notice);
        if wanted.is_empty() {
            return Ok(true);
        }
        let Ok(answer) = self.accepting.accept(self.event(notice, wanted)).await else { return Ok(false) };
        match answer? {
            Acceptance::Accepted(_) | Acceptance::Repeated(_) => Ok(true),
            Acceptance::BacklogFull { waiting, max_waiting } => {
                tracing::warn!(
                    waiting,
                    max_waiting,
                    "notices wait: as much of the system account waits as may"
                );
                Ok(false)
            }
            Acceptance::IdReused => {
                tracing::error!(notice.id = %notice.id, notice.kind = notice.news.kind(), "a notice is left out: its id is taken");
                Ok(true)
            }
        }
    }

    fn event(&self, notice: &Notice, wanted: Vec<(WebhookId, Subscriber)>) -> NewEvent {
        let (now, body) = (self.clock.now(), notice.body());
        let execution = |(webhook, subscriber): (WebhookId, Subscriber)| {
            let delivery = Delivery {
                id: DeliveryId::mint(now, self.entropy.bytes()),
                webhook,
                delay: Span::ZERO,
                ordered: subscriber.ordered,
                method: "POST".to_owned(),
                url_suffix: String::new(),
                headers: Vec::new(),
                content_type: "application/json".to_owned(),
                body: body.clone(),
            };
            NewExecution {
                id: ExecutionId::mint(now, self.entropy.bytes()),
                automation: None,
                automation_version: 0,
                generation: 0,
                work: Work::Deliver(Arc::new(Plan { deliveries: vec![delivery] })),
            }
        };
        NewEvent {
            account: AccountId::system(),
            event: notice.event(),
            digest: notice.digest(),
            traceparent: TraceContext::root(false).to_string(),
            executions: wanted.into_iter().map(execution).collect(),
        }
    }
}
