//! Retrying and cancelling all that a filter means: what is asked, and what was done.

use std::collections::HashMap;

use proto::dispatcher::v1 as wire;
use sluice_auth::Principal;
use sluice_domain::{Cursor, Timestamp, Violations};
use sluice_rpc::{AccountName, Fault};

use super::filter;
use crate::error::Error;
use crate::execution::EndState;
use crate::filter::{Filter, Skip, StateName};
use crate::store::{Mark, PageKey, Taken};

/// What can be cancelled.
const UNFINISHED: [StateName; 4] =
    [StateName::Queued, StateName::Running, StateName::Waiting, StateName::Paused];

/// What is to be done to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Retry,
    Cancel,
}

/// Which executions are meant, and from where on.
pub(super) struct Meant {
    pub(super) account: AccountName,
    pub(super) filter: Filter,
    pub(super) mark: Option<Mark>,
    /// What all its calls have in common.
    tie: String,
}

impl Meant {
    pub(super) fn parse(
        verb: Verb,
        parent: &str,
        asked: Option<&wire::ExecutionFilter>,
        token: &str,
        caller: &Principal,
    ) -> Result<Self, Fault> {
        let mut broken = Violations::new();
        let account = broken.keep("parent", parent.parse::<AccountName>());
        if let Some(account) = &account {
            account.open_to(caller)?;
        }
        if asked.is_none() {
            broken.add("filter", "is required; an empty one means all");
        }
        let none = wire::ExecutionFilter::default();
        let asked = asked.unwrap_or(&none);
        let tie = format!("{verb:?}|{}", filter::tie(parent, asked));
        let parse = filter::Asked { filter: asked, prefix: "filter.", account: account.as_ref() };
        let mut meant = parse.parse(&mut broken);
        verb.narrow(&mut meant, &mut broken);
        let cursor = broken.keep("page_token", Cursor::from_token(token, &tie)).flatten();
        let mark =
            cursor.map(|cursor| read(cursor.key()).ok_or("must be the next_page_token of a call before"));
        let mark = mark.and_then(|mark| broken.keep("page_token", mark));
        match account {
            Some(account) if broken.is_empty() => Ok(Self { account, filter: meant, mark, tie }),
            _ => Err(Error::Invalid(broken).into()),
        }
    }

    /// The token that goes on where an answer ended; a backlog that is full ends it, and refuses it where nothing was done.
    pub(super) fn token(&self, taken: &Taken) -> Result<String, Error> {
        if let (0, Some((waiting, max_waiting))) = (taken.matched, taken.full) {
            return Err(Error::BacklogFull { waiting, max_waiting });
        }
        Ok(taken.next.map(|next| Cursor::after(write(next)).to_token(&self.tie)).unwrap_or_default())
    }
}

impl Verb {
    /// Keeps the filter to what the verb is for.
    fn narrow(self, filter: &mut Filter, broken: &mut Violations) {
        let (all, rule): (Vec<StateName>, _) = match self {
            Self::Retry => {
                let states = [EndState::Failed, EndState::Cancelled].map(StateName::Ended);
                (states.to_vec(), "must be FAILED or CANCELLED; FAILED, when nothing is said")
            }
            Self::Cancel => (UNFINISHED.to_vec(), "must be one that is not over"),
        };
        if filter.states.iter().any(|state| !all.contains(state)) {
            broken.add("filter.state", rule);
        }
        if filter.states.is_empty() {
            filter.states = if self == Self::Retry { all[..1].to_vec() } else { all };
            if self == Self::Cancel && !filter.ended.is_open() {
                broken.add("filter.end_time", "is for what is over, and that can't be cancelled");
            }
        }
    }
}

pub(super) fn retried(taken: &Taken, next_page_token: String) -> wire::RetryExecutionsResponse {
    wire::RetryExecutionsResponse {
        matched_count: count(taken.matched),
        retried_count: count(taken.done),
        skipped: skipped(&taken.skipped),
        next_page_token,
    }
}

pub(super) fn cancelled(taken: &Taken, next_page_token: String) -> wire::CancelExecutionsResponse {
    wire::CancelExecutionsResponse {
        matched_count: count(taken.matched),
        cancelled_count: count(taken.done),
        running_count: count(taken.under_way),
        skipped: skipped(&taken.skipped),
        next_page_token,
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn skipped(skipped: &HashMap<Skip, usize>) -> Vec<wire::SkippedExecutions> {
    let mut skipped: Vec<(Skip, usize)> = skipped.iter().map(|(why, number)| (*why, *number)).collect();
    skipped.sort_unstable();
    let one = |(why, number)| {
        let reason = match why {
            Skip::Changed => wire::SkipReason::Changed,
            Skip::NothingToSend => wire::SkipReason::NothingToSend,
            Skip::AutomationDeactivated => wire::SkipReason::AutomationDeactivated,
            Skip::WebhookDisabled => wire::SkipReason::WebhookDisabled,
        };
        wire::SkippedExecutions { reason: reason.into(), count: count(number) }
    };
    skipped.into_iter().map(one).collect()
}

fn write(mark: Mark) -> Vec<u8> {
    let mut bytes = mark.began.as_micros().to_be_bytes().to_vec();
    bytes.extend(mark.after.map(PageKey::to_bytes).unwrap_or_default());
    bytes
}

fn read(bytes: &[u8]) -> Option<Mark> {
    let (began, key) = bytes.split_at_checked(8)?;
    let began = Timestamp::from_micros(i64::from_be_bytes(began.try_into().ok()?));
    let after = if key.is_empty() { None } else { Some(PageKey::from_bytes(key)?) };
    Some(Mark { began, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_the_way_to_a_client_and_back() {
        let began = Timestamp::from_micros(1_767_225_600_000_001);
        for after in [None, Some(PageKey::Seq(7)), Some(PageKey::End(began, 9))] {
            assert_eq!(read(&write(Mark { began, after })), Some(Mark { began, after }));
        }
        assert_eq!(read(b"1234567"), None);
        assert_eq!(read(b"12345678?"), None);
    }

    #[test]
    fn each_verb_is_for_the_states_that_it_can_change() {
        let narrowed = |verb: Verb, states: Vec<StateName>| {
            let (mut filter, mut broken) = (Filter { states, ..Filter::default() }, Violations::new());
            verb.narrow(&mut filter, &mut broken);
            broken.into_result().map(|()| filter.states)
        };
        let [failed, cancelled, stopped] =
            [EndState::Failed, EndState::Cancelled, EndState::Stopped].map(StateName::Ended);
        assert_eq!(narrowed(Verb::Retry, vec![]), Ok(vec![failed]));
        assert_eq!(narrowed(Verb::Retry, vec![cancelled]), Ok(vec![cancelled]));
        assert!(
            narrowed(Verb::Retry, vec![stopped]).is_err() && narrowed(Verb::Cancel, vec![failed]).is_err()
        );
        assert_eq!(narrowed(Verb::Cancel, vec![]), Ok(UNFINISHED.to_vec()));
        assert!(narrowed(Verb::Retry, vec![StateName::Queued]).is_err());
    }
}
