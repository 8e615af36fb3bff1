//! Accounts as billing described them.

use sluice_domain::{AccountId, Entitlements, Timestamp, Violations};
use sluice_storage::{Query, Row, StorageError, Transaction};

use super::changes::{self, Key};
use super::{Store, retried};
use crate::entitlements::{Account, Put, Ruling};
use crate::error::Error;

const COLUMNS: &str = "account, anchor, entitlements, updated_at";

impl Store {
    /// Puts entitlements: creates the account, replaces what it may do, or answers as before.
    ///
    /// # Errors
    /// When the plan is not in the catalogue, or the version is outdated or was used for something else.
    pub async fn put_entitlements(&self, account: &AccountId, put: &Put) -> Result<Account, Error> {
        retried(|| self.try_put(account, put)).await
    }

    async fn try_put(&self, account: &AccountId, put: &Put) -> Result<Account, Error> {
        let transaction = self.begin().await?;
        let held = find(&transaction, account).await?;
        match (put.against(held.as_ref()), held) {
            (Ruling::Outdated { held }, _) => return Err(Error::VersionOutdated { held }),
            (Ruling::Reused, _) => return Err(Error::VersionReused),
            (Ruling::Same, Some(held)) => return Ok(held),
            (Ruling::Same, None) | (Ruling::Replace, _) => {}
        }
        let now = transaction.now().await?;
        let made =
            Account::of(account.clone(), put, self.catalogue(), now).ok_or_else(|| self.unknown_plan())?;
        let revision = self.write_account(&transaction, &made, now).await?;
        self.commit(transaction, revision).await?;
        Ok(made)
    }

    /// The account; one that is unknown comes into being when there is a default plan.
    ///
    /// # Errors
    /// [`Error::AccountUnknown`] when there is none.
    pub async fn account(&self, account: &AccountId) -> Result<Account, Error> {
        if let Some(found) = find(&self.0.database.read(), account).await? {
            return Ok(found);
        }
        if self.0.setup.default_plan.is_none() {
            return Err(Error::AccountUnknown(account.clone()));
        }
        retried(|| self.try_come_into_being(account)).await
    }

    async fn try_come_into_being(&self, account: &AccountId) -> Result<Account, Error> {
        let transaction = self.begin().await?;
        let (made, revision) = self.known(&transaction, account).await?;
        if let Some(revision) = revision {
            self.commit(transaction, revision).await?;
        }
        Ok(made)
    }

    /// The account within a write, with the revision of its coming into being if it just did.
    pub(super) async fn known(
        &self,
        transaction: &Transaction,
        account: &AccountId,
    ) -> Result<(Account, Option<i64>), Error> {
        if let Some(found) = find(transaction, account).await? {
            return Ok((found, None));
        }
        let Some(plan) = &self.0.setup.default_plan else {
            return Err(Error::AccountUnknown(account.clone()));
        };
        let now = transaction.now().await?;
        let put = Put { plan: plan.clone(), version: 0, anchor: Timestamp::EPOCH };
        let made =
            Account::of(account.clone(), &put, self.catalogue(), now).ok_or_else(|| self.unknown_plan())?;
        let revision = self.write_account(transaction, &made, now).await?;
        Ok((made, Some(revision)))
    }

    async fn write_account(
        &self,
        transaction: &Transaction,
        account: &Account,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let entitlements = serde_json::to_string(&account.entitlements).map_err(StorageError::decode)?;
        transaction
            .execute(
                "INSERT INTO accounts (account, plan, version, anchor, entitlements, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (account) DO UPDATE SET plan = excluded.plan, version = excluded.version,
                     anchor = excluded.anchor, entitlements = excluded.entitlements, updated_at = excluded.updated_at",
                vec![
                    account.id.as_str().into(),
                    account.entitlements.plan.as_str().into(),
                    account.entitlements.version.into(),
                    account.anchor.as_micros().into(),
                    entitlements.into(),
                    account.updated_at.as_micros().into(),
                ],
            )
            .await?;
        changes::record(transaction, &Key::Account(account.id.clone()), now, self.0.setup.keep_changes).await
    }

    fn unknown_plan(&self) -> Error {
        let names: Vec<_> = self.catalogue().names().collect();
        let mut violations = Violations::new();
        violations.add("plan", format!("must be a plan of the catalogue: {}", names.join(", ")));
        violations.into()
    }
}

/// The account's row.
pub(super) async fn find(query: &impl Query, account: &AccountId) -> Result<Option<Account>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE account = $1");
    let row = query.one(&sql, vec![account.as_str().into()]).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// At most `limit` accounts after this one, in order of their names.
pub(super) async fn after(
    query: &impl Query,
    last: Option<&AccountId>,
    limit: i64,
) -> Result<Vec<Account>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE account > $1 ORDER BY account LIMIT $2");
    let last = last.map_or("", AccountId::as_str);
    let rows = query.all(&sql, vec![last.into(), limit.into()]).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

fn read(row: &Row) -> Result<Account, StorageError> {
    let account: String = row.at(0)?;
    let entitlements: String = row.at(2)?;
    let entitlements: Entitlements = serde_json::from_str(&entitlements).map_err(StorageError::decode)?;
    Ok(Account {
        id: account.parse().map_err(StorageError::decode)?,
        entitlements,
        anchor: Timestamp::from_micros(row.at(1)?),
        updated_at: Timestamp::from_micros(row.at(3)?),
    })
}
