//! Pruning: what ended longer ago than the plan keeps it goes, a bounded step at a time; what waits is never touched.
//!
//! The places in the order of acceptance are looked through a shelf of 8,192 at a time. What lies together was accepted together, by
//! whatever account, and mostly goes together: pages are freed, not rewritten once for each account. A shelf remembers when something
//! on it may be next to go, and is left alone until then: what is kept, or waits, is not looked at again and again.

use std::collections::{HashMap, HashSet};

use sluice_domain::{Span, Timestamp};
use sluice_storage::rows::chunks;
use sluice_storage::{Backend, Query, Row, StorageError, Transaction};

use super::{Result, Store, endings, pending, sql, whole};

/// How many bits of a place lie within one shelf.
const SHELF: i64 = 13;
/// How many places one step looks at, and so the most that one transaction deletes.
const AT_ONCE: i64 = 128;
/// How many accounts one statement asks for how long they keep their history.
const ACCOUNTS_AT_ONCE: i64 = 1_000;
/// How long whoever looks through a shelf has it alone; and the soonest that a shelf is looked through again.
const APART: Span = Span::from_secs(600);

/// A shelf that is being looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    shelf: i64,
    /// The next place.
    at: i64,
    /// What no account keeps its history shorter than.
    shortest: Span,
    /// When something that stays may be next to go.
    next: Timestamp,
    /// Whether something stays that ended.
    stays: bool,
}

/// How long an account keeps what ended.
type Keep = HashMap<String, Span>;

impl Store {
    /// What the account with the shortest history keeps it for; nothing while no account is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shortest_history(&self) -> Result<Option<Span>> {
        let reader = self.database.read();
        let (mut shortest, mut after) = (None, String::new());
        loop {
            let values = vec![after.as_str().into(), ACCOUNTS_AT_ONCE.into()];
            let Some(row) = reader.one(sql::SHORTEST_HISTORY, values).await? else { return Ok(shortest) };
            let (found, last): (Option<i64>, Option<String>) = (row.at(0)?, row.at(1)?);
            let Some(last) = last else { return Ok(shortest) };
            shortest = found.map(Span::from_micros).into_iter().chain(shortest).min();
            after = last;
        }
    }

    /// A shelf of which something may have to go, and that nobody else looks through.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shelf_due(&self, shortest: Span) -> Result<Option<Look>> {
        whole!(self.shelf_due_once(shortest))
    }

    async fn shelf_due_once(&self, shortest: Span) -> Result<Option<Look>> {
        let reader = self.database.read();
        let now = reader.now().await?;
        let due = reader.one(sql::SHELF_DUE, vec![now.as_micros().into()]).await?;
        let shelf = match due {
            Some(row) => row.at(0)?,
            None => {
                let row = reader.one(sql::LAST_SHELF, vec![]).await?;
                let last: Option<i64> = row.map(|row| row.at(0)).transpose()?.flatten();
                let from = last.map_or(0, |last| (last + 1) << SHELF);
                let Some(first) = reader.one(sql::FIRST_PLACE, vec![from.into()]).await? else {
                    return Ok(None);
                };
                if Timestamp::from_micros(first.at(1)?) > now.minus(shortest) {
                    return Ok(None);
                }
                first.at::<i64>(0)? >> SHELF
            }
        };
        let tx = self.database.write("shelf").await?;
        let values = vec![shelf.into(), now.plus(APART).as_micros().into(), now.as_micros().into()];
        let mine = tx.execute(sql::TAKE_SHELF, values).await? > 0;
        tx.commit().await?;
        let next = now.plus(shortest);
        Ok(mine.then_some(Look { shelf, at: shelf << SHELF, shortest, next, stays: false }))
    }

    /// Looks at the next places of a shelf, and deletes what has to go. Says how much that was, or nothing when the shelf is through.
    ///
    /// # Errors
    /// When the database does not answer; nothing is gone then, and the same places may be looked at again.
    pub async fn prune(&self, look: &mut Look) -> Result<Option<usize>> {
        let end = (look.shelf + 1) << SHELF;
        if look.at >= end {
            whole!(self.put_back_once(look))?;
            return Ok(None);
        }
        let reader = self.database.read();
        let to = (look.at + AT_ONCE).min(end);
        let rows = reader.all(sql::ENDED_PLACES, vec![look.at.into(), to.into()]).await?;
        let latest = rows.iter().map(place).collect::<Result<HashMap<i64, Timestamp>>>()?;
        let now = reader.now().await?;
        let old: Vec<i64> =
            latest.iter().filter(|(_, at)| at.plus(look.shortest) < now).map(|(seq, _)| *seq).collect();
        let owners = owners(&reader, &old).await?;
        let keeps = keeps(&reader, &owners).await?;
        let mut gone: Vec<(i64, Timestamp)> = Vec::new();
        for (seq, at) in latest {
            let keep = owners.get(&seq).map_or(Some(look.shortest), |owner| keeps.get(owner).copied());
            match keep {
                Some(keep) if at.plus(keep) < now => gone.push((seq, at)),
                // Of an account that nobody knows any more it stays, until somebody does.
                keep => {
                    look.stays = true;
                    let goes = keep.map(|keep| at.plus(keep).plus(Span::from_micros(1)));
                    look.next = look.next.min(goes.unwrap_or(look.next));
                }
            }
        }
        let removed = if gone.is_empty() { 0 } else { whole!(self.remove_once(&gone))? };
        look.at = to;
        Ok(Some(removed))
    }

    /// Deletes executions that ended then, but for those that were opened again meanwhile.
    async fn remove_once(&self, gone: &[(i64, Timestamp)]) -> Result<usize> {
        let seqs: Vec<i64> = gone.iter().map(|(seq, _)| *seq).collect();
        let tx = self.database.write("prune").await?;
        // Whoever opens one again holds its end: who comes first has it, and the other one leaves it.
        let held = hold(&tx, &seqs).await?;
        let waiting: HashSet<i64> = pending::get(&tx, &held).await?.iter().map(|(row, _)| row.seq).collect();
        let ended: HashMap<i64, Timestamp> =
            endings::latest(&tx, &held).await?.into_iter().map(|ending| (ending.seq, ending.at)).collect();
        let stands = |seq: &i64, at: &Timestamp| !waiting.contains(seq) && ended.get(seq) == Some(at);
        let gone: Vec<i64> = gone.iter().filter(|(seq, at)| stands(seq, at)).map(|(seq, _)| *seq).collect();
        for table in ["attempt", "ending", "execution"] {
            sql::execute_of(&tx, &[], &gone, |backend, keys| deleting(backend, table, "seq", keys)).await?;
        }
        tx.commit().await?;
        Ok(gone.len())
    }

    /// Leaves a shelf until something on it may be next to go; an empty one is forgotten.
    async fn put_back_once(&self, look: &Look) -> Result<()> {
        let (from, end) = (look.shelf << SHELF, (look.shelf + 1) << SHELF);
        let reader = self.database.read();
        let first = reader.one(sql::FIRST_PLACE, vec![from.into()]).await?;
        let first: Option<i64> = first.map(|row| row.at(0)).transpose()?;
        let now = reader.now().await?;
        let tx = self.database.write("put_back").await?;
        if !look.stays && first.is_none_or(|first| first >= end) {
            tx.execute("DELETE FROM shelf WHERE shelf = $1", vec![look.shelf.into()]).await?;
        } else {
            let next = look.next.max(now.plus(APART)).as_micros();
            let update = "UPDATE shelf SET look_at = $2 WHERE shelf = $1";
            tx.execute(update, vec![look.shelf.into(), next.into()]).await?;
        }
        tx.commit().await
    }

    /// Prunes the oldest receipts if they are older than `keep`: an event that comes again later counts as a new one.
    ///
    /// # Errors
    /// When the database does not answer; nothing is gone then.
    pub async fn prune_receipts(&self, keep: Span) -> Result<usize> {
        whole!(self.prune_receipts_once(keep))
    }

    async fn prune_receipts_once(&self, keep: Span) -> Result<usize> {
        let reader = self.database.read();
        let until = reader.now().await?.minus(keep).as_micros();
        let rows = reader.all(sql::OLDEST_RECEIPTS, vec![AT_ONCE.into()]).await?;
        let mut old = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.at::<i64>(1)? < until {
                old.push(row.at::<i64>(0)?);
            }
        }
        if old.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write("prune_receipts").await?;
        sql::execute_of(&tx, &[], &old, |backend, keys| deleting(backend, "receipt", "receipt", keys))
            .await?;
        tx.commit().await?;
        Ok(old.len())
    }
}

/// Shelves are looked through anew where an account keeps its history shorter than before.
pub(super) async fn look_again(tx: &Transaction) -> Result<()> {
    tx.execute("UPDATE shelf SET look_at = 0 WHERE look_at > 0", vec![]).await?;
    Ok(())
}

/// Those of these executions whose ends this transaction holds; another one has the rest.
async fn hold(tx: &Transaction, seqs: &[i64]) -> Result<Vec<i64>> {
    if tx.backend() == Backend::Sqlite {
        return Ok(seqs.to_vec());
    }
    let select = |backend, keys| endings::holding(backend, keys, " FOR UPDATE SKIP LOCKED");
    let rows = sql::all_of(tx, seqs, select).await?;
    let mut held = rows.iter().map(|row| row.at(0)).collect::<Result<Vec<i64>>>()?;
    held.dedup();
    Ok(held)
}

/// Whose executions these are.
async fn owners(query: &impl Query, seqs: &[i64]) -> Result<HashMap<i64, String>> {
    let rows = sql::all_of(query, seqs, sql::owners).await?;
    rows.iter().map(|row| Ok((row.at(0)?, row.at(1)?))).collect()
}

/// How long these accounts keep what ended, those that the registry told of.
async fn keeps(query: &impl Query, owners: &HashMap<i64, String>) -> Result<Keep> {
    let names: HashSet<&String> = owners.values().collect();
    let names: Vec<&String> = names.into_iter().collect();
    let mut found = HashMap::with_capacity(names.len());
    for piece in chunks(&names, query.backend(), 1) {
        let values = piece.iter().map(|name| name.as_str().into()).collect();
        for row in query.all(&sql::histories(piece.len()), values).await? {
            found.insert(row.at(0)?, Span::from_micros(row.at(1)?));
        }
    }
    Ok(found)
}

/// Deletes the rows of a table that have one of that many values in a column: the values.
pub(super) fn deleting(backend: Backend, table: &str, column: &str, values: usize) -> String {
    format!("DELETE FROM {table} WHERE {column} {}", sql::among(backend, values, 1))
}

fn place(row: &Row) -> Result<(i64, Timestamp)> {
    Ok((row.at(0)?, Timestamp::from_micros(row.at(1)?)))
}
