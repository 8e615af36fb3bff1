//! The hot statements by name, for the suite that looks at their plans.

use sea_orm::Value;
use sluice_domain::{AccountId, AutomationId, ExecutionId, Timestamp, WebhookId};
use sluice_storage::Backend;

use super::sql::{
    DUE_ACCOUNTS, Digest, ENDED, ENDS_OF_EXECUTIONS, EXPIRED, NEXT_DUE, NEXT_LEASE, NEXT_WAKE,
    OLDEST_RECEIPTS, PAGE, PROMOTE, REACHED, SEQ_OF, Stream, TOGETHER, digested, heads, keys, lane_heads,
    unfinished, without_bodies,
};
use super::{
    accounts, changes, claim, endings, executions, gates, lanes, lines, pending, receipts, receivers,
    retention, sql, walk,
};
use crate::execution::EndState;
use crate::line::IN_LINE;
use crate::record;
use crate::trace::TraceId;
use crate::turn::Turn;

/// Keys of rows that exist, for the parameters of [`hot_statements`].
#[derive(Debug, Clone)]
pub struct Probe {
    /// An account.
    pub account: AccountId,
    /// An event of it.
    pub event: String,
    /// An automation of it.
    pub automation: AutomationId,
    /// A webhook of it.
    pub webhook: WebhookId,
    /// An execution of it.
    pub execution: ExecutionId,
    /// The trace of one.
    pub trace: TraceId,
    /// The record of one.
    pub record: String,
    /// Places of executions.
    pub seqs: Vec<i64>,
    /// Lanes of the account.
    pub lanes: Vec<i64>,
    /// The time.
    pub now: Timestamp,
}

/// The statements that acceptance, claims, reports and pages run, by name, with parameters: for the suite that looks at their plans.
pub fn hot_statements(backend: Backend, probe: &Probe) -> Vec<(&'static str, String, Vec<Value>)> {
    let account = || Value::from(probe.account.as_str());
    let now = || Value::from(probe.now.as_micros());
    let limit = || Value::from(100_i64);
    let turn = || Value::from(Turn::Execution.code());
    let id = || Value::from(probe.execution.to_bytes().to_vec());
    let automation = || Value::from(probe.automation.to_string());
    let first = || Value::from(probe.seqs.first().copied().unwrap_or(0));
    let (seqs, many) = (|| keys(backend, &probe.seqs), probe.seqs.len());
    let head = |lane: &i64| lane_heads(backend, *lane, Turn::Execution.code(), 100);
    let lane_heads = probe.lanes.iter().map(head).collect::<Vec<_>>().join(TOGETHER);
    let lane = vec![account(), automation(), 1_i64.into(), probe.webhook.to_string().into()];
    let line = || vec![probe.webhook.to_string().into(), probe.record.as_str().into()];
    let marking = [vec![1_i64.into(), now(), now()], seqs()].concat();
    let row = [vec![first(), account()], vec![1_i64.into(); 13]].concat();
    let cuts: Vec<i64> = (0..walk::CUTS_AT_ONCE).collect();
    let places = |digest: i64| [vec![digest.into(), i64::MAX.into(), limit()], keys(backend, &cuts)].concat();
    let trace = || places(probe.trace.key(&probe.account));
    let record = || places(record::key(&probe.account, &probe.record));
    let (failed, behind) =
        (|| EndState::Failed.as_str().into(), || vec![account(), i64::MAX.into(), limit()]);
    let ready = [Turn::Continuing, Turn::Execution, Turn::Notification].map(Stream::Ready);
    vec![
        ("lock accounts", accounts::locking(backend, 1), vec![account()]),
        ("rates of receivers", receivers::RATES.into(), vec![account()]),
        ("closed gates", gates::selecting(1), vec![account()]),
        ("receipt of an event", receipts::ONE.into(), vec![account(), probe.event.as_str().into()]),
        ("promote what is due", PROMOTE.into(), vec![account(), now(), limit()]),
        ("heads of an account", heads(backend, "seq"), vec![account(), turn(), limit()]),
        ("lanes of an account", lanes::ALL.into(), vec![account()]),
        ("number of a lane", lanes::ONE.into(), lane),
        ("heads of lanes", lane_heads, vec![]),
        ("mark as claimed", claim::marking(backend, many), marking),
        ("load what was claimed", executions::loading(backend, many), seqs()),
        ("where claims stand", claim::standing(backend, many), seqs()),
        ("next due of an account", NEXT_DUE.into(), vec![account()]),
        ("accounts that are due", DUE_ACCOUNTS.into(), vec![now(), limit()]),
        ("next wake", NEXT_WAKE.into(), vec![]),
        ("pending by key", pending::selecting(backend, many, pending::held(backend)), seqs()),
        ("update pending", pending::UPDATE.into(), row),
        ("delete pending", pending::deleting(backend, many), [vec![1_i64.into()], seqs()].concat()),
        ("next lease", NEXT_LEASE.into(), vec![]),
        ("expired leases", EXPIRED.into(), vec![now(), limit()]),
        ("reached by a marker", REACHED.into(), vec![account(), automation(), 1_i64.into(), limit()]),
        ("place of an execution", SEQ_OF.into(), vec![account(), id()]),
        ("page of executions", PAGE.into(), vec![account(), id(), vec![0_u8; 16].into(), limit()]),
        ("places of a trace", digested(backend, Digest::Trace, cuts.len()), trace()),
        ("places of a record", digested(backend, Digest::Record, cuts.len()), record()),
        (
            "ends that are no success",
            ENDED.into(),
            vec![account(), failed(), now(), first(), 0_i64.into(), limit()],
        ),
        ("what is ready", unfinished(backend, &ready), behind()),
        ("what is due later", unfinished(backend, &[Stream::Later]), behind()),
        ("what is under way", unfinished(backend, &[Stream::Claimed]), behind()),
        ("overtake ends", endings::overtaking(backend, many), seqs()),
        ("executions by place", without_bodies(backend, many), seqs()),
        ("ends of the executions", ENDS_OF_EXECUTIONS.into(), vec![]),
        ("shortest history", sql::SHORTEST_HISTORY.into(), vec!["".into(), limit()]),
        ("histories", sql::histories(1), vec![account()]),
        ("shelf that is due", sql::SHELF_DUE.into(), vec![now()]),
        ("last shelf", sql::LAST_SHELF.into(), vec![]),
        ("first from a place on", sql::FIRST_PLACE.into(), vec![first()]),
        ("ends of places", sql::ENDED_PLACES.into(), vec![first(), 512_i64.into()]),
        ("owners", sql::owners(backend, many), seqs()),
        ("delete executions", retention::deleting(backend, "execution", "seq", many), seqs()),
        ("delete ends", retention::deleting(backend, "ending", "seq", many), seqs()),
        ("delete attempts", retention::deleting(backend, "attempt", "seq", many), seqs()),
        ("next lanes", lanes::NEXT.into(), vec![0_i64.into(), limit()]),
        ("lanes under way", lanes::UNDER_WAY.into(), vec![account()]),
        ("lanes waited in", lanes::WAITS_IN.into(), vec![probe.lanes.first().copied().unwrap_or(0).into()]),
        ("oldest receipts", OLDEST_RECEIPTS.into(), vec![limit()]),
        ("ends", endings::selecting(backend, many), seqs()),
        ("attempts of one", endings::selecting_attempts(), vec![first()]),
        ("attempts counted", endings::counting_attempts(backend, many), seqs()),
        ("attempts told briefly", endings::selecting_briefly(backend, many), seqs()),
        ("newest change", changes::newest(backend).into(), vec![]),
        ("whose changes", changes::WHOSE.into(), vec![first(), 1_000_i64.into(), limit()]),
        (
            "changes of an account",
            changes::OF_ACCOUNT.into(),
            vec![first(), 1_000_i64.into(), account(), limit()],
        ),
        ("oldest changes", changes::OLDER.into(), vec![now(), limit()]),
        ("last attempts of deliveries", endings::last_numbers(backend, many), seqs()),
        ("ends held", endings::holding(backend, many, sql::locked(backend)), seqs()),
        ("who stands in a line", lines::occupying(1), [vec![account()], line()].concat()),
        ("who comes to a line", lines::coming(backend, many), seqs()),
        ("who leaves a line", lines::leaving(backend, many), seqs()),
        (
            "whose turn it is",
            lines::CALL.into(),
            [vec![account()], line(), vec![IN_LINE.as_micros().into()]].concat(),
        ),
    ]
}
