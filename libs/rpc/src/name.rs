//! Resource names after AIP-122: `accounts/{account}`, `accounts/{account}/quota` and `accounts/{account}/webhooks/{webhook}`.

use std::fmt;
use std::str::FromStr;

use sluice_auth::Principal;
use sluice_domain::{AccountId, AutomationId, ExecutionId, Reason, Violations, WebhookId};
use thiserror::Error;

use crate::fault::Fault;

/// The ids of one collection of an account.
pub trait Collection: FromStr<Err: fmt::Display> + fmt::Display {
    /// The collection's segment of the path, such as `webhooks`.
    const SEGMENT: &'static str;
    /// One member of it, such as `webhook`.
    const NOUN: &'static str;
}

macro_rules! collections {
    ($($id:ty, $segment:literal, $noun:literal;)+) => {$(
        impl Collection for $id {
            const SEGMENT: &'static str = $segment;
            const NOUN: &'static str = $noun;
        }
    )+};
}

collections! {
    WebhookId, "webhooks", "webhook";
    AutomationId, "automations", "automation";
    ExecutionId, "executions", "execution";
}

/// The text is not a resource name of the kind needed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameFormatError {
    /// Other segments than these.
    #[error("must have the form `{0}`")]
    Form(String),
    /// The account's segment is no account id.
    #[error("its account {0}")]
    Account(String),
    /// The last segment is no id of this collection.
    #[error("its last segment {0}")]
    Id(String),
}

/// The name of an account, `accounts/{account}`: what collections have as their parent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountName(pub AccountId);

/// The name of an account's quota, `accounts/{account}/quota`: each has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QuotaName(pub AccountId);

/// The name of one thing of an account, `accounts/{account}/webhooks/{webhook}` for a [`WebhookId`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceName<I> {
    /// Whose it is.
    pub account: AccountId,
    /// Its id.
    pub id: I,
}

impl AccountName {
    /// Reads the name from a field of a request that has nothing else to check.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, naming the field and the form.
    pub fn in_field(field: &str, text: &str) -> Result<Self, Fault> {
        in_field(field, text)
    }

    /// Checks that the caller may act for this account.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, the same whether the account exists or not.
    pub fn open_to(&self, caller: &Principal) -> Result<(), Fault> {
        if caller.may_act_for(&self.0) {
            return Ok(());
        }
        let message = "the token is not for this account";
        Err(Fault::of(Reason::PermissionDenied, message).with("account", &self.0))
    }
}

impl QuotaName {
    /// Whose it is.
    pub fn account(&self) -> AccountName {
        AccountName(self.0.clone())
    }
}

impl<I: Collection> ResourceName<I> {
    /// Reads the name from a field of a request that has nothing else to check.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, naming the field and the form.
    pub fn in_field(field: &str, text: &str) -> Result<Self, Fault> {
        in_field(field, text)
    }

    /// Checks that the caller may act for the account whose thing this is.
    ///
    /// # Errors
    /// `NOT_FOUND`, as if it did not exist.
    pub fn open_to(&self, caller: &Principal) -> Result<(), Fault> {
        if caller.may_act_for(&self.account) { Ok(()) } else { Err(self.not_found()) }
    }

    /// The refusal when there is no such thing.
    pub fn not_found(&self) -> Fault {
        Fault::not_found(I::NOUN, self)
    }
}

fn in_field<T: FromStr<Err = NameFormatError>>(field: &str, text: &str) -> Result<T, Fault> {
    let mut violations = Violations::new();
    violations.keep(field, text.parse()).ok_or_else(|| Fault::invalid(violations))
}

impl FromStr for AccountName {
    type Err = NameFormatError;

    fn from_str(text: &str) -> Result<Self, NameFormatError> {
        let account = text.strip_prefix("accounts/").filter(|account| !account.contains('/'));
        account_id(account.ok_or_else(|| NameFormatError::Form("accounts/{account}".to_owned()))?).map(Self)
    }
}

impl FromStr for QuotaName {
    type Err = NameFormatError;

    fn from_str(text: &str) -> Result<Self, NameFormatError> {
        let account = text.strip_prefix("accounts/").and_then(|rest| rest.strip_suffix("/quota"));
        let account = account.filter(|account| !account.contains('/'));
        account_id(account.ok_or_else(|| NameFormatError::Form("accounts/{account}/quota".to_owned()))?)
            .map(Self)
    }
}

impl<I: Collection> FromStr for ResourceName<I> {
    type Err = NameFormatError;

    fn from_str(text: &str) -> Result<Self, NameFormatError> {
        let form = || NameFormatError::Form(format!("accounts/{{account}}/{}/{{{}}}", I::SEGMENT, I::NOUN));
        let mut segments = text.split('/');
        let mut next = || segments.next().ok_or_else(form);
        let (accounts, account, collection, id) = (next()?, next()?, next()?, next()?);
        if accounts != "accounts" || collection != I::SEGMENT || segments.next().is_some() {
            return Err(form());
        }
        let account = account_id(account)?;
        let id = id.parse::<I>().map_err(|error| NameFormatError::Id(error.to_string()))?;
        Ok(Self { account, id })
    }
}

fn account_id(text: &str) -> Result<AccountId, NameFormatError> {
    text.parse::<AccountId>().map_err(|error| NameFormatError::Account(error.to_string()))
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accounts/{}", self.0)
    }
}

impl fmt::Display for QuotaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accounts/{}/quota", self.0)
    }
}

impl<I: Collection> fmt::Display for ResourceName<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accounts/{}/{}/{}", self.account, I::SEGMENT, self.id)
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::Timestamp;
    use tonic::Code;

    use super::*;

    fn webhook(account: &str) -> ResourceName<WebhookId> {
        let id = WebhookId::mint(Timestamp::from_micros(1_795_000_000_000_000), [7; 10]);
        ResourceName { account: account.parse().unwrap(), id }
    }

    #[test]
    fn names_survive_a_round_trip() {
        let name = webhook("acme");
        assert_eq!(name.to_string().parse(), Ok(name));
        let account: AccountName = "accounts/a.b~c".parse().unwrap();
        assert_eq!(account.to_string(), "accounts/a.b~c");
        let quota: QuotaName = "accounts/a.b~c/quota".parse().unwrap();
        assert_eq!((quota.to_string().as_str(), quota.account()), ("accounts/a.b~c/quota", account));
    }

    #[test]
    fn other_forms_and_other_collections_are_refused_with_the_form_needed() {
        let good = webhook("acme").to_string();
        for bad in [
            String::new(),
            format!("/{good}"),
            format!("{good}/"),
            format!("{good}/x"),
            good.replace("accounts", "account"),
            good.replace("webhooks", "automations"),
            "accounts/acme".to_owned(),
        ] {
            let refused = bad.parse::<ResourceName<WebhookId>>().unwrap_err();
            assert_eq!(
                refused.to_string(),
                "must have the form `accounts/{account}/webhooks/{webhook}`",
                "{bad}"
            );
        }
        for bad in ["", "acme", "accounts", "accounts/a/b"] {
            assert!(matches!(bad.parse::<AccountName>(), Err(NameFormatError::Form(_))), "{bad}");
        }
        for bad in ["", "accounts/acme", "accounts/acme/quotas", "accounts/a/b/quota", "acme/quota"] {
            assert!(matches!(bad.parse::<QuotaName>(), Err(NameFormatError::Form(_))), "{bad}");
        }
    }

    #[test]
    fn the_broken_segment_is_told() {
        let bad_account = webhook("acme").to_string().replace("acme", "a c");
        let refused = bad_account.parse::<ResourceName<WebhookId>>().unwrap_err();
        assert!(matches!(refused, NameFormatError::Account(_)));
        let refused = "accounts/acme/webhooks/wh_1".parse::<ResourceName<WebhookId>>().unwrap_err();
        assert!(matches!(refused, NameFormatError::Id(_)));
        assert!(matches!("accounts/".parse::<AccountName>(), Err(NameFormatError::Account(_))));
    }

    #[test]
    fn a_request_with_a_bad_name_is_refused_naming_the_field() {
        let fault = ResourceName::<WebhookId>::in_field("name", "nonsense").unwrap_err();
        assert_eq!(fault.code(), Code::InvalidArgument);
        assert_eq!(fault.violations().iter().next().unwrap().field, "name");
    }

    #[test]
    fn a_foreign_thing_is_refused_exactly_as_one_that_does_not_exist() {
        let caller = Principal::new(Some("acme".parse().unwrap()), "u".parse().unwrap(), [], []);
        assert_eq!(webhook("acme").open_to(&caller), Ok(()));
        let foreign = webhook("other");
        assert_eq!(foreign.open_to(&caller), Err(foreign.not_found()));
        let account = AccountName("other".parse().unwrap());
        assert_eq!(account.open_to(&caller).unwrap_err().code(), Code::PermissionDenied);
    }
}
