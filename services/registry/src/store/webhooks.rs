//! The rows of webhooks: read, listed, written whole.

use std::str::FromStr;

use sluice_domain::{AccountId, Rate, ReceiverLimits, Span, Subscription, Timestamp, UserId, WebhookId};
use sluice_storage::{Query, Row, StorageError, Transaction, Value};

use super::Store;
use crate::access::Caller;
use crate::authentication::Scheme;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits::Count;
use crate::webhook::{Disabled, DisplayName, Kind, Webhook};

/// Everything but the secrets, in the order [`read`] takes it.
const COLUMNS: &str = "account, id, kind, display_name, endpoint_url, scheme, scheme_detail, subscription_object, \
     subscription_actions, state, owner, owner_is_admin, created_at, updated_at, version, disable_reason, disabled_at, \
     max_in_flight, rate_units, rate_per_us, rate_burst, ordering";

/// Which webhooks a listing shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only the one of this name.
    pub display_name: Option<DisplayName>,
}

/// Secrets as they are kept: sealed.
pub(super) struct Sealed {
    pub(super) credential: Option<Vec<u8>>,
    pub(super) signing: Vec<u8>,
}

impl Store {
    /// The webhook, if the caller may know of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none or the caller may not see it; [`Error::AccountUnknown`].
    pub async fn webhook(
        &self,
        account: &AccountId,
        id: WebhookId,
        caller: &Caller,
    ) -> Result<Webhook, Error> {
        self.account(account).await?;
        find(&self.0.database.read(), account, id)
            .await?
            .filter(|webhook| caller.sees(webhook))
            .ok_or_else(|| Error::no_webhook(format!("accounts/{account}/webhooks/{id}")))
    }

    /// At most `limit` webhooks of the account that the caller sees and the filter wants, oldest first, after `last`.
    ///
    /// # Errors
    /// [`Error::AccountUnknown`].
    pub async fn webhooks(
        &self,
        account: &AccountId,
        caller: &Caller,
        filter: &Filter,
        last: Option<WebhookId>,
        limit: usize,
    ) -> Result<Vec<Webhook>, Error> {
        self.account(account).await?;
        let last = last.map(|id| id.to_bytes().to_vec()).unwrap_or_default();
        let mut values = vec![account.as_str().into(), last.into()];
        let mut sql = format!("SELECT {COLUMNS} FROM webhooks WHERE account = $1 AND id > $2");
        if let Some(kind) = filter.kind {
            values.push(kind.as_str().into());
            sql.push_str(&format!(" AND kind = ${}", values.len()));
        }
        if let Some(display_name) = &filter.display_name {
            values.push(display_name.as_str().into());
            sql.push_str(&format!(" AND display_name = ${}", values.len()));
        }
        if let Caller::Member(user) = caller {
            values.push(user.as_str().into());
            sql.push_str(&format!(" AND (kind = 'AUTOMATION' OR owner = ${})", values.len()));
        }
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        sql.push_str(&format!(" ORDER BY id LIMIT ${}", values.len()));
        let rows = self.0.database.read().all(&sql, values).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}

/// The webhook's row.
pub(super) async fn find(
    query: &impl Query,
    account: &AccountId,
    id: WebhookId,
) -> Result<Option<Webhook>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE account = $1 AND id = $2");
    let row = query.one(&sql, key(account, id)).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// The webhook's row with its sealed secrets.
pub(super) async fn find_sealed(
    query: &impl Query,
    account: &AccountId,
    id: WebhookId,
) -> Result<Option<(Webhook, Sealed)>, Error> {
    let sql =
        format!("SELECT {COLUMNS}, credential, signing_secret FROM webhooks WHERE account = $1 AND id = $2");
    let Some(row) = query.one(&sql, key(account, id)).await? else { return Ok(None) };
    let sealed = Sealed { credential: row.get("credential")?, signing: row.get("signing_secret")? };
    Ok(Some((read(&row)?, sealed)))
}

/// At most `limit` webhooks of all accounts after this one, by account and id.
pub(super) async fn after(
    query: &impl Query,
    last: Option<&(AccountId, WebhookId)>,
    limit: i64,
) -> Result<Vec<Webhook>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM webhooks WHERE (account, id) > ($1, $2) ORDER BY account, id LIMIT $3"
    );
    let (account, id) =
        last.map(|(account, id)| (account.as_str().to_owned(), id.to_bytes().to_vec())).unwrap_or_default();
    let rows = query.all(&sql, vec![account.into(), id.into(), limit.into()]).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Whether another webhook of the account has this name.
pub(super) async fn is_taken(
    transaction: &Transaction,
    account: &AccountId,
    display_name: &DisplayName,
    but: WebhookId,
) -> Result<bool, Error> {
    let row = transaction
        .one(
            "SELECT id FROM webhooks WHERE account = $1 AND display_name = $2 AND id <> $3",
            vec![account.as_str().into(), display_name.as_str().into(), but.to_bytes().to_vec().into()],
        )
        .await?;
    Ok(row.is_some())
}

/// How many webhooks of this kind the account has, and how many of them this owner.
pub(super) async fn count(
    transaction: &Transaction,
    account: &AccountId,
    kind: Kind,
    owner: &UserId,
) -> Result<Count, Error> {
    let row = transaction
        .one(
            "SELECT COUNT(*), COUNT(CASE WHEN owner = $3 THEN 1 END) FROM webhooks WHERE account = $1 AND kind = $2",
            vec![account.as_str().into(), kind.as_str().into(), owner.as_str().into()],
        )
        .await?
        .ok_or_else(|| StorageError::decode("a count without a row"))?;
    Ok(Count { of_kind: row.at(0)?, of_owner: row.at(1)? })
}

/// Adds a row.
pub(super) async fn insert(
    transaction: &Transaction,
    webhook: &Webhook,
    sealed: Sealed,
) -> Result<(), Error> {
    let (object, actions) = write_subscription(webhook.subscription.as_ref());
    transaction
        .execute(
            "INSERT INTO webhooks (account, id, kind, display_name, endpoint_url, scheme, scheme_detail, credential,
                 signing_secret, subscription_object, subscription_actions, state, owner, owner_is_admin, created_at,
                 updated_at, version, disable_reason, disabled_at, ordering, max_in_flight, rate_units, rate_per_us, rate_burst)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
            [vec![
                webhook.account.as_str().into(),
                webhook.id.to_bytes().to_vec().into(),
                webhook.kind.as_str().into(),
                webhook.display_name.as_str().into(),
                webhook.endpoint.as_str().into(),
                webhook.scheme.word().into(),
                webhook.scheme.detail().map(str::to_owned).into(),
                sealed.credential.into(),
                sealed.signing.into(),
                object.into(),
                actions.into(),
                webhook.state().as_str().into(),
                webhook.owner.as_str().into(),
                webhook.owner_is_admin.into(),
                webhook.created_at.as_micros().into(),
                webhook.updated_at.as_micros().into(),
                webhook.version.into(),
                webhook.disabled.map(|disabled| disabled.why.as_str()).into(),
                webhook.disabled.map(|disabled| disabled.at.as_micros()).into(),
                webhook.ordering.as_str().into(),
            ], write_limits(webhook.limits).into()].concat(),
        )
        .await?;
    Ok(())
}

/// Writes what can change of a row; the signing secret stays.
pub(super) async fn update(
    transaction: &Transaction,
    webhook: &Webhook,
    credential: Option<Vec<u8>>,
) -> Result<(), Error> {
    let (object, actions) = write_subscription(webhook.subscription.as_ref());
    transaction
        .execute(
            "UPDATE webhooks SET display_name = $3, endpoint_url = $4, scheme = $5, scheme_detail = $6, credential = $7,
                 subscription_object = $8, subscription_actions = $9, state = $10, updated_at = $11, version = $12,
                 owner_is_admin = $13, disable_reason = $14, disabled_at = $15, ordering = $16, max_in_flight = $17, rate_units = $18,
                 rate_per_us = $19, rate_burst = $20
             WHERE account = $1 AND id = $2",
            [vec![
                webhook.account.as_str().into(),
                webhook.id.to_bytes().to_vec().into(),
                webhook.display_name.as_str().into(),
                webhook.endpoint.as_str().into(),
                webhook.scheme.word().into(),
                webhook.scheme.detail().map(str::to_owned).into(),
                credential.into(),
                object.into(),
                actions.into(),
                webhook.state().as_str().into(),
                webhook.updated_at.as_micros().into(),
                webhook.version.into(),
                webhook.owner_is_admin.into(),
                webhook.disabled.map(|disabled| disabled.why.as_str()).into(),
                webhook.disabled.map(|disabled| disabled.at.as_micros()).into(),
                webhook.ordering.as_str().into(),
            ], write_limits(webhook.limits).into()].concat(),
        )
        .await?;
    Ok(())
}

/// Takes a row away.
pub(super) async fn delete(
    transaction: &Transaction,
    account: &AccountId,
    id: WebhookId,
) -> Result<(), Error> {
    transaction.execute("DELETE FROM webhooks WHERE account = $1 AND id = $2", key(account, id)).await?;
    Ok(())
}

/// An id from its 16 bytes.
pub(super) fn id_of(bytes: &[u8]) -> Result<WebhookId, StorageError> {
    bytes
        .try_into()
        .map(WebhookId::from_bytes)
        .map_err(|_| StorageError::decode("a webhook's id is not 16 bytes long"))
}

fn key(account: &AccountId, id: WebhookId) -> Vec<Value> {
    vec![account.as_str().into(), id.to_bytes().to_vec().into()]
}

fn read(row: &Row) -> Result<Webhook, StorageError> {
    let id: Vec<u8> = row.at(1)?;
    let endpoint: String = row.at(4)?;
    let scheme: String = row.at(5)?;
    let actions: String = row.at(8)?;
    Ok(Webhook {
        account: word(row, 0)?,
        id: id_of(&id)?,
        kind: word(row, 2)?,
        display_name: word(row, 3)?,
        endpoint: Endpoint::stored(endpoint),
        scheme: Scheme::from_stored(&scheme, row.at(6)?)
            .ok_or_else(|| StorageError::decode("an authentication of no known scheme"))?,
        subscription: read_subscription(row.at(7)?, &actions)?,
        disabled: match row.at::<Option<String>>(15)? {
            None => None,
            Some(why) => Some(Disabled {
                why: why.parse().map_err(StorageError::decode)?,
                at: Timestamp::from_micros(row.at(16)?),
            }),
        },
        owner: word::<UserId>(row, 10)?,
        owner_is_admin: row.at(11)?,
        created_at: Timestamp::from_micros(row.at(12)?),
        updated_at: Timestamp::from_micros(row.at(13)?),
        version: row.at(14)?,
        limits: read_limits(row)?,
        ordering: word(row, 21)?,
    })
}

fn read_limits(row: &Row) -> Result<ReceiverLimits, StorageError> {
    let number = |column| -> Result<Option<u32>, StorageError> {
        row.at::<Option<i64>>(column)?.map(u32::try_from).transpose().map_err(StorageError::decode)
    };
    let rate = match (number(18)?, row.at::<Option<i64>>(19)?, number(20)?) {
        (Some(units), Some(per), Some(burst)) => Some(Rate { units, per: Span::from_micros(per), burst }),
        _ => None,
    };
    Ok(ReceiverLimits { max_in_flight: number(17)?, rate })
}

fn write_limits(limits: ReceiverLimits) -> [Value; 4] {
    let rate = |of: fn(Rate) -> i64| Value::from(limits.rate.map(of));
    [
        limits.max_in_flight.map(i64::from).into(),
        rate(|rate| rate.units.into()),
        rate(|rate| rate.per.as_micros()),
        rate(|rate| rate.burst.into()),
    ]
}

fn word<T: FromStr<Err: std::fmt::Display>>(row: &Row, column: usize) -> Result<T, StorageError> {
    let text: String = row.at(column)?;
    text.parse().map_err(StorageError::decode)
}

fn write_subscription(subscription: Option<&Subscription>) -> (Option<String>, String) {
    let Some(subscription) = subscription else { return (None, String::new()) };
    let object = subscription.object.as_ref().map_or("*", |object| object.as_str());
    let actions: Vec<_> = subscription.actions.iter().map(|action| action.as_str()).collect();
    (Some(object.to_owned()), actions.join(","))
}

fn read_subscription(object: Option<String>, actions: &str) -> Result<Option<Subscription>, StorageError> {
    let Some(object) = object else { return Ok(None) };
    let object = match object.as_str() {
        "*" => None,
        named => Some(named.parse().map_err(StorageError::decode)?),
    };
    let actions = actions
        .split(',')
        .filter(|action| !action.is_empty())
        .map(|action| action.parse().map_err(StorageError::decode))
        .collect::<Result<_, _>>()?;
    Ok(Some(Subscription { object, actions }))
}

#[cfg(test)]
mod tests {
    use sluice_domain::Action;

    use super::*;

    #[test]
    fn subscriptions_read_back_as_they_are_written() {
        for subscription in [
            None,
            Some(Subscription { object: None, actions: vec![] }),
            Some(Subscription {
                object: Some("deal".parse().unwrap()),
                actions: vec![Action::Added, Action::Deleted],
            }),
        ] {
            let (object, actions) = write_subscription(subscription.as_ref());
            assert_eq!(read_subscription(object, &actions).unwrap(), subscription);
        }
        assert!(read_subscription(Some("*".into()), "burned").is_err());
    }
}
