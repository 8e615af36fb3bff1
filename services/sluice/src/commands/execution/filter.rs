//! Which executions are meant: the flags as the contract has them.

use proto::dispatcher::v1::{ExecutionFilter, ListExecutionsRequest, TimeRange};
use sluice_rpc::convert::to_timestamp;
use sluice_runtime::Clock;

use crate::cli::{self, When};
use crate::client::Connection;

/// The filter of some flags, with the names they give looked up.
///
/// # Errors
/// When the account has no automation or webhook that is called so, or the look-up is refused.
pub(super) async fn of(
    connection: &Connection,
    flags: &cli::ExecutionFilter,
) -> anyhow::Result<ExecutionFilter> {
    let automation = match &flags.automation {
        Some(given) => connection.automation_name(given).await?,
        None => String::new(),
    };
    let webhook = match &flags.webhook {
        Some(given) => connection.webhook_name(given).await?,
        None => String::new(),
    };
    let now = Clock::system().now();
    let range = |from: Option<When>, until: Option<When>| {
        let at = |when: When| to_timestamp(when.said_at(now));
        let given = from.is_some() || until.is_some();
        given.then(|| TimeRange { from: from.map(at), until: until.map(at) })
    };
    let record = flags.record.clone();
    let (object, record_id) = record.map_or_else(Default::default, |record| (record.object, record.id));
    Ok(ExecutionFilter {
        state: flags.state.unwrap_or_default(),
        automation,
        webhook,
        trace_id: flags.trace_id.clone().unwrap_or_default(),
        end_reason: flags.end_reason.unwrap_or_default(),
        pause_reason: flags.pause_reason.unwrap_or_default(),
        record_id,
        object,
        create_time: range(flags.accepted_from, flags.accepted_until),
        end_time: range(flags.ended_from, flags.ended_until),
    })
}

/// The same filter of a listing.
pub(super) fn listing(filter: ExecutionFilter) -> ListExecutionsRequest {
    ListExecutionsRequest {
        state: filter.state,
        automation: filter.automation,
        webhook: filter.webhook,
        trace_id: filter.trace_id,
        end_reason: filter.end_reason,
        pause_reason: filter.pause_reason,
        record_id: filter.record_id,
        object: filter.object,
        create_time: filter.create_time,
        end_time: filter.end_time,
        ..ListExecutionsRequest::default()
    }
}
