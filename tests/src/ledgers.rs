//! Three ledgers of one run, held against one another: what the producer was told, what the receivers saw, what the history has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use proto::dispatcher::v1::{Attempt, AttemptOutcome, Delivery, Execution, ExecutionState};
use sluice_testkit::{Hit, Receiver};
use tokio::task::JoinSet;

use crate::house::{House, micros};
use proto::dispatcher::v1::ListExecutionsRequest;

/// Reads of single executions under way at once.
const READERS: usize = 8;
/// Executions a page.
const PAGE: i32 = 100;
/// What jitter may take off a retry's delay.
const JITTER: f64 = 0.2;

/// The ledgers, closed: every execution is over.
#[derive(Debug)]
pub struct Ledgers {
    /// The executions that each event was acknowledged with.
    acknowledged: BTreeMap<String, Vec<String>>,
    hits: Vec<Hit>,
    history: Vec<Execution>,
    /// The mean delay of a retry in microseconds, the same for each.
    retry_after: i64,
}

/// What stood at one moment, and what for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Executions that had not started.
    pub paused: usize,
    /// Those between two deliveries.
    pub delayed: usize,
    /// Those between two attempts of a delivery.
    pub retrying: usize,
    /// Attempts under way.
    pub on_the_wire: usize,
}

impl Ledgers {
    /// Reads the receivers' hits and the whole history. `retry_after` is the mean delay of the deployment's retries in microseconds.
    pub async fn read(
        house: &House,
        receiver: &Receiver,
        acknowledged: BTreeMap<String, Vec<String>>,
        retry_after: i64,
    ) -> Self {
        let admin = house.admin();
        let list = house.listed(ListExecutionsRequest { page_size: PAGE, ..Default::default() }).await;
        let mut names = list.into_iter().map(|execution| execution.name);
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
                None => break,
            }
        }
        Self { acknowledged, hits: receiver.hits(), history, retry_after }
    }

    /// When the executions of automations started, in microseconds.
    pub fn starts(&self) -> Vec<i64> {
        let charged = self.history.iter().filter(|execution| !execution.automation.is_empty());
        charged.map(|execution| micros(execution.start_time)).collect()
    }

    /// The outcomes of a delivery's attempts that hit this path.
    pub fn outcomes_at(&self, path: &str) -> Vec<AttemptOutcome> {
        let attempts = self.attempts();
        let at = self.hits.iter().filter(|hit| hit.path() == path);
        at.filter_map(|hit| attempts.get(&key(hit)).map(|attempt| attempt.outcome())).collect()
    }

    /// What stood at a time, in microseconds, as the history has it.
    pub fn standing_at(&self, time: i64) -> Standing {
        let mut standing = Standing::default();
        for execution in self.history.iter().filter(|execution| micros(execution.create_time) <= time) {
            if micros(execution.start_time) > time {
                standing.paused += 1;
                continue;
            }
            let attempts = || execution.deliveries.iter().flat_map(|delivery| &delivery.attempts);
            let under_way =
                |attempt: &&Attempt| micros(attempt.start_time) <= time && micros(attempt.end_time) > time;
            standing.on_the_wire += attempts().filter(under_way).count();
            let ended = |attempt: &Attempt| micros(attempt.end_time) <= time;
            let between = |first: Option<&Attempt>, then: Option<&Attempt>| {
                first.is_some_and(ended) && then.is_some_and(|then| micros(then.start_time) > time)
            };
            let steps = execution.deliveries.windows(2);
            let mut delays = steps.map(|pair| between(pair[0].attempts.last(), pair[1].attempts.first()));
            let mut retries = execution.deliveries.iter().flat_map(|delivery| delivery.attempts.windows(2));
            standing.delayed += usize::from(delays.any(|between| between));
            standing.retrying += usize::from(retries.any(|pair| between(pair.first(), pair.last())));
        }
        standing
    }

    /// How many attempts came out so.
    pub fn count(&self, outcome: AttemptOutcome) -> usize {
        self.deliveries().flat_map(|delivery| &delivery.attempts).filter(|a| a.outcome() == outcome).count()
    }

    /// What breaks I1 to I6 of reliability.md, a line each. Nothing is cut off or made again but what was under way at one of the
    /// `kills`, times in microseconds.
    pub fn violations(&self, kills: &[i64]) -> Vec<String> {
        let mut found = Vec::new();
        self.promises(&mut found);
        self.hits_and_attempts(kills, &mut found);
        for delivery in self.deliveries() {
            self.numbers(delivery, &mut found);
        }
        for execution in &self.history {
            times(execution, &mut found);
        }
        found
    }

    /// I1, I2, I3: what was acknowledged is there, was delivered, and nothing else is there; an event has one set.
    fn promises(&self, found: &mut Vec<String>) {
        let there: BTreeMap<&str, &Execution> =
            self.history.iter().map(|execution| (execution.name.as_str(), execution)).collect();
        let mut asked = BTreeSet::new();
        for (event, names) in &self.acknowledged {
            for name in names {
                asked.insert(name.as_str());
                match there.get(name.as_str()) {
                    None => found.push(format!("I1: {name} of {event} is lost")),
                    Some(execution) if execution.state() != ExecutionState::Succeeded => {
                        found.push(format!("I1: {name} of {event} is {}", execution.state().as_str_name()));
                    }
                    Some(_) => {}
                }
            }
        }
        for name in there.keys().filter(|name| !asked.contains(*name)) {
            found.push(format!("I2: {name} is there, and nobody was told of it"));
        }
        let mut of_event: HashMap<(&str, &str), usize> = HashMap::new();
        for execution in &self.history {
            let event = execution.event.as_ref().map_or("", |event| event.id.as_str());
            *of_event.entry((event, execution.automation.as_str())).or_default() += 1;
        }
        for ((event, automation), count) in of_event.into_iter().filter(|(_, count)| *count > 1) {
            found.push(format!("I3: {event} set off {automation} {count} times"));
        }
    }

    /// I4, I5: each hit has its attempt, each attempt at most one hit, and only what was cut off has none.
    fn hits_and_attempts(&self, kills: &[i64], found: &mut Vec<String>) {
        let attempts = self.attempts();
        let mut hits: BTreeMap<(String, i32), usize> = BTreeMap::new();
        for hit in &self.hits {
            *hits.entry(key(hit)).or_default() += 1;
        }
        for (key, count) in &hits {
            if !attempts.contains_key(key) {
                found.push(format!("I5: the hit {key:?} has no attempt"));
            }
            if *count > 1 {
                found.push(format!("I4: the attempt {key:?} was seen {count} times"));
            }
        }
        for (key, attempt) in &attempts {
            if !hits.contains_key(key) && attempt.outcome() != AttemptOutcome::Interrupted {
                found.push(format!("I5: the attempt {key:?} is {:?} and was never seen", attempt.outcome()));
            }
        }
        for attempt in attempts.values().filter(|attempt| attempt.outcome() == AttemptOutcome::Interrupted) {
            let lasted = micros(attempt.start_time)..=micros(attempt.end_time);
            if !kills.iter().any(|kill| lasted.contains(kill)) {
                found.push(format!("I4: an attempt of {lasted:?} is cut off, and nobody was killed"));
            }
        }
    }

    /// How many hits came although an earlier attempt of the delivery had been cut off after it was seen.
    fn made_again(&self) -> usize {
        let seen: BTreeSet<(String, i32)> = self.hits.iter().map(key).collect();
        let cut = |attempt: &&Attempt| attempt.outcome() == AttemptOutcome::Interrupted;
        self.deliveries()
            .flat_map(|delivery| {
                delivery.attempts.iter().filter(cut).map(|attempt| (delivery.id.clone(), attempt.number))
            })
            .filter(|key| seen.contains(key))
            .count()
    }

    /// I6 within a delivery: numbers without gaps, no attempt before it is due, none after a success.
    fn numbers(&self, delivery: &Delivery, found: &mut Vec<String>) {
        let numbers: Vec<i32> = delivery.attempts.iter().map(|attempt| attempt.number).collect();
        if numbers.iter().copied().ne((1..).take(numbers.len())) {
            found.push(format!("I6: the attempts of {} are numbered {numbers:?}", delivery.id));
        }
        for pair in delivery.attempts.windows(2) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "some seconds")]
            let least = match pair[0].outcome() {
                AttemptOutcome::FailedRetryable => (self.retry_after as f64 * (1.0 - JITTER)) as i64,
                AttemptOutcome::Interrupted => 0,
                other => {
                    found.push(format!("I6: {} went on after {}", delivery.id, other.as_str_name()));
                    continue;
                }
            };
            if micros(pair[1].start_time) < micros(pair[0].end_time) + least {
                found.push(format!(
                    "I6: attempt {} of {} came before it was due",
                    pair[1].number, delivery.id
                ));
            }
        }
    }

    fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.history.iter().flat_map(|execution| &execution.deliveries)
    }

    fn attempts(&self) -> BTreeMap<(String, i32), &Attempt> {
        self.deliveries()
            .flat_map(|delivery| delivery.attempts.iter().map(|a| ((delivery.id.clone(), a.number), a)))
            .collect()
    }
}

/// I6 over deliveries: each waits for the one before it, and for its delay; none begins after the end.
fn times(execution: &Execution, found: &mut Vec<String>) {
    let mut due = 0;
    let end = execution.end.as_ref().map_or(i64::MAX, |end| micros(end.end_time));
    for delivery in &execution.deliveries {
        let delay = delivery.delay.map_or(0, |delay| delay.seconds * 1_000_000);
        for attempt in &delivery.attempts {
            let began = micros(attempt.start_time);
            if began < due + if due > 0 { delay } else { 0 } || began > end {
                found
                    .push(format!("I6: attempt {} of {} began out of its time", attempt.number, delivery.id));
            }
        }
        due = delivery.attempts.last().map_or(due, |attempt| micros(attempt.end_time));
    }
}

/// The delivery and the attempt that a hit says it is.
fn key(hit: &Hit) -> (String, i32) {
    (hit.header("webhook-id").to_owned(), hit.header("sluice-attempt").parse().expect("a number"))
}

impl fmt::Display for Ledgers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use AttemptOutcome::{Failed, FailedRetryable, Interrupted, Succeeded};
        let executions: usize = self.acknowledged.values().map(Vec::len).sum();
        let ended =
            self.history.iter().filter(|execution| execution.state() == ExecutionState::Succeeded).count();
        write!(
            f,
            "acknowledged: {} events, {executions} executions; history: {} executions, {ended} succeeded; hits: {}, {} of them made \
             again; attempts: {} succeeded, {} to be retried, {} failed, {} interrupted",
            self.acknowledged.len(),
            self.history.len(),
            self.hits.len(),
            self.made_again(),
            self.count(Succeeded),
            self.count(FailedRetryable),
            self.count(Failed),
            self.count(Interrupted),
        )
    }
}
