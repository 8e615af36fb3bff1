//! What an account's plan opens: the rules of roles and scopes stand in `grpc::table`.

use sluice_domain::{AccountId, Entitlements};

use crate::error::EvaluatorError;
use crate::snapshot::{AccountView, Terms};

/// The account's entitlements, if its plan has automations.
///
/// # Errors
/// `PlanRequired` when it has none, `AccountUnknown` while billing has said nothing.
pub fn with_automations<'v>(
    account: &AccountId,
    view: &'v AccountView,
) -> Result<&'v Entitlements, EvaluatorError> {
    let Terms { entitlements, automations_plan } =
        view.terms().ok_or_else(|| EvaluatorError::AccountUnknown(account.clone()))?;
    if entitlements.automations {
        Ok(entitlements)
    } else {
        let (held, required) = (entitlements.plan.clone(), automations_plan.clone());
        Err(EvaluatorError::PlanRequired { held, required })
    }
}
