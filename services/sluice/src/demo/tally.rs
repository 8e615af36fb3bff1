//! What the demo counts, from the receiver's ledger and the API's answers and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ledger::Hit;

/// Fewest executions that must have been shown paused for the demo to have shown anything.
const PAUSED_AT_LEAST: usize = 20;

/// One delivery as the history has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// `dl_…`.
    pub id: String,
    /// The numbers of its attempts.
    pub attempts: BTreeSet<u32>,
}

/// One execution as the history has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionRecord {
    /// `ex_…`.
    pub id: String,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryRecord>,
}

/// One call that had to be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What was tried.
    pub what: &'static str,
    /// The reason that was due.
    pub due: &'static str,
    /// The reason that came, or that the call was let through.
    pub came: String,
}

/// All that the counts are taken from.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The executions the API acknowledged when it took events.
    pub acknowledged: BTreeSet<String>,
    /// The history, as the API shows it at the end.
    pub history: Vec<ExecutionRecord>,
    /// The executions that the API showed `PAUSED` at some time.
    pub shown_paused: BTreeSet<String>,
    /// The receiver's ledger.
    pub ledger: Vec<Hit>,
    /// The calls that had to be refused.
    pub trials: Vec<Trial>,
}

/// The counts, as `--json` prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Executions in the history.
    pub matched: usize,
    /// Webhook ids answered 2xx in the ledger.
    pub delivered: usize,
    /// Executions the API showed `PAUSED`.
    pub paused: usize,
    /// Those of them that have been delivered since.
    pub resumed: usize,
    /// Executions with several attempts.
    pub retried: usize,
    /// Calls refused as they should be.
    pub refused: usize,
    /// Hits beyond the attempts on record.
    pub duplicates: usize,
    /// Matched, and not delivered.
    pub lost: usize,
}

impl Evidence {
    /// Counts.
    pub fn counts(&self) -> Counts {
        let delivered: BTreeSet<&str> =
            self.ledger.iter().filter(|hit| hit.is_success()).map(|hit| hit.webhook_id.as_str()).collect();
        let is_delivered = |execution: &ExecutionRecord| {
            let mut deliveries = execution.deliveries.iter();
            !execution.deliveries.is_empty()
                && deliveries.all(|delivery| delivered.contains(delivery.id.as_str()))
        };
        let done: BTreeSet<&str> = self
            .history
            .iter()
            .filter(|execution| is_delivered(execution))
            .map(|execution| execution.id.as_str())
            .collect();
        let several = |execution: &&ExecutionRecord| {
            execution.deliveries.iter().any(|delivery| delivery.attempts.len() > 1)
        };
        Counts {
            matched: self.history.len(),
            delivered: delivered.len(),
            paused: self.shown_paused.len(),
            resumed: self.shown_paused.iter().filter(|id| done.contains(id.as_str())).count(),
            retried: self.history.iter().filter(several).count(),
            refused: self.trials.iter().filter(|trial| trial.came == trial.due).count(),
            duplicates: self.hits_beyond_attempts(),
            lost: self.history.iter().filter(|execution| !done.contains(execution.id.as_str())).count(),
        }
    }

    /// Hits that are not the one hit of an attempt on record: repeated, or of an attempt nobody recorded.
    fn hits_beyond_attempts(&self) -> usize {
        let mut owed: BTreeMap<(&str, &str), BTreeSet<u32>> = BTreeMap::new();
        for execution in &self.history {
            for delivery in &execution.deliveries {
                owed.insert((&execution.id, &delivery.id), delivery.attempts.clone());
            }
        }
        let mut beyond = 0;
        for hit in &self.ledger {
            let owed = owed.get_mut(&(hit.execution.as_str(), hit.webhook_id.as_str()));
            if !owed.is_some_and(|attempts| attempts.remove(&hit.attempt)) {
                beyond += 1;
            }
        }
        beyond
    }

    /// Everything that is not as promised, in words; empty when the demo has shown what it must.
    pub fn problems(&self) -> Vec<String> {
        let counts = self.counts();
        let mut problems = Vec::new();
        let mut unless = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        unless(counts.matched > 0, "nothing matched".to_owned());
        unless(counts.lost == 0, format!("{} matched and were not delivered", counts.lost));
        unless(counts.duplicates == 0, format!("{} hits beyond the attempts on record", counts.duplicates));
        unless(
            counts.resumed == counts.paused,
            format!("{} paused, but {} of them went on", counts.paused, counts.resumed),
        );
        unless(
            counts.paused >= PAUSED_AT_LEAST,
            format!("{} were shown paused, at least {PAUSED_AT_LEAST} should have been", counts.paused),
        );
        unless(counts.retried > 0, "nothing was retried".to_owned());
        let unsigned = self.ledger.iter().filter(|hit| !hit.verified).count();
        unless(unsigned == 0, format!("{unsigned} requests had a signature that does not verify"));
        for trial in self.trials.iter().filter(|trial| trial.came != trial.due) {
            unless(false, format!("{}: expected {}, came {}", trial.what, trial.due, trial.came));
        }
        let known: BTreeSet<&str> = self.history.iter().map(|execution| execution.id.as_str()).collect();
        let missing = self.acknowledged.iter().filter(|id| !known.contains(id.as_str())).count();
        unless(missing == 0, format!("{missing} acknowledged executions are not in the history"));
        let unasked = known.iter().filter(|id| !self.acknowledged.contains(**id)).count();
        unless(unasked == 0, format!("{unasked} executions in the history were never acknowledged"));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(number: usize, attempt: u32, status: u16) -> Hit {
        Hit {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            webhook_id: format!("dl_{number}"),
            execution: format!("ex_{number}"),
            attempt,
            status,
            verified: true,
            body_sha256: String::new(),
        }
    }

    /// 30 executions, 20 of them paused for a while, the last one delivered at its second attempt.
    fn sound() -> Evidence {
        let ids = || (0..30).map(|number| format!("ex_{number}"));
        let history = (0..30)
            .map(|number| ExecutionRecord {
                id: format!("ex_{number}"),
                deliveries: vec![DeliveryRecord {
                    id: format!("dl_{number}"),
                    attempts: if number == 29 { BTreeSet::from([1, 2]) } else { BTreeSet::from([1]) },
                }],
            })
            .collect();
        let mut ledger: Vec<Hit> = (0..29).map(|number| hit(number, 1, 200)).collect();
        ledger.extend([hit(29, 1, 503), hit(29, 2, 200)]);
        Evidence {
            acknowledged: ids().collect(),
            history,
            shown_paused: ids().skip(5).take(20).collect(),
            ledger,
            trials: vec![Trial { what: "a member", due: "X", came: "X".to_owned() }],
        }
    }

    fn problem(evidence: &Evidence) -> String {
        evidence.problems().join("; ")
    }

    #[test]
    fn a_sound_run_has_no_problem() {
        let evidence = sound();
        let expected = Counts {
            matched: 30,
            delivered: 30,
            paused: 20,
            resumed: 20,
            retried: 1,
            refused: 1,
            duplicates: 0,
            lost: 0,
        };
        assert_eq!(evidence.counts(), expected);
        assert_eq!(problem(&evidence), "");
    }

    #[test]
    fn a_planted_loss_is_one_lost() {
        let mut evidence = sound();
        evidence.ledger.remove(0);
        assert_eq!(evidence.counts().lost, 1);
        assert_eq!(evidence.counts().delivered, 29);
        assert_eq!(problem(&evidence), "1 matched and were not delivered");
    }

    #[test]
    fn a_loss_among_the_paused_shows_in_what_resumed_too() {
        let mut evidence = sound();
        evidence.ledger.remove(7);
        let counts = evidence.counts();
        assert_eq!((counts.lost, counts.paused, counts.resumed), (1, 20, 19));
    }

    #[test]
    fn a_failed_answer_is_no_delivery() {
        let mut evidence = sound();
        evidence.ledger[3].status = 503;
        assert_eq!(evidence.counts().lost, 1);
    }

    #[test]
    fn a_hit_repeated_or_of_no_attempt_on_record_is_a_duplicate() {
        for planted in [hit(4, 1, 200), hit(4, 2, 200), hit(99, 1, 200)] {
            let mut evidence = sound();
            evidence.ledger.push(planted);
            assert_eq!(evidence.counts().duplicates, 1);
            assert_eq!(problem(&evidence), "1 hits beyond the attempts on record");
        }
    }

    #[test]
    fn a_repeated_attempt_is_not_excused_by_another_that_never_arrived() {
        let mut evidence = sound();
        let second = evidence.ledger.last_mut().unwrap();
        second.attempt = 1;
        assert_eq!(evidence.counts().duplicates, 1);
    }

    #[test]
    fn each_promise_that_is_broken_is_named() {
        type Damage = fn(&mut Evidence);
        let cases: [(Damage, &str); 6] = [
            (
                |it| it.shown_paused = it.shown_paused.iter().take(19).cloned().collect(),
                "19 were shown paused",
            ),
            (|it| it.ledger[0].verified = false, "1 requests had a signature"),
            (|it| it.trials[0].came = "let through".to_owned(), "a member: expected X, came let through"),
            (|it| it.acknowledged.extend(["ex_z".to_owned()]), "1 acknowledged executions are not"),
            (|it| it.acknowledged.retain(|id| id != "ex_3"), "1 executions in the history were never"),
            (
                |it| {
                    it.history.pop();
                    it.acknowledged.remove("ex_29");
                    it.ledger.truncate(29);
                },
                "nothing was retried",
            ),
        ];
        for (damage, expected) in cases {
            let mut evidence = sound();
            damage(&mut evidence);
            assert!(problem(&evidence).contains(expected), "{expected}: {}", problem(&evidence));
        }
    }
}
