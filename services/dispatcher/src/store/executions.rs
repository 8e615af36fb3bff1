//! The `execution` rows: inserted at acceptance, never updated.

use std::sync::Arc;

use sea_orm::Value;
use sluice_domain::{AccountId, ExecutionId, Timestamp};
use sluice_storage::{Backend, Column, Insertion, Query, Row, StorageError, Transaction};

use super::{Result, bodies, lanes, sql};
use crate::execution::{EventSummary, Execution};
use crate::plan::Plan;
use crate::record;
use crate::trace::TraceId;

const COLUMNS: &str = "seq, account, id, automation, automation_version, generation, event, traceparent, trace, record, accepted_at, \
     plan, bodies";
const WIDTH: usize = 13;

const INSERTION: Insertion<WIDTH> = Insertion::new(
    "execution",
    [
        Column::int("seq"),
        Column::text("account"),
        Column::bytes("id"),
        Column::text("automation"),
        Column::int("automation_version"),
        Column::int("generation"),
        Column::text("event"),
        Column::text("traceparent"),
        Column::int("trace"),
        Column::int("record"),
        Column::int("accepted_at"),
        Column::text("plan"),
        Column::bytes("bodies"),
    ],
    "",
);

/// The next places in the order of acceptance. The accounts are locked, so an account's places follow the order of its locks.
pub(super) async fn places(tx: &Transaction, count: usize) -> Result<Vec<i64>> {
    let wanted = i64::try_from(count).map_err(StorageError::decode)?;
    match tx.backend() {
        Backend::Sqlite => {
            let update = "UPDATE sequence SET next = next + $1 RETURNING next";
            let row = tx.one(update, vec![wanted.into()]).await?;
            let next: i64 = row.ok_or_else(|| StorageError::decode("the sequence is missing"))?.at(0)?;
            Ok((next - wanted..next).collect())
        }
        Backend::Postgres => {
            let select = "SELECT nextval('sequence') FROM generate_series(1, $1)";
            let rows = tx.all(select, vec![wanted.into()]).await?;
            rows.iter().map(|row| row.at(0)).collect()
        }
    }
}

/// The requests of an execution as they are stored.
pub(super) struct Requests {
    plan: String,
    bodies: Vec<u8>,
}

impl Requests {
    /// Those of a plan.
    pub(super) fn of(plan: &Plan) -> Result<Self> {
        let (plan, bodies) = plan.encode().map_err(StorageError::decode)?;
        Ok(Self { plan, bodies: bodies::packed(bodies) })
    }
}

/// Inserts accepted executions with their places and requests.
pub(super) async fn insert(
    tx: &Transaction,
    rows: impl Iterator<Item = (i64, &Execution, &Requests)>,
) -> Result<()> {
    let rows = rows.map(|(seq, execution, requests)| columns(seq, execution, requests));
    INSERTION.run(tx, rows.collect::<Result<_>>()?).await.map(drop)
}

fn columns(seq: i64, execution: &Execution, requests: &Requests) -> Result<[Value; WIDTH]> {
    let event = serde_json::to_string(&execution.event).map_err(StorageError::decode)?;
    Ok([
        seq.into(),
        execution.account.as_str().into(),
        execution.id.to_bytes().to_vec().into(),
        lanes::automation_text(execution.automation).into(),
        execution.automation_version.into(),
        execution.generation.into(),
        event.into(),
        execution.traceparent.as_str().into(),
        TraceId::of(&execution.traceparent).map(|trace| trace.key(&execution.account)).into(),
        record::key(&execution.account, &execution.event.record_id).into(),
        execution.accepted_at.as_micros().into(),
        requests.plan.as_str().into(),
        requests.bodies.clone().into(),
    ])
}

/// The id of a row that has it.
pub(super) fn id(row: &Row) -> Result<ExecutionId> {
    let id: Vec<u8> = row.get("id")?;
    let wrong = |_| StorageError::decode("an execution's id has not 16 bytes");
    id.try_into().map(ExecutionId::from_bytes).map_err(wrong)
}

/// The execution of a row that has the columns of an execution; bodies only where they were selected.
pub(super) fn read(account: &AccountId, row: &Row, with_bodies: bool) -> Result<Execution> {
    let event: EventSummary =
        serde_json::from_str(&row.get::<String>("event")?).map_err(StorageError::decode)?;
    let plan: String = row.get("plan")?;
    let plan = match with_bodies {
        true => Plan::decode(&plan, Some((row.get("bodies")?, bodies::unpacked))),
        false => Plan::decode(&plan, None),
    };
    Ok(Execution {
        account: account.clone(),
        id: id(row)?,
        automation: lanes::automation(&row.get::<String>("automation")?)?,
        automation_version: row.get("automation_version")?,
        generation: row.get("generation")?,
        event,
        traceparent: row.get("traceparent")?,
        accepted_at: Timestamp::from_micros(row.get("accepted_at")?),
        plan: Arc::new(plan.map_err(StorageError::decode)?),
    })
}

/// Those of these places that are the account's, without bodies.
pub(super) async fn at(
    query: &impl Query,
    account: &AccountId,
    seqs: &[i64],
) -> Result<Vec<(i64, Execution)>> {
    own(account, &sql::all_of(query, seqs, sql::without_bodies).await?, false)
}

/// Those of these places that are the account's, whole.
pub(super) async fn whole(
    query: &impl Query,
    account: &AccountId,
    seqs: &[i64],
) -> Result<Vec<(i64, Execution)>> {
    own(account, &sql::all_of(query, seqs, loading).await?, true)
}

/// What of these rows is the account's.
fn own(account: &AccountId, rows: &[Row], with_bodies: bool) -> Result<Vec<(i64, Execution)>> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        if row.get::<String>("account")? == account.as_str() {
            found.push((row.get("seq")?, read(account, row, with_bodies)?));
        }
    }
    Ok(found)
}

/// That many executions whole: keys.
pub(super) fn loading(backend: Backend, executions: usize) -> String {
    format!("SELECT {COLUMNS} FROM execution WHERE seq {}", sql::among(backend, executions, 1))
}

/// One execution with its place and bodies, or nothing if the account has none of this id.
pub(super) async fn get(
    query: &impl Query,
    account: &AccountId,
    id: ExecutionId,
) -> Result<Option<(i64, Execution)>> {
    let select = format!("SELECT {COLUMNS} FROM execution WHERE account = $1 AND id = $2");
    let row = query.one(&select, vec![account.as_str().into(), id.to_bytes().to_vec().into()]).await?;
    row.map(|row| Ok((row.get("seq")?, read(account, &row, true)?))).transpose()
}

/// The place of an execution.
pub(super) async fn seq_of(query: &impl Query, account: &AccountId, id: ExecutionId) -> Result<Option<i64>> {
    let row = query.one(sql::SEQ_OF, vec![account.as_str().into(), id.to_bytes().to_vec().into()]).await?;
    row.map(|row| row.at(0)).transpose()
}
