//! Three ledgers of one run, held against one another: what the producer was told, what the receivers saw, what the history has.
//!
//! Who is here:
//! - [`Asked`]: the producer's, of one account: what was acknowledged, what is in doubt, what was asked to end;
//! - [`Hit`]s of the receiver, and the history as the API shows it;
//! - [`Terms`]: what the deployment promised, to judge by;
//! - [`Ledgers`]: the three, closed. [`Ledgers::violations`] is a plain reading of I1 to I7 of reliability.md, [`Ledgers::stuck`] of
//!   I11; I8 is [`crate::starts`], I13 is [`Ledgers::standing_at`] for each kill.

mod attempts;
mod outcomes;
#[cfg(test)]
mod planted;
mod promises;
mod standing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use proto::dispatcher::v1::{
    Attempt, AttemptOutcome, Delivery, Execution, ExecutionState, ListExecutionsRequest,
};
use sluice_testkit::{Hit, Receiver};
use tokio::task::JoinSet;

use crate::house::{House, micros};
use crate::people::{PARENT, Person};

pub use standing::Standing;

/// Reads of single executions under way at once.
const READERS: usize = 8;
/// Executions a page.
const PAGE: i32 = 1_000;

/// What a producer asked of an account, and what it was told.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The executions that each event was acknowledged with.
    pub acknowledged: BTreeMap<String, Vec<String>>,
    /// Events without an answer: they were accepted or not.
    pub doubtful: BTreeSet<String>,
    /// Executions that somebody asked to end before they were over.
    pub ended: BTreeSet<String>,
    /// Events whose receiver refuses for good.
    pub refused: BTreeSet<String>,
}

/// What a deployment promises of retries and leases, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The mean delay before the first retry.
    pub first: i64,
    /// What each further one is multiplied by.
    pub factor: f64,
    /// The longest mean delay.
    pub longest: i64,
    /// How many retries follow the first attempt; `None` where it is not judged.
    pub retries: Option<usize>,
    /// How long a claim holds.
    pub lease: i64,
}

/// One request as a receiver saw it.
#[derive(Debug, Clone)]
struct Seen {
    /// The delivery, and the number of the attempt.
    key: Key,
    path: String,
    /// When it was whole.
    at: i64,
}

/// A delivery and the number of an attempt.
type Key = (String, i32);

/// The ledgers, closed: every execution is over.
#[derive(Debug)]
pub struct Ledgers {
    asked: Asked,
    hits: Vec<Seen>,
    /// When each attempt was seen first.
    seen: HashMap<Key, i64>,
    history: Vec<Execution>,
    terms: Terms,
}

impl Terms {
    /// The same mean delay before each retry, as many as may be.
    pub const fn of_retries(mean: i64) -> Self {
        Self { first: mean, factor: 1.0, longest: mean, retries: None, lease: 0 }
    }
}

impl Ledgers {
    /// Reads the receivers' hits and the whole history of `acme`. `retry_after` is the mean delay of the deployment's retries in
    /// microseconds.
    pub async fn read(
        house: &House,
        receiver: &Receiver,
        acknowledged: BTreeMap<String, Vec<String>>,
        retry_after: i64,
    ) -> Self {
        let asked = Asked { acknowledged, ..Asked::default() };
        Self::read_as(&house.admin(), PARENT, receiver, asked, Terms::of_retries(retry_after)).await
    }

    /// The same of any account, whose receiver nobody else has.
    pub async fn read_as(
        admin: &Person,
        parent: &str,
        receiver: &Receiver,
        asked: Asked,
        terms: Terms,
    ) -> Self {
        let history = history(admin, parent).await;
        Self::closed(asked, receiver.hits().iter().map(seen).collect(), history, terms)
    }

    /// The same where nobody was told what was accepted: whatever is there may be there, once.
    #[must_use]
    pub fn unasked(mut self) -> Self {
        self.asked.doubtful =
            self.history.iter().map(|execution| promises::event_of(execution).to_owned()).collect();
        self
    }

    fn closed(asked: Asked, hits: Vec<Seen>, history: Vec<Execution>, terms: Terms) -> Self {
        // The latest is put first, so that the first stays.
        let seen = hits.iter().rev().map(|hit| (hit.key.clone(), hit.at)).collect();
        Self { asked, hits, seen, history, terms }
    }

    /// When the executions of automations started, in microseconds.
    pub fn starts(&self) -> Vec<i64> {
        let charged = self.history.iter().filter(|execution| !execution.automation.is_empty());
        charged.filter(|execution| execution.start_time.is_some()).map(|e| micros(e.start_time)).collect()
    }

    /// When those were accepted, and when they started.
    pub fn waits(&self) -> Vec<(i64, i64)> {
        let charged = self.history.iter().filter(|execution| !execution.automation.is_empty());
        let started = charged.filter(|execution| execution.start_time.is_some());
        started.map(|execution| (micros(execution.create_time), micros(execution.start_time))).collect()
    }

    /// The outcomes of a delivery's attempts that hit this path.
    pub fn outcomes_at(&self, path: &str) -> Vec<AttemptOutcome> {
        let attempts = self.attempts();
        let at = self.hits.iter().filter(|hit| hit.path == path);
        at.filter_map(|hit| attempts.get(&hit.key).map(|attempt| attempt.outcome())).collect()
    }

    /// How many attempts came out so.
    pub fn count(&self, outcome: AttemptOutcome) -> usize {
        self.deliveries().flat_map(|delivery| &delivery.attempts).filter(|a| a.outcome() == outcome).count()
    }

    /// What breaks I1 to I7 of reliability.md, a line each. Nothing is cut off or made again but what was under way at one of the
    /// `kills`, times in microseconds.
    pub fn violations(&self, kills: &[i64]) -> Vec<String> {
        let mut found = Vec::new();
        self.kept(&mut found);
        self.asked_for(&mut found);
        self.once(&mut found);
        self.hits_and_attempts(kills, &mut found);
        for execution in &self.history {
            for delivery in &execution.deliveries {
                self.numbers(delivery, &mut found);
                self.used_no_retry(execution, delivery, &mut found);
            }
            attempts::times(execution, &mut found);
            self.seen_in_time(execution, &mut found);
        }
        found
    }

    fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.history.iter().flat_map(|execution| &execution.deliveries)
    }

    fn attempts(&self) -> BTreeMap<Key, &Attempt> {
        self.deliveries()
            .flat_map(|delivery| delivery.attempts.iter().map(|a| ((delivery.id.clone(), a.number), a)))
            .collect()
    }
}

/// Every execution of an account, whole.
async fn history(admin: &Person, parent: &str) -> Vec<Execution> {
    let request = ListExecutionsRequest { parent: parent.to_owned(), page_size: PAGE, ..Default::default() };
    let listed = admin.list_all_executions(request).await.expect("the history should be readable");
    let mut names = listed.into_iter().map(|execution| execution.name);
    let (mut reading, mut history) = (JoinSet::new(), Vec::new());
    loop {
        while reading.len() < READERS
            && let Some(name) = names.next()
        {
            let admin = admin.clone();
            reading.spawn(async move { admin.get_execution(&name).await.expect("the execution") });
        }
        match reading.join_next().await {
            Some(read) => history.push(read.expect("the read should not panic")),
            None => return history,
        }
    }
}

/// The delivery and the attempt that a hit says it is.
fn seen(hit: &Hit) -> Seen {
    let number = hit.header("sluice-attempt").parse().expect("a number");
    Seen {
        key: (hit.header("webhook-id").to_owned(), number),
        path: hit.path().to_owned(),
        at: hit.at.as_micros(),
    }
}

impl fmt::Display for Ledgers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use AttemptOutcome::{Failed, FailedRetryable, Interrupted, Succeeded};
        let executions: usize = self.asked.acknowledged.values().map(Vec::len).sum();
        let ended = |state| self.history.iter().filter(|execution| execution.state() == state).count();
        write!(
            f,
            "acknowledged: {} events, {executions} executions, {} in doubt; history: {} executions, {} succeeded, {} failed, {} \
             stopped or cancelled; hits: {}, {} of them made again; attempts: {} succeeded, {} to be retried, {} failed, {} \
             interrupted",
            self.asked.acknowledged.len(),
            self.asked.doubtful.len(),
            self.history.len(),
            ended(ExecutionState::Succeeded),
            ended(ExecutionState::Failed),
            ended(ExecutionState::Stopped) + ended(ExecutionState::Cancelled),
            self.hits.len(),
            self.made_again(),
            self.count(Succeeded),
            self.count(FailedRetryable),
            self.count(Failed),
            self.count(Interrupted),
        )
    }
}
