//! Pruning: what ended longer ago than the plan keeps it goes, a bounded step at a time; what waits is never touched.

use sluice_domain::{AccountId, ExecutionId, Span};
use sluice_storage::rows::chunks;
use sluice_storage::{Query, StorageError, Transaction};

use super::{Result, Store, accounts, endings, pending, sql, whole};
use crate::transition::Ending;

/// How many executions or receipts one transaction looks at.
const AT_ONCE: i64 = 500;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many executions or receipts are gone.
    pub removed: usize,
    /// Where the next step begins, if there is more to look at.
    pub next: Option<ExecutionId>,
}

impl Store {
    /// Accounts after this one in order of name, with how long each keeps its history; at most 100.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn histories(&self, after: Option<&AccountId>) -> Result<Vec<(AccountId, Span)>> {
        let select = "SELECT account, history_us FROM account WHERE account > $1 AND version IS NOT NULL ORDER BY account LIMIT 100";
        let after = after.map_or("", AccountId::as_str);
        let rows = self.database.read().all(select, vec![after.into()]).await?;
        let read = |row: &sluice_storage::Row| -> Result<(AccountId, Span)> {
            Ok((row.at::<String>(0)?.parse().map_err(StorageError::decode)?, Span::from_micros(row.at(1)?)))
        };
        rows.iter().map(read).collect()
    }

    /// Prunes an account's executions that ended longer ago than `keep`, beginning after a key.
    ///
    /// # Errors
    /// When the database does not answer; nothing is gone then.
    pub async fn prune(&self, account: &AccountId, keep: Span, after: Option<ExecutionId>) -> Result<Pruned> {
        whole!(self.prune_once(account, keep, after))
    }

    async fn prune_once(
        &self,
        account: &AccountId,
        keep: Span,
        after: Option<ExecutionId>,
    ) -> Result<Pruned> {
        let reader = self.database.read();
        let until = reader.now().await?.minus(keep);
        // What was accepted later can't have ended before.
        let bound = ExecutionId::mint(until, [0; 10]);
        let values = vec![
            account.as_str().into(),
            after.map_or_else(Vec::new, |id| id.to_bytes().to_vec()).into(),
            bound.to_bytes().to_vec().into(),
            AT_ONCE.into(),
        ];
        let rows = reader.all(sql::OLDEST, values).await?;
        let Some(last) = rows.last() else { return Ok(Pruned { removed: 0, next: None }) };
        let last: Vec<u8> = last.at(1)?;
        let last = <[u8; 16]>::try_from(last)
            .map_err(|_| StorageError::decode("an execution's id has not 16 bytes"))?;
        let next = (i64::try_from(rows.len()).unwrap_or(0) == AT_ONCE).then(|| ExecutionId::from_bytes(last));
        let seqs = rows.iter().map(|row| row.at(0)).collect::<Result<Vec<i64>>>()?;
        let over = |ending: &Ending| ending.at < until;
        if !endings::latest(&reader, &seqs).await?.iter().any(over) {
            return Ok(Pruned { removed: 0, next });
        }

        // Under the account's lock nobody opens an ended execution again meanwhile.
        let tx = self.database.write("prune").await?;
        accounts::lock(&tx, [account]).await?;
        let waiting: Vec<i64> = pending::get(&tx, &seqs).await?.iter().map(|(row, _)| row.seq).collect();
        let ended = endings::latest(&tx, &seqs).await?;
        let gone: Vec<i64> = ended.iter().filter(|ending| over(ending)).map(|ending| ending.seq).collect();
        let gone: Vec<i64> = gone.into_iter().filter(|seq| !waiting.contains(seq)).collect();
        for table in ["attempt", "ending", "execution"] {
            delete(&tx, table, &gone).await?;
        }
        tx.commit().await?;
        Ok(Pruned { removed: gone.len(), next })
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
        for piece in chunks(&old, tx.backend(), 1) {
            let delete = format!("DELETE FROM receipt WHERE receipt IN ({})", sql::list(piece.len(), 1));
            tx.execute(&delete, sql::keys(piece)).await?;
        }
        tx.commit().await?;
        Ok(old.len())
    }
}

async fn delete(tx: &Transaction, table: &str, seqs: &[i64]) -> Result<()> {
    for piece in chunks(seqs, tx.backend(), 1) {
        let delete = format!("DELETE FROM {table} WHERE seq IN ({})", sql::list(piece.len(), 1));
        tx.execute(&delete, sql::keys(piece)).await?;
    }
    Ok(())
}
