//! What the cases are made of: a store on a fresh database, accounts with entitlements, events, reports.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;
use sluice_dispatcher::attempt::{Attempt, KeptAnswer, KeptHeader, Verdict};
use sluice_dispatcher::breaker::Standing;
use sluice_dispatcher::claim::{Claim, Finish, Lease, Reported};
use sluice_dispatcher::execution::{End, EndReason, EventSummary, Next, Snapshot, State};
use sluice_dispatcher::plan::{Delivery, Plan};
use sluice_dispatcher::retry::Schedule;
use sluice_dispatcher::store::{Acceptance, Accepted, NewEvent, NewExecution, Store, Work};
use sluice_domain::{
    AccountId, Action, AutomationId, DeliveryId, Entitlements, ExecutionId, Rate, Span, Timestamp, WebhookId,
};
use sluice_runtime::Entropy;
use sluice_storage::Query;
use sluice_testkit::TestDatabase;

/// Room for everything a case makes.
pub(crate) const ROOMY: usize = 100_000;

/// A store on a fresh database, with one account that everybody knows.
pub(crate) struct House {
    pub(crate) db: TestDatabase,
    pub(crate) store: Store,
    pub(crate) acme: AccountId,
    /// Whether the case prunes, so that executions and receipts no longer go with one another.
    pub(crate) prunes: AtomicBool,
}

impl House {
    pub(crate) async fn open(db: TestDatabase) -> Self {
        let store = open(db.database().clone()).await;
        Self { db, store, acme: account("acme"), prunes: AtomicBool::new(false) }
    }

    /// The same tables through other connections, as a second process or after a restart would.
    pub(crate) async fn another_store(&self) -> Store {
        open(self.db.reconnect().await).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.db.time.now()
    }

    pub(crate) async fn advance(&self, span: Span) -> Timestamp {
        self.db.time.advance(span).await
    }

    /// Puts entitlements of acme in force.
    pub(crate) async fn entitle(&self, entitlements: Entitlements) {
        assert!(self.store.apply_entitlements(&self.acme, &entitlements).await.unwrap());
    }

    /// What the registry says of a webhook: disabled by hand, or enabled. Whether that changed anything.
    pub(crate) async fn put_gate(&self, webhook: WebhookId, revision: i64, closed: bool) -> bool {
        let standing = by_hand(closed);
        self.store.put_webhook(&self.acme, webhook, revision, standing).await.unwrap()
    }

    pub(crate) async fn accept(&self, events: &[NewEvent], room: usize) -> Accepted {
        self.store.accept(events, room).await.unwrap()
    }

    /// Accepts events without room, so that all of it waits, and says the ids.
    pub(crate) async fn queue(&self, events: &[NewEvent]) -> Vec<ExecutionId> {
        let accepted = self.accept(events, 0).await;
        assert!(accepted.claims.is_empty());
        accepted.answers.iter().flat_map(accepted_ids).collect()
    }

    /// Accepts one event that starts at once.
    pub(crate) async fn start(&self, event: NewEvent) -> Claim {
        let mut claims = self.accept(&[event], ROOMY).await.claims;
        assert_eq!(claims.len(), 1, "it starts at once");
        claims.remove(0)
    }

    pub(crate) async fn claim(&self, room: usize) -> Vec<Claim> {
        self.store.claim(&self.acme, room).await.unwrap().claims
    }

    /// Claims what must be one delivery.
    pub(crate) async fn claim_one(&self) -> Claim {
        let mut claims = self.claim(ROOMY).await;
        assert_eq!(claims.len(), 1, "one delivery is ready");
        claims.remove(0)
    }

    pub(crate) async fn report(&self, finish: Finish) -> Reported {
        self.store.finish(&[finish]).await.unwrap()[0]
    }

    pub(crate) async fn record(&self, finish: Finish) {
        assert_eq!(self.report(finish).await, Reported::Recorded);
    }

    pub(crate) async fn shown(&self, id: ExecutionId) -> Snapshot {
        self.store.execution(&self.acme, id).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, id: ExecutionId) -> State {
        self.shown(id).await.state
    }

    /// How it ended.
    pub(crate) async fn end(&self, id: ExecutionId) -> End {
        match self.state(id).await {
            State::Ended(end, _) => end,
            other => panic!("{id} has not ended: {other:?}"),
        }
    }

    /// A number out of the tables.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.db.database().read().one(sql, vec![]).await.unwrap().unwrap().at(0).unwrap()
    }

    /// Units of rate and allowance that acme's row says are used.
    pub(crate) async fn wake(&self) -> Option<Timestamp> {
        self.store.next_wake().await.unwrap().1
    }
}

async fn open(database: sluice_storage::Database) -> Store {
    Store::open(database, Entropy::system(), lease(), Schedule::default()).await.unwrap()
}

pub(crate) fn lease() -> Lease {
    Lease::for_timeout(Span::from_secs(15))
}

pub(crate) fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

pub(crate) fn automation(number: u8) -> AutomationId {
    AutomationId::from_bytes([number; 16])
}

pub(crate) fn webhook(number: u8) -> WebhookId {
    WebhookId::from_bytes([number; 16])
}

pub(crate) fn secs(seconds: i64) -> Span {
    Span::from_secs(seconds)
}

/// Units a minute with a burst, for automations; notifications a thousand at once.
pub(crate) fn plan(version: i64, units: u32, burst: u32) -> Entitlements {
    Entitlements {
        version,
        plan: "advanced".into(),
        automations: true,
        active_automations: 50,
        steps: 10,
        delays: 10,
        executions: Rate { units, per: secs(60), burst },
        allowance: None,
        notifications: Rate { units: 60, per: secs(60), burst: 1_000 },
        max_waiting: 1_000_000,
        history: secs(86_400),
    }
}

/// More than any case uses.
pub(crate) fn unlimited(version: i64) -> Entitlements {
    plan(version, 1_000_000, 1_000_000)
}

/// The next of all numbers: ids made later sort later.
fn next() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn new_id() -> ExecutionId {
    ExecutionId::mint(Timestamp::from_micros(1_767_225_600_000_000 + next() * 1_000), [0; 10])
}

pub(crate) fn delivery(webhook_number: u8, delay: Span) -> Delivery {
    let number = next();
    Delivery {
        id: DeliveryId::mint(Timestamp::from_micros(1_767_225_600_000_000 + number * 1_000), [0; 10]),
        webhook: webhook(webhook_number),
        delay,
        ordered: false,
        method: "POST".into(),
        url_suffix: format!("deals/{number}?x=%20"),
        headers: vec![("x-own".into(), "1".into())],
        content_type: "application/json".into(),
        body: Bytes::from(format!("{{\"number\":{number}}}")),
    }
}

/// An execution of an automation with these steps: the webhook and the delay before it.
pub(crate) fn steps(automation_number: u8, steps: &[(u8, Span)]) -> NewExecution {
    let deliveries = steps.iter().map(|(webhook, delay)| delivery(*webhook, *delay)).collect();
    NewExecution {
        id: new_id(),
        automation: Some(automation(automation_number)),
        automation_version: 7,
        generation: 1,
        work: Work::Deliver(Plan { deliveries }.into()),
    }
}

/// An execution of an automation with one request.
pub(crate) fn run(automation_number: u8, webhook_number: u8) -> NewExecution {
    steps(automation_number, &[(webhook_number, Span::ZERO)])
}

/// An event webhook's notification.
pub(crate) fn notification(webhook_number: u8) -> NewExecution {
    NewExecution { automation: None, generation: 0, automation_version: 0, ..run(0, webhook_number) }
}

/// An execution whose templates were rejected.
pub(crate) fn rejected() -> NewExecution {
    NewExecution { work: Work::Rejected("the path has a dot segment".into()), ..run(1, 1) }
}

/// An event of an account that sets these off.
pub(crate) fn event_of(account: &AccountId, id: &str, executions: Vec<NewExecution>) -> NewEvent {
    NewEvent {
        account: account.clone(),
        event: EventSummary {
            id: id.into(),
            object: "deal".into(),
            action: Action::Updated,
            record_id: "42".into(),
            occurred_at: Timestamp::from_micros(1_767_000_000_000_000),
            actor: Some("u1".into()),
            cause: None,
        },
        digest: [1; 32],
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        executions,
    }
}

/// An event of acme that sets these off.
pub(crate) fn event(id: &str, executions: Vec<NewExecution>) -> NewEvent {
    event_of(&account("acme"), id, executions)
}

/// Events of acme that set off one execution each, of automation 1 towards webhook 1.
pub(crate) fn events(prefix: &str, count: usize) -> Vec<NewEvent> {
    (0..count).map(|at| event(&format!("{prefix}{at}"), vec![run(1, 1)])).collect()
}

pub(crate) fn ids_of(events: &[NewEvent]) -> Vec<ExecutionId> {
    events.iter().flat_map(|event| event.executions.iter().map(|execution| execution.id)).collect()
}

pub(crate) fn claimed(claims: &[Claim]) -> Vec<ExecutionId> {
    claims.iter().map(|claim| claim.execution).collect()
}

fn accepted_ids(answer: &Acceptance) -> Vec<ExecutionId> {
    match answer {
        Acceptance::Accepted(ids) => ids.clone(),
        other => panic!("not accepted: {other:?}"),
    }
}

/// The attempt of a claim as its owner reports it.
pub(crate) fn attempt(claim: &Claim, verdict: Verdict) -> Attempt {
    let status = if verdict == Verdict::Succeeded { 204 } else { 503 };
    Attempt {
        step: claim.step,
        number: claim.attempt,
        verdict,
        started_at: claim.claimed_at,
        ended_at: None,
        duration: Span::from_millis(12),
        url_path: "/hook/deals/1?x=%20".into(),
        request_headers: vec![
            KeptHeader("x-own".into(), Some("1".into())),
            KeptHeader("authorization".into(), None),
        ],
        answer: Some(KeptAnswer {
            status,
            headers: vec![KeptHeader("server".into(), Some("test".into()))],
            body: b"\x00seen".to_vec(),
            truncated: false,
        }),
        error: String::new(),
    }
}

pub(crate) fn report(claim: &Claim, attempt: Option<Attempt>, next: Next) -> Finish {
    let (account, contact) = (claim.account.clone(), claim.contact(1));
    Finish { account, claim: claim.standing(), attempt, next, contact }
}

/// It went well and was the last.
pub(crate) fn success(claim: &Claim) -> Finish {
    report(claim, Some(attempt(claim, Verdict::Succeeded)), Next::End(End::succeeded()))
}

/// It went well and another follows.
pub(crate) fn advance(claim: &Claim) -> Finish {
    let next = &claim.plan.deliveries[claim.step + 1];
    let next = Next::Advance { after: next.delay, webhook: next.webhook, ordered: next.ordered };
    report(claim, Some(attempt(claim, Verdict::Succeeded)), next)
}

/// It is to be tried again after that long.
pub(crate) fn retry(claim: &Claim, after: Span) -> Finish {
    report(claim, Some(attempt(claim, Verdict::Retried)), Next::Retry(after))
}

/// It failed for good.
pub(crate) fn failure(claim: &Claim) -> Finish {
    let end = End::failed(EndReason::RefusedByReceiver, "the receiver answered 400");
    report(claim, Some(attempt(claim, Verdict::Failed)), Next::End(end))
}

/// It was not dialled.
pub(crate) fn hand_back(claim: &Claim, after: Span) -> Finish {
    report(claim, None, Next::HandBack(after))
}

/// How a webhook stands that somebody has disabled, or has not.
pub(crate) const fn by_hand(disabled: bool) -> Standing {
    if disabled { Standing::DisabledByHand } else { Standing::Enabled }
}
