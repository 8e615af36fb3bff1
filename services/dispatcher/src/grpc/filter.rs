//! Which executions a request is about: the filter as it came, checked whole, and as it is looked for.

use std::fmt::Display;
use std::str::FromStr;

use proto::dispatcher::v1 as wire;
use sluice_domain::{EventId, ObjectName, Timestamp, Violations};
use sluice_rpc::convert::from_timestamp;
use sluice_rpc::{AccountName, ResourceName};

use crate::execution::{EndReason, EndState, PauseReason};
use crate::filter::{Filter, StateName, TimeRange};
use crate::record::Record;
use crate::trace::TraceId;

/// A filter that came in a request, and where in it.
pub(super) struct Asked<'a> {
    pub(super) filter: &'a wire::ExecutionFilter,
    /// What its fields begin with: nothing, or `filter.`.
    pub(super) prefix: &'static str,
    /// Whose executions; `None` when the request does not say it right.
    pub(super) account: Option<&'a AccountName>,
}

impl Asked<'_> {
    /// What is looked for; everything that is wrong with it is noted.
    pub(super) fn parse(&self, broken: &mut Violations) -> Filter {
        let filter = self.filter;
        let end_reason = broken.keep(&self.at("end_reason"), end_reason(filter.end_reason)).flatten();
        let pause_reason = broken.keep(&self.at("pause_reason"), pause_reason(filter.pause_reason)).flatten();
        let state = broken.keep(&self.at("state"), state_name(filter.state)).flatten();
        let of_end = end_reason.map(StateName::after);
        let of_pause = pause_reason.map(|_| StateName::Paused);
        if let (Some(_), Some(_)) = (of_end, of_pause) {
            broken.add(self.at("pause_reason"), "can't be given together with `end_reason`");
        }
        let mut implied = of_end.or(of_pause);
        for (field, of_reason) in [("end_reason", of_end), ("pause_reason", of_pause)] {
            if of_reason.is_some() && state.is_some() && state != of_reason {
                broken.add(self.at(field), "is of another state than the one in `state`");
            }
        }
        implied = state.or(implied);
        let ended = self.range("end_time", filter.end_time.as_ref(), broken);
        if !ended.is_open() && implied.is_some_and(|state| !matches!(state, StateName::Ended(_))) {
            broken.add(
                self.at("end_time"),
                "is for what is over, and `state` or `pause_reason` says it is not",
            );
        }
        let trace = match filter.trace_id.as_str() {
            "" => None,
            text => broken.keep(&self.at("trace_id"), text.parse::<TraceId>()),
        };
        Filter {
            automation: self.named("automation", &filter.automation, broken),
            webhook: self.named("webhook", &filter.webhook, broken),
            states: implied.into_iter().collect(),
            end_reason,
            pause_reason,
            trace,
            record: self.record(broken),
            accepted: self.range("create_time", filter.create_time.as_ref(), broken),
            ended,
        }
    }

    fn at(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// The id of something of the account; nothing said is no filter.
    fn named<I>(&self, field: &str, text: &str, broken: &mut Violations) -> Option<I>
    where
        ResourceName<I>: FromStr<Err: Display>,
    {
        if text.is_empty() {
            return None;
        }
        let name: ResourceName<I> = broken.keep(&self.at(field), text.parse())?;
        if self.account.is_some_and(|account| account.0 != name.account) {
            broken.add(self.at(field), "must be of the account in `parent`");
        }
        Some(name.id)
    }

    fn record(&self, broken: &mut Violations) -> Option<Record> {
        let wire::ExecutionFilter { record_id, object, .. } = self.filter;
        let given = |text: &str| !text.is_empty();
        let id = Some(record_id).filter(|id| given(id)).map(|id| id.parse::<EventId>());
        let id = id.and_then(|id| broken.keep(&self.at("record_id"), id));
        let of = Some(object).filter(|object| given(object)).map(|object| object.parse::<ObjectName>());
        let of = of.and_then(|object| broken.keep(&self.at("object"), object));
        if !given(record_id) && given(object) {
            broken.add(self.at("object"), "must come with `record_id`");
        }
        Some(Record { id: id?.into(), object: of.map(|object| object.as_str().to_owned()) })
    }

    fn range(&self, field: &str, range: Option<&wire::TimeRange>, broken: &mut Violations) -> TimeRange {
        let Some(range) = range else { return TimeRange::default() };
        let mut end = |name: &str, at: &Option<prost_types::Timestamp>| -> Option<Timestamp> {
            let at = at.as_ref()?;
            broken.keep(&self.at(&format!("{field}.{name}")), from_timestamp(at))
        };
        let (from, until) = (end("from", &range.from), end("until", &range.until));
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            broken.add(self.at(&format!("{field}.until")), "must be later than `from`");
        }
        TimeRange { from, until }
    }
}

/// The filter of a listing, whose fields stand in the request itself.
pub(super) fn of_listing(request: &wire::ListExecutionsRequest) -> wire::ExecutionFilter {
    let request = request.clone();
    wire::ExecutionFilter {
        state: request.state,
        automation: request.automation,
        webhook: request.webhook,
        trace_id: request.trace_id,
        end_reason: request.end_reason,
        pause_reason: request.pause_reason,
        record_id: request.record_id,
        object: request.object,
        create_time: request.create_time,
        end_time: request.end_time,
    }
}

/// What all pages of a filter have in common.
pub(super) fn tie(parent: &str, filter: &wire::ExecutionFilter) -> String {
    format!("{parent}|{filter:?}")
}

fn state_name(code: i32) -> Result<Option<StateName>, &'static str> {
    let state = wire::ExecutionState::try_from(code).map_err(|_| "must be a known state")?;
    Ok(match state {
        wire::ExecutionState::Unspecified => None,
        wire::ExecutionState::Queued => Some(StateName::Queued),
        wire::ExecutionState::Running => Some(StateName::Running),
        wire::ExecutionState::Waiting => Some(StateName::Waiting),
        wire::ExecutionState::Paused => Some(StateName::Paused),
        wire::ExecutionState::Succeeded => Some(StateName::Ended(EndState::Succeeded)),
        wire::ExecutionState::Failed => Some(StateName::Ended(EndState::Failed)),
        wire::ExecutionState::Stopped => Some(StateName::Ended(EndState::Stopped)),
        wire::ExecutionState::Cancelled => Some(StateName::Ended(EndState::Cancelled)),
    })
}

/// The words on the wire are those in the tables, with a prefix.
fn end_reason(code: i32) -> Result<Option<EndReason>, &'static str> {
    let reason = wire::EndReason::try_from(code).map_err(|_| "must be a known reason")?;
    let word = reason.as_str_name().strip_prefix("END_REASON_").unwrap_or_default();
    match reason {
        wire::EndReason::Unspecified => Ok(None),
        _ => EndReason::read(word).map(Some).ok_or("must be a known reason"),
    }
}

fn pause_reason(code: i32) -> Result<Option<PauseReason>, &'static str> {
    let reason = wire::PauseReason::try_from(code).map_err(|_| "must be a known reason")?;
    Ok(match reason {
        wire::PauseReason::Unspecified => None,
        wire::PauseReason::Quota => Some(PauseReason::Quota),
        wire::PauseReason::Plan => Some(PauseReason::Plan),
        wire::PauseReason::WebhookDisabled => Some(PauseReason::WebhookDisabled),
        wire::PauseReason::EntitlementsUnknown => Some(PauseReason::EntitlementsUnknown),
        wire::PauseReason::Operator => Some(PauseReason::Operator),
        wire::PauseReason::BreakerOpen => Some(PauseReason::BreakerOpen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(filter: &wire::ExecutionFilter) -> Result<Filter, Vec<String>> {
        let account = "accounts/acme".parse().unwrap();
        let mut broken = Violations::new();
        let parsed = Asked { filter, prefix: "filter.", account: Some(&account) }.parse(&mut broken);
        match broken.into_result() {
            Ok(()) => Ok(parsed),
            Err(broken) => Err(broken.into_iter().map(|violation| violation.field).collect()),
        }
    }

    #[test]
    fn every_reason_on_the_wire_is_one_that_an_execution_can_have() {
        for code in 1..64 {
            if wire::EndReason::try_from(code).is_ok() {
                assert!(end_reason(code).unwrap().is_some(), "{code}");
            }
        }
        assert!(end_reason(1_000).is_err() && pause_reason(1_000).is_err());
    }

    #[test]
    fn a_reason_says_the_state() {
        let failed = wire::EndReason::Forbidden.into();
        let parsed = parse(&wire::ExecutionFilter { end_reason: failed, ..Default::default() }).unwrap();
        assert_eq!(parsed.states, [StateName::Ended(EndState::Failed)]);
        let quota = wire::PauseReason::Quota.into();
        let parsed = parse(&wire::ExecutionFilter { pause_reason: quota, ..Default::default() }).unwrap();
        assert_eq!(parsed.states, [StateName::Paused]);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let all = wire::ExecutionFilter {
            state: wire::ExecutionState::Running.into(),
            automation: "accounts/other/automations/au_01arz3ndektsv4rrffq69g5fav".into(),
            webhook: "no-webhook".into(),
            trace_id: "no-trace".into(),
            end_reason: wire::EndReason::Cancelled.into(),
            pause_reason: 99,
            record_id: String::new(),
            object: "deal".into(),
            create_time: Some(wire::TimeRange { from: at(5), until: at(5) }),
            end_time: Some(wire::TimeRange { from: at(i64::MAX), until: at(7) }),
        };
        let fields = [
            "pause_reason",
            "end_reason",
            "end_time.from",
            "end_time",
            "trace_id",
            "automation",
            "webhook",
            "object",
            "create_time.until",
        ];
        assert_eq!(parse(&all).unwrap_err(), fields.map(|field| format!("filter.{field}")));
    }
}
