//! What becomes of an execution that is not over: when its attempt was reported or cut off, when somebody cancels it, when it is
//! opened again after its end. The tables and the simulation write down what these decisions say, and decide nothing themselves.

use sluice_domain::{AutomationId, Span, Timestamp, WebhookId};
use thiserror::Error;

use crate::attempt::Verdict;
use crate::claim::Standing;
use crate::execution::{End, EndReason, EndState, Next, settle};
use crate::gate::Stop;
use crate::pending::{Hold, Pending, Stage, Start};
use crate::retry::Schedule;

/// After this many interruptions in a row the next attempt waits by the retry schedule.
const PATIENCE: u32 = 5;

/// How an execution ended, with what a retry needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The execution.
    pub seq: i64,
    /// 1, 2, …: the latest counts.
    pub number: i64,
    /// How.
    pub end: End,
    /// Which delivery it ended at.
    pub step: usize,
    /// When it first started, if it did.
    pub started_at: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

impl Ending {
    /// How an execution ends whose claim is still held, where its report says so: nothing else that its row says would change
    /// that, so that nobody has to read it.
    pub fn of_held(claim: Standing, end: End, at: Timestamp) -> Self {
        let Standing { seq, step, ends, started_at, .. } = claim;
        Self { seq, number: ends + 1, end, step, started_at: Some(started_at), at }
    }
}

/// The delivery that an execution goes on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Towards {
    /// The webhook.
    pub webhook: WebhookId,
    /// Whether it joins its record's line when it is due.
    pub ordered: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// It waits again.
    Waits {
        /// As it stands now.
        row: Pending,
        /// The next delivery, where that is another one than before.
        towards: Option<Towards>,
    },
    /// It is over.
    Ends(Ending),
    /// Its owner must not know it under way any more, or its lease is not over: nothing changes.
    ClaimLost,
}

/// What a decision depends on beside the row.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The time, by the database's clock.
    pub now: Timestamp,
    /// The gate before what comes next that ends it, if one does.
    pub stopped: Option<Stop>,
    /// When an attempt that keeps being cut off is tried again.
    pub schedule: &'a Schedule,
    /// Random in 0..1.
    pub fraction: f64,
}

/// How a request to cancel is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelling {
    /// It is over.
    Ends(Ending),
    /// It is over when its attempt ends, unless that is the last one and goes well: as it stands now.
    WhenAttemptEnds(Pending),
}

/// Why an ended execution is not opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotReopened {
    /// It ended in a state that can't be tried again.
    #[error("it ended for good")]
    Final(EndState),
    /// Its automation was deactivated since.
    #[error("its automation was deactivated")]
    AutomationDeactivated,
    /// The system disabled its webhook.
    #[error("its webhook is disabled")]
    WebhookDisabled,
}

/// How an execution that never gets to wait ends: its templates were rejected for this reason, or a gate ends
/// it.
pub fn ended_at_once(rejected: Option<String>, stopped: Option<Stop>) -> Option<End> {
    match rejected {
        Some(message) => Some(End::failed(EndReason::TemplateRejected, message)),
        None => stopped.map(Stop::end),
    }
}

impl Pending {
    /// One that ended, opened again at the delivery it ended at: charged no second time, with a fresh schedule, its attempts numbered
    /// on from `attempt`.
    ///
    /// # Errors
    /// When it is not to be opened.
    pub fn reopened(
        ending: &Ending,
        account: String,
        automation: Option<AutomationId>,
        attempt: i64,
        stopped: Option<Stop>,
    ) -> Result<Self, NotReopened> {
        if !matches!(ending.end.state, EndState::Failed | EndState::Cancelled) {
            return Err(NotReopened::Final(ending.end.state));
        }
        match stopped {
            Some(Stop::Deactivated) => return Err(NotReopened::AutomationDeactivated),
            Some(Stop::WebhookDisabled) => return Err(NotReopened::WebhookDisabled),
            None => {}
        }
        let start = ending.started_at.map_or(Start::owed(automation), Start::At);
        let fresh = Self::accepted(ending.seq, account, 0, start, None);
        Ok(Self { step: ending.step, attempt, ends: ending.number, ..fresh })
    }

    /// Its owner says under `token` how its attempt came out and what comes next; without an attempt, that it was not dialled.
    pub fn report(
        mut self,
        token: i64,
        tried: Option<Verdict>,
        next: Next,
        moment: Moment<'_>,
    ) -> Transition {
        let Some(hold) = self.hold().filter(|hold| hold.token == token) else { return Transition::ClaimLost };
        let cut_off = tried == Some(Verdict::Interrupted);
        if tried.is_some() && !cut_off {
            self.interruptions = 0;
        }
        let advances = matches!(next, Next::Advance { .. });
        match settle(next, hold.cancel, moment.stopped) {
            Next::End(end) => {
                // Where it was to go on, whoever opens it again begins with what was not sent yet.
                self.step += usize::from(advances);
                Transition::Ends(self.ending(end, moment.now))
            }
            Next::Retry(after) => {
                self.attempt += 1;
                self.retries += 1;
                self.waits(hold, moment.now, after, None)
            }
            Next::Advance { after, webhook, ordered } => {
                (self.step, self.attempt, self.retries) = (self.step + 1, 1, 0);
                self.waits(hold, moment.now, after, Some(Towards { webhook, ordered }))
            }
            Next::HandBack(_) if cut_off => {
                let after = self.interrupted(moment);
                self.waits(hold, moment.now, after, None)
            }
            Next::HandBack(after) => self.waits(hold, moment.now, after, None),
        }
    }

    /// Takes it back from an owner whose lease is over: its attempt was interrupted.
    pub fn rescue(mut self, moment: Moment<'_>) -> Transition {
        let Some(hold) = self.hold().filter(|hold| hold.lease_until <= moment.now) else {
            return Transition::ClaimLost;
        };
        match settle(Next::HandBack(Span::ZERO), hold.cancel, moment.stopped) {
            Next::End(end) => Transition::Ends(self.ending(end, moment.now)),
            _ => {
                let after = self.interrupted(moment);
                self.waits(hold, moment.now, after, None)
            }
        }
    }

    /// Somebody asks to cancel it.
    pub fn cancel(mut self, now: Timestamp) -> Cancelling {
        match self.stage {
            Stage::Waiting { .. } => Cancelling::Ends(self.ending(End::cancelled(), now)),
            Stage::Held(hold) => {
                self.stage = Stage::Held(Hold { cancel: true, ..hold });
                Cancelling::WhenAttemptEnds(self)
            }
        }
    }

    /// Goes on from an attempt that was cut off to the next one: says how long that waits. Not at all, until it was cut off too often
    /// in a row.
    fn interrupted(&mut self, moment: Moment<'_>) -> Span {
        self.attempt += 1;
        self.interruptions += 1;
        if self.interruptions < PATIENCE {
            Span::ZERO
        } else {
            moment.schedule.backoff(self.interruptions - PATIENCE, moment.fraction)
        }
    }

    fn waits(mut self, hold: Hold, now: Timestamp, after: Span, towards: Option<Towards>) -> Transition {
        let due_at = (after > Span::ZERO).then(|| now.plus(after));
        self.stage = Stage::Waiting { start: Start::At(hold.started_at), due_at };
        Transition::Waits { row: self, towards }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::Turn;

    const SCHEDULE: Schedule = Schedule {
        retries: 3,
        first: Span::from_secs(10),
        factor: 2.0,
        longest: Span::from_secs(60),
        longest_retry_after: Span::from_secs(60),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::EPOCH.plus(Span::from_secs(1_000 + seconds))
    }

    fn moment(seconds: i64) -> Moment<'static> {
        Moment { now: at(seconds), stopped: None, schedule: &SCHEDULE, fraction: 0.5 }
    }

    /// Claimed under 7 at 0, with a lease of half a minute.
    fn held() -> Pending {
        let mut row = Pending::accepted(1, "acme".into(), 1, Start::Execution, None);
        row.claim(7, at(0), at(30));
        row
    }

    fn waits(transition: Transition) -> Pending {
        match transition {
            Transition::Waits { row, .. } => row,
            other => panic!("it does not wait: {other:?}"),
        }
    }

    fn ends(transition: Transition) -> Ending {
        match transition {
            Transition::Ends(ending) => ending,
            other => panic!("it does not end: {other:?}"),
        }
    }

    #[test]
    fn without_its_token_a_report_changes_nothing() {
        let next = || Next::End(End::succeeded());
        assert_eq!(held().report(8, Some(Verdict::Succeeded), next(), moment(1)), Transition::ClaimLost);
        let waiting = Pending::accepted(1, "acme".into(), 1, Start::Execution, None);
        assert_eq!(waiting.report(7, None, next(), moment(1)), Transition::ClaimLost);
    }

    #[test]
    fn an_end_is_the_same_whether_the_row_was_read_or_not() {
        for cancel in [false, true] {
            let mut row = held();
            if cancel {
                let Cancelling::WhenAttemptEnds(cancelled) = row.cancel(at(1)) else {
                    panic!("it is under way")
                };
                row = cancelled;
            }
            let row = Pending { step: 1, attempt: 3, ends: 2, ..row };
            let claim = Standing {
                seq: 1,
                token: 7,
                step: 1,
                attempt: 3,
                ends: 2,
                started_at: at(0),
                ordered: false,
            };
            for end in [End::succeeded(), End::failed(EndReason::Forbidden, "no")] {
                let next = Next::End(end.clone());
                let read = ends(row.clone().report(7, Some(Verdict::Succeeded), next, moment(2)));
                assert_eq!(read, Ending::of_held(claim, end, at(2)));
            }
        }
    }

    #[test]
    fn a_claim_is_charged_once_and_keeps_when_it_first_started() {
        let retry = Next::Retry(Span::from_secs(5));
        let mut row = waits(held().report(7, Some(Verdict::Retried), retry, moment(2)));
        assert_eq!((row.turn(), row.due_at()), (Turn::Continuing, Some(at(7))));
        row.claim(9, at(7), at(37));
        assert_eq!(row.start(), Start::At(at(0)));
        row.claim(10, at(8), at(38));
        assert_eq!(row.hold().unwrap().token, 9, "it stays under the claim that it has");
    }

    #[test]
    fn only_a_retry_uses_a_retry() {
        let after = |tried, next| waits(held().report(7, tried, next, moment(1)));
        let retried = after(Some(Verdict::Retried), Next::Retry(Span::ZERO));
        assert_eq!((retried.attempt, retried.retries, retried.interruptions), (2, 1, 0));
        let cut_off = after(Some(Verdict::Interrupted), Next::HandBack(Span::ZERO));
        assert_eq!((cut_off.attempt, cut_off.retries, cut_off.interruptions), (2, 0, 1));
        let not_dialled = after(None, Next::HandBack(Span::from_secs(2)));
        assert_eq!((not_dialled.attempt, not_dialled.retries, not_dialled.interruptions), (1, 0, 0));
        assert_eq!(not_dialled.due_at(), Some(at(3)));
    }

    #[test]
    fn an_advance_goes_towards_the_next_webhook_with_everything_anew() {
        let webhook = WebhookId::from_bytes([4; 16]);
        let row = Pending { attempt: 3, retries: 2, ..held() };
        let next = Next::Advance { after: Span::ZERO, webhook, ordered: true };
        let Transition::Waits { row, towards } = row.report(7, Some(Verdict::Succeeded), next, moment(1))
        else {
            panic!("it goes on")
        };
        assert_eq!(
            (row.step, row.attempt, row.retries, towards),
            (1, 1, 0, Some(Towards { webhook, ordered: true }))
        );
        assert_eq!(row.stage, Stage::Waiting { start: Start::At(at(0)), due_at: None });
    }

    #[test]
    fn what_is_cancelled_during_its_attempt_ends_with_it_at_what_was_not_sent() {
        let Cancelling::WhenAttemptEnds(row) = held().cancel(at(1)) else { panic!("it is under way") };
        let next =
            Next::Advance { after: Span::ZERO, webhook: WebhookId::from_bytes([4; 16]), ordered: false };
        let ending = ends(row.clone().report(7, Some(Verdict::Succeeded), next, moment(2)));
        assert_eq!((ending.end, ending.step, ending.started_at), (End::cancelled(), 1, Some(at(0))));
        let ending = ends(row.report(7, Some(Verdict::Succeeded), Next::End(End::succeeded()), moment(2)));
        assert_eq!((ending.end, ending.step), (End::succeeded(), 0));
    }

    #[test]
    fn nothing_is_rescued_before_its_lease_is_over() {
        assert_eq!(held().rescue(moment(29)), Transition::ClaimLost);
        let row = waits(held().rescue(moment(30)));
        assert_eq!((row.attempt, row.retries, row.interruptions, row.due_at()), (2, 0, 1, None));
    }

    #[test]
    fn what_keeps_being_cut_off_waits_by_the_schedule_and_never_ends_for_that() {
        let mut row = held();
        for times in 1..=40_u32 {
            row = waits(row.rescue(moment(30)));
            assert_eq!((row.interruptions, row.retries), (times, 0));
            assert_eq!(row.due_at().is_some(), times >= PATIENCE, "{times}");
            row.claim(7, at(0), at(30));
        }
    }

    #[test]
    fn a_rescue_ends_what_was_cancelled_or_stopped() {
        let Cancelling::WhenAttemptEnds(row) = held().cancel(at(1)) else { panic!("it is under way") };
        assert_eq!(ends(row.rescue(moment(30))).end, End::cancelled());
        assert_eq!(
            ends(held().rescue(Moment { stopped: Some(Stop::Deactivated), ..moment(30) })).end,
            End::deactivated()
        );
    }

    #[test]
    fn what_failed_or_was_cancelled_is_opened_again_at_its_delivery_without_a_charge() {
        let failed = |state| Ending {
            seq: 1,
            number: 2,
            end: End { state, ..End::cancelled() },
            step: 1,
            started_at: Some(at(0)),
            at: at(9),
        };
        let reopen =
            |state, stopped: Option<Stop>| Pending::reopened(&failed(state), "acme".into(), None, 4, stopped);
        let row = reopen(EndState::Failed, None).unwrap();
        assert_eq!((row.step, row.attempt, row.retries, row.ends), (1, 4, 0, 2));
        assert_eq!(row.start(), Start::At(at(0)));
        assert_eq!(reopen(EndState::Stopped, None), Err(NotReopened::Final(EndState::Stopped)));
        let stopped = |stop| reopen(EndState::Failed, Some(stop));
        assert_eq!(stopped(Stop::Deactivated), Err(NotReopened::AutomationDeactivated));
        assert_eq!(stopped(Stop::WebhookDisabled), Err(NotReopened::WebhookDisabled));
    }
}
