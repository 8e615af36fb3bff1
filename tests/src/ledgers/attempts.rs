//! I4 to I6: each hit has its attempt, each attempt at most one hit, and each comes in its turn and not before its time.

use std::collections::{BTreeMap, BTreeSet};

use proto::dispatcher::v1::{Attempt, AttemptOutcome, Delivery, Execution};

use super::{Key, Ledgers, Terms};
use crate::house::micros;

/// What jitter may take off a retry's delay.
const JITTER: f64 = 0.2;

impl Terms {
    /// The least that lies between an attempt that failed and the next one, when so many retries were used before.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "some days at most")]
    pub(super) fn least(&self, used: usize) -> i64 {
        let exponent = i32::try_from(used).unwrap_or(i32::MAX);
        let mean = (self.first as f64 * self.factor.powi(exponent)).min(self.longest as f64);
        (mean * (1.0 - JITTER)) as i64
    }
}

impl Ledgers {
    /// I4, I5: each hit has its attempt, on record before it, each attempt at most one hit, and only what was cut off has none.
    pub(super) fn hits_and_attempts(&self, kills: &[i64], found: &mut Vec<String>) {
        let attempts = self.attempts();
        let mut hits: BTreeMap<&Key, usize> = BTreeMap::new();
        for hit in &self.hits {
            *hits.entry(&hit.key).or_default() += 1;
            match attempts.get(&hit.key) {
                None => found.push(format!("I5: the hit {:?} at {} has no attempt", hit.key, hit.path)),
                Some(attempt) if hit.at < micros(attempt.start_time) => {
                    found.push(format!("I5: the attempt {:?} came on record after its hit", hit.key));
                }
                Some(_) => {}
            }
        }
        for (key, count) in hits.iter().filter(|(_, count)| **count > 1) {
            found.push(format!("I4: the attempt {key:?} was seen {count} times"));
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
    pub(super) fn made_again(&self) -> usize {
        let seen: BTreeSet<&Key> = self.hits.iter().map(|hit| &hit.key).collect();
        let cut = |attempt: &&Attempt| attempt.outcome() == AttemptOutcome::Interrupted;
        self.deliveries()
            .flat_map(|delivery| {
                delivery.attempts.iter().filter(cut).map(|attempt| (delivery.id.clone(), attempt.number))
            })
            .filter(|key| seen.contains(key))
            .count()
    }

    /// I6 within a delivery: numbers without gaps, no attempt before it is due, none after a success.
    pub(super) fn numbers(&self, delivery: &Delivery, found: &mut Vec<String>) {
        let numbers: Vec<i32> = delivery.attempts.iter().map(|attempt| attempt.number).collect();
        if numbers.iter().copied().ne((1..).take(numbers.len())) {
            found.push(format!("I6: the attempts of {} are numbered {numbers:?}", delivery.id));
        }
        let mut used = 0;
        for pair in delivery.attempts.windows(2) {
            let least = match pair[0].outcome() {
                AttemptOutcome::FailedRetryable => {
                    used += 1;
                    self.terms.least(used - 1)
                }
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

    /// I6 as the receivers saw it, whatever the history says: a retry comes a retry's delay after the hit before it, a further
    /// delivery its own delay after the last hit of the one before.
    pub(super) fn seen_in_time(&self, execution: &Execution, found: &mut Vec<String>) {
        let mut before: Option<i64> = None;
        for delivery in &execution.deliveries {
            let delay = delivery.delay.map_or(0, |delay| delay.seconds * 1_000_000);
            let mut due = before.map(|before| before + delay);
            let mut used = 0;
            for attempt in &delivery.attempts {
                let Some(at) = self.seen_at(&delivery.id, attempt.number) else { continue };
                if due.is_some_and(|due| at < due) {
                    found.push(format!("I6: {} was seen again before it was due", delivery.id));
                }
                before = Some(at);
                due = None;
                if attempt.outcome() == AttemptOutcome::FailedRetryable {
                    due = Some(at + self.terms.least(used));
                    used += 1;
                }
            }
        }
    }
}

/// I6 over deliveries: each waits for the one before it, and for its delay; none begins after the end.
pub(super) fn times(execution: &Execution, found: &mut Vec<String>) {
    let accepted = micros(execution.create_time);
    let mut due = accepted;
    let end = execution.end.as_ref().map_or(i64::MAX, |end| micros(end.end_time));
    for delivery in &execution.deliveries {
        due += delivery.delay.map_or(0, |delay| delay.seconds * 1_000_000);
        for attempt in &delivery.attempts {
            let began = micros(attempt.start_time);
            if began < due || began > end {
                found
                    .push(format!("I6: attempt {} of {} began out of its time", attempt.number, delivery.id));
            }
        }
        due = delivery.attempts.last().map_or(due, |attempt| micros(attempt.end_time));
    }
}
