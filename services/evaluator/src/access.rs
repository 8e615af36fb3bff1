//! What an account's plan opens: the rules of roles and scopes stand in `grpc::table`.

use sluice_domain::{AccountId, Entitlements};

use crate::error::EvaluatorError;
use crate::snapshot::AccountView;

/// The account's entitlements.
///
/// # Errors
/// `AccountUnknown` while billing has said nothing of it.
pub fn entitled<'v>(account: &AccountId, view: &'v AccountView) -> Result<&'v Entitlements, EvaluatorError> {
    view.entitlements().ok_or_else(|| EvaluatorError::AccountUnknown(account.clone()))
}

/// The account's entitlements, if its plan has automations.
///
/// # Errors
/// `PlanRequired` when it has none, `AccountUnknown` while billing has said nothing.
pub fn with_automations<'v>(
    account: &AccountId,
    view: &'v AccountView,
) -> Result<&'v Entitlements, EvaluatorError> {
    let entitlements = entitled(account, view)?;
    if entitlements.automations {
        Ok(entitlements)
    } else {
        Err(EvaluatorError::PlanRequired { held: entitlements.plan.clone() })
    }
}
