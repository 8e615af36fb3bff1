//! The town that the axe falls on: two accounts, each with a receiver of its own, automations of every kind, and crowds that send.
//!
//! `acme` may start as much as it likes: one request, two, two with a delay between them, a receiver that fails first, two automations
//! for one event, a receiver that refuses for good, notifications. `globex` is held back by its quota all the while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proto::dispatcher::v1::{Execution, ExecutionState, ListExecutionsRequest};
use proto::evaluator::v1::{Automation, Step};
use proto::event::v1::Event;
use proto::registry::v1::{CreateWebhookRequest, WebhookState};
use sluice_runtime::Shutdown;
use sluice_testkit::{Answer, Hit, Receiver};
use sluice_tests::crowd::{Client, Crowd, Heard};
use sluice_tests::ledgers::{Asked, Ledgers, Terms};
use sluice_tests::requests::{automation_webhook, deal, delay, event_webhook, noted, post, titled};
use sluice_tests::starts::Promise;
use sluice_tests::{ACCOUNT, House, OTHER_ACCOUNT, Person, SYSTEM_ACCOUNT, Setup, is_final, until, within};
use tokio::task::JoinHandle;

/// The plan `crowded`, on which `globex` is.
pub(super) const QUOTA: Promise = Promise { units: 1_200, per_seconds: 60, burst: 200 };
/// As the settings below have it. The lease is the timeout and fifteen seconds.
pub(super) const TERMS: Terms =
    Terms { first: 100_000, factor: 2.0, longest: 800_000, retries: Some(RETRIES), lease: 18_000_000 };
/// After so many failures a delivery of the account that fails first goes well: it has not one retry to spare.
const RETRIES: usize = 4;
/// Clients of `acme`.
const OF_ACME: usize = 12;
/// Clients of `globex`, each with a third of the events that a client of `acme` has, as long as its quota lets them all start in the
/// time that a run takes.
const OF_GLOBEX: usize = 4;
const MOST_OF_GLOBEX: usize = 1_250;
/// One of so many requests is answered only when all that are held are.
const HELD: usize = 25;
/// As many executions as a page has at most.
const WHOLE_PAGE: i32 = 1_000;
/// Between two times at which what is held is answered.
const RELEASED: Duration = Duration::from_millis(150);
/// How long what was accepted may take to its end, beyond what the quota holds back: the lease, and a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// The town.
pub(super) struct Town {
    /// The house on the deployment that the suite chose.
    pub(super) house: House,
    pub(super) acme: Arc<Receiver>,
    globex: Arc<Receiver>,
    /// Where plain requests go.
    pub(super) webhook: String,
}

/// The ledgers of both accounts, and what the crowds were told.
pub(super) struct Books {
    pub(super) acme: Ledgers,
    pub(super) globex: Ledgers,
    pub(super) told: [Heard; 2],
}

impl Town {
    /// Builds it.
    pub(super) async fn open(setup: Setup) -> Self {
        let (acme, globex) = (receiver().await, receiver().await);
        let setup = setup
            .outside()
            .on_plan("boundless")
            .with("dispatcher.retry.retries=4")
            .with("dispatcher.retry.first=100ms")
            .with("dispatcher.retry.factor=2.0")
            .with("dispatcher.retry.longest=800ms")
            .with("dispatcher.delivery.connect_timeout=3s")
            .with("dispatcher.delivery.first_byte_timeout=3s")
            .with("dispatcher.delivery.timeout=3s");
        let house = setup.open().await;
        let billing = house.people().billing();
        billing.put_entitlements(OTHER_ACCOUNT, "crowded", 1).await.expect("the plan should be taken");
        let own = |path: &str| automation_webhook(path, &acme.url(path));
        let mut hooks = Vec::new();
        for path in ["/plain", "/first", "/then", "/retry", "/left", "/right", "/gone"] {
            hooks.push(webhook(&house, ACCOUNT, own(path)).await);
        }
        let [plain, first, then, retry, left, right, gone] = &hooks[..] else { panic!("seven webhooks") };
        let rules = [
            titled("plain", [post(plain, "1")]),
            titled("steps", [post(first, "1"), post(then, "2")]),
            titled("delay", [post(first, "1"), delay(1), post(then, "2")]),
            titled("retry", [post(retry, "1")]),
            titled("twice", [post(left, "1")]),
            Automation { display_name: "twice, too".into(), ..titled("twice", [post(right, "1")]) },
            titled("gone", [post(gone, "1")]),
        ];
        for rule in rules {
            house.automation(rule).await;
        }
        let notes = webhook(&house, ACCOUNT, event_webhook("notes", &acme.url("/notes"), "note")).await;
        house.heard_of(&notes).await;
        let paced = webhook(&house, OTHER_ACCOUNT, automation_webhook("paced", &globex.url("/paced"))).await;
        fires(&house, OTHER_ACCOUNT, "paced", [post(&paced, "1")]).await;
        let webhook = plain.clone();
        Self { house, acme, globex, webhook }
    }

    /// Crowds that send so many events, together.
    pub(super) fn crowd(&self, events: usize, round: &str, seed: u64) -> [Crowd; 2] {
        let of_globex = (events / (3 * OF_ACME + OF_GLOBEX)).min(MOST_OF_GLOBEX);
        let of_acme = (events - OF_GLOBEX * of_globex) / OF_ACME;
        let people = self.house.people();
        let clients =
            |account: &str, count: usize, events: usize, at_once: usize, event: fn(&str) -> Event| {
                let clients = (0..count).map(|client| Client {
                    person: people.producer(account),
                    parent: format!("accounts/{account}"),
                    events: (0..events).map(|number| event(&format!("{round}{client}-{number}"))).collect(),
                    at_once,
                    seed: seed ^ (client as u64) << 32 ^ account.len() as u64,
                });
                Crowd::start(clients.collect())
            };
        [
            clients(ACCOUNT, OF_ACME, of_acme, 1, mixed),
            clients(OTHER_ACCOUNT, OF_GLOBEX, of_globex, of_globex * 3 / 5, |id| deal(id, "paced")),
        ]
    }

    /// Switches one webhook off and on again, as somebody might who is sure of nothing while processes come and go.
    pub(super) fn toggling(&self, stop: Shutdown) -> JoinHandle<()> {
        let (admin, webhook) = (self.house.admin(), self.webhook.clone());
        tokio::spawn(async move {
            while !stop.is_triggered() {
                let _away = admin.set_state(&webhook, WebhookState::Disabled).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                let _away = admin.set_state(&webhook, WebhookState::Enabled).await;
                let _stopped = stop.or(tokio::time::sleep(Duration::from_secs(1))).await;
            }
            while admin.set_state(&webhook, WebhookState::Enabled).await.is_err() {
                tokio::time::sleep(RELEASED).await;
            }
        })
    }

    /// The executions of `acme` that these automations brought about, without their attempts.
    pub(super) async fn of_automations(&self, names: &[&str]) -> Vec<Execution> {
        let every = ListExecutionsRequest { page_size: WHOLE_PAGE, ..Default::default() };
        let all = self.house.listed(every).await.into_iter();
        all.filter(|execution| names.contains(&execution.automation.as_str())).collect()
    }

    /// Waits until all is over, and closes the ledgers.
    pub(super) async fn settle(&self, told: [Heard; 2]) -> Books {
        let people = self.house.people();
        for account in [ACCOUNT, OTHER_ACCOUNT] {
            rests(&people.admin(account), &format!("accounts/{account}")).await;
        }
        let [mut acme, globex] = told;
        let gone = acme.asked.acknowledged.keys().chain(&acme.asked.doubtful);
        acme.asked.refused = gone.filter(|id| is_refused(id)).cloned().collect();
        let read = async |account: &str, receiver: &Receiver, told: &Heard| {
            let parent = format!("accounts/{account}");
            Ledgers::read_as(&people.admin(account), &parent, receiver, told.asked.clone(), TERMS).await
        };
        Books {
            acme: read(ACCOUNT, &self.acme, &acme).await,
            globex: read(OTHER_ACCOUNT, &self.globex, &globex).await,
            told: [acme, globex],
        }
    }

    /// Waits until all notices were told, and closes the ledgers of the system account: nobody was told that they were accepted.
    pub(super) async fn settle_notices(&self, operations: &Receiver) -> Ledgers {
        let (admin, parent) =
            (self.house.people().admin(SYSTEM_ACCOUNT), format!("accounts/{SYSTEM_ACCOUNT}"));
        rests(&admin, &parent).await;
        Ledgers::read_as(&admin, &parent, operations, Asked::default(), TERMS).await.unasked()
    }
}

/// Waits until two crowds have sent what they had; what each was told.
pub(super) async fn told(crowds: [Crowd; 2]) -> [Heard; 2] {
    let mut told = Vec::new();
    for crowd in crowds {
        told.push(crowd.done().await.into_iter().fold(Heard::default(), Heard::and));
    }
    told.try_into().expect("two crowds")
}

/// A receiver that answers as said above, and what it holds now and then.
async fn receiver() -> Arc<Receiver> {
    let receiver = Arc::new(Receiver::start().await);
    receiver.answer_with(answers());
    let held = Arc::downgrade(&receiver);
    tokio::spawn(async move {
        while let Some(receiver) = held.upgrade() {
            receiver.release();
            drop(receiver);
            tokio::time::sleep(RELEASED).await;
        }
    });
    receiver
}

/// At `/retry` 503 as often as retries are allowed, at most; at `/gone` 404; else 200, now and then late.
fn answers() -> impl FnMut(&Hit) -> Answer {
    let mut seen: HashMap<String, usize> = HashMap::new();
    move |hit| {
        let delivery = hit.header("webhook-id").to_owned();
        // As good as random, and the same for all attempts of a delivery.
        let fails = 1 + delivery.bytes().map(usize::from).sum::<usize>() % RETRIES;
        let answer = match hit.path() {
            "/retry" => {
                let before = seen.entry(delivery).or_default();
                *before += 1;
                Answer::status(if *before <= fails { 503 } else { 200 })
            }
            "/gone" => Answer::status(404),
            "/dying" => Answer::status(410),
            _ => Answer::status(200),
        };
        // A delivery without a retry to spare is never late.
        let late = hit.order.is_multiple_of(HELD) && hit.path() != "/retry";
        if late { answer.held() } else { answer }
    }
}

/// As good as random, and the same for the same id.
fn kind(id: &str) -> usize {
    id.bytes().fold(7_usize, |kind, byte| kind.wrapping_mul(31).wrapping_add(byte.into())) % 20
}

/// The event of a client of `acme` under this id.
fn mixed(id: &str) -> Event {
    match kind(id) {
        0..=7 => deal(id, "plain"),
        8..=10 => deal(id, "steps"),
        11 | 12 => deal(id, "delay"),
        13..=15 => deal(id, "retry"),
        16 => deal(id, "twice"),
        17 => deal(id, "gone"),
        _ => noted(id),
    }
}

/// Whether the event of this id goes to a receiver that refuses; of those that single tests send of their own, only some do.
fn is_refused(id: &str) -> bool {
    id.starts_with("dying-") || (kind(id) == 17 && !id.starts_with("off-") && !id.starts_with("fleeting-"))
}

async fn webhook(house: &House, account: &str, request: CreateWebhookRequest) -> String {
    let request = CreateWebhookRequest { parent: format!("accounts/{account}"), ..request };
    let admin = house.people().admin(account);
    until("the webhook is taken", async || {
        Some(admin.create_webhook(request.clone()).await.ok()?.webhook.expect("the webhook").name)
    })
    .await
}

/// Lets an automation of an account fire, as soon as the evaluator has heard of what it needs.
async fn fires(house: &House, account: &str, title: &str, steps: impl IntoIterator<Item = Step>) {
    let (admin, parent, rule) =
        (house.people().admin(account), format!("accounts/{account}"), titled(title, steps));
    let created =
        until("the automation is taken", async || admin.create_automation(&parent, rule.clone()).await.ok());
    admin.activate(&created.await.name).await.expect("the automation should be activated");
}

/// Waits until everything of an account is over. State after state is asked for first, which costs little; what moves from one to another
/// meanwhile can be missed by that however often it is asked, so everything is looked at once then.
async fn rests(admin: &Person, parent: &str) {
    use ExecutionState::{Paused, Queued, Running, Waiting};
    let of = |state: ExecutionState, page_size| ListExecutionsRequest {
        parent: parent.to_owned(),
        state: state.into(),
        page_size,
        ..Default::default()
    };
    within(PATIENCE, "every execution is over", async || {
        for state in [Paused, Queued, Waiting, Running] {
            match admin.list_executions(of(state, 1)).await {
                Ok(page) if page.executions.is_empty() => {}
                _ => {
                    tokio::time::sleep(RELEASED).await;
                    return None;
                }
            }
        }
        let all = admin.list_all_executions(of(ExecutionState::Unspecified, WHOLE_PAGE)).await.ok()?;
        all.iter().all(|execution| is_final(execution.state())).then_some(())
    })
    .await;
}
