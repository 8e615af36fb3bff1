//! The first two moves of every handler: what a request names, and whether its caller may name it.

use std::fmt;
use std::str::FromStr;

use sluice_auth::Principal;
use sluice_domain::{AccountId, AutomationId, Violations};
use sluice_rpc::{AccountName, ResourceName};

use crate::error::EvaluatorError;

/// The account in `accounts/{account}`, if the caller is of it.
///
/// # Errors
/// `Invalid`, naming `field`; `PermissionDenied` whether or not there is such an account.
pub(super) fn parent(field: &str, name: &str, caller: &Principal) -> Result<AccountId, EvaluatorError> {
    let AccountName(account) = parsed(field, name)?;
    if caller.may_act_for(&account) { Ok(account) } else { Err(EvaluatorError::PermissionDenied(account)) }
}

/// The automation in `accounts/{account}/automations/{automation}`, if the caller is of its account.
///
/// # Errors
/// `Invalid`, naming `field`; `NotFound` for another account's, as if it did not exist.
pub(super) fn automation(
    field: &str,
    name: &str,
    caller: &Principal,
) -> Result<(AccountId, AutomationId), EvaluatorError> {
    let ResourceName { account, id } = parsed(field, name)?;
    if caller.may_act_for(&account) {
        Ok((account, id))
    } else {
        Err(EvaluatorError::NotFound(name.to_owned()))
    }
}

/// Whether the caller, who is of the account, administers it.
///
/// # Errors
/// `GlobalAdminRequired`.
pub(super) fn admin(caller: &Principal) -> Result<(), EvaluatorError> {
    if caller.is_global_admin() { Ok(()) } else { Err(EvaluatorError::GlobalAdminRequired) }
}

/// One broken rule.
pub(super) fn invalid(field: &str, rule: &str) -> EvaluatorError {
    let mut violations = Violations::new();
    violations.add(field, rule);
    EvaluatorError::Invalid(violations)
}

fn parsed<T: FromStr<Err: fmt::Display>>(field: &str, text: &str) -> Result<T, EvaluatorError> {
    text.parse().map_err(|error: T::Err| invalid(field, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use sluice_auth::Role;

    use super::*;

    fn caller(account: &str, role: Role) -> Principal {
        Principal::new(Some(account.parse().unwrap()), "u1".parse().unwrap(), [role], [])
    }

    #[test]
    fn foreign_accounts_and_foreign_automations_tell_nothing() {
        let admin = caller("acme", Role::GlobalAdmin);
        assert_eq!(parent("parent", "accounts/acme", &admin).unwrap().as_str(), "acme");
        assert!(matches!(
            parent("parent", "accounts/other", &admin),
            Err(EvaluatorError::PermissionDenied(_))
        ));
        let id = AutomationId::from_bytes([1; 16]);
        assert_eq!(automation("name", &format!("accounts/acme/automations/{id}"), &admin).unwrap().1, id);
        let foreign = automation("name", &format!("accounts/other/automations/{id}"), &admin);
        assert!(matches!(foreign, Err(EvaluatorError::NotFound(_))));
        assert!(matches!(parent("parent", "acme", &admin), Err(EvaluatorError::Invalid(_))));
    }

    #[test]
    fn a_member_is_told_that_an_admin_is_needed() {
        assert!(admin(&caller("acme", Role::GlobalAdmin)).is_ok());
        assert!(matches!(admin(&caller("acme", Role::Member)), Err(EvaluatorError::GlobalAdminRequired)));
    }
}
