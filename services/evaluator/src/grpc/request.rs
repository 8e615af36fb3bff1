//! The first move of the handlers of automations: what a request says, and everything in it that can't be read.

use prost::Message as _;
use proto::evaluator::v1 as wire;
use sha2::{Digest as _, Sha256};
use sluice_auth::Principal;
use sluice_domain::{AccountId, AutomationId, Cursor, CursorError, PageSize, Violations};
use sluice_rpc::{AccountName, Fault, ResourceName};

use super::convert_automation::{WRITABLE, draft};
use super::convert_step::webhook;
use crate::automation::{AutomationState, Draft, Edit, Part, check_fields};
use crate::error::EvaluatorError;
use crate::store::{CreateRequest, Filter};
use crate::worker::NewAutomation;

/// The longest request id, in characters.
const MAX_REQUEST_ID_CHARS: usize = 128;

/// A page that is asked for.
#[derive(Debug)]
pub(super) struct Listing {
    /// Whose automations.
    pub(super) parent: AccountName,
    /// Which of them.
    pub(super) filter: Filter,
    /// How many at most.
    pub(super) size: usize,
    /// The last one of the page before.
    pub(super) after: Option<AutomationId>,
    /// What tokens of this listing belong to.
    pub(super) key: String,
}

/// Whether the caller, who is of the account, administers it.
///
/// # Errors
/// `GlobalAdminRequired`.
pub(super) fn admin(caller: &Principal) -> Result<(), EvaluatorError> {
    if caller.is_global_admin() { Ok(()) } else { Err(EvaluatorError::GlobalAdminRequired) }
}

/// A creation; without a name when the account can't be read.
pub(super) fn creation(sent: wire::CreateAutomationRequest) -> (Option<AccountName>, NewAutomation) {
    let mut found = Violations::new();
    let parent = found.keep("parent", sent.parent.parse::<AccountName>());
    let known = found.keep("request_id", request_id(sent.request_id)).flatten();
    let request = known.zip(sent.automation.as_ref());
    let request = request.map(|(id, automation)| CreateRequest { id, digest: digest(automation) });
    let draft = match sent.automation {
        Some(sent) => draft(sent, &Part::ALL, account(parent.as_ref()), &mut found),
        None => {
            found.add("automation", "is required");
            Draft::default()
        }
    };
    (parent, NewAutomation { draft, found, request })
}

/// An edit, the etag that it minds and what can't be read of it; without a name when there is none.
pub(super) fn edit(
    sent: wire::UpdateAutomationRequest,
) -> (Option<ResourceName<AutomationId>>, String, Edit, Violations) {
    let mut found = Violations::new();
    let parts = parts(&sent.update_mask.unwrap_or_default().paths, &mut found);
    let Some(automation) = sent.automation else {
        found.add("automation", "is required");
        return (None, String::new(), Edit { parts, draft: Draft::default() }, found);
    };
    let name = found.keep("automation.name", automation.name.parse::<ResourceName<AutomationId>>());
    let etag = automation.etag.clone();
    let account = name.as_ref().map(|name| &name.account);
    let draft = draft(automation, &parts, account, &mut found);
    (name, etag, Edit { parts, draft }, found)
}

/// The refusal of a request that names nothing to act on: with what is wrong with the rest of it, as far as that can be said.
pub(super) fn unnamed(draft: &Draft, found: &Violations) -> Fault {
    let mut found = found.clone();
    check_fields(draft, &mut found);
    Fault::invalid(found)
}

/// A listing of an account that the caller may act for.
///
/// # Errors
/// `PERMISSION_DENIED`, else everything that can't be read.
pub(super) fn listing(sent: &wire::ListAutomationsRequest, caller: &Principal) -> Result<Listing, Fault> {
    let key = format!("automations|{}|{}|{}", sent.parent, sent.state, sent.webhook);
    let mut found = Violations::new();
    let parent = found.keep("parent", sent.parent.parse::<AccountName>());
    if let Some(parent) = &parent {
        parent.open_to(caller)?;
    }
    let size = found.keep("page_size", PageSize::from_wire(sent.page_size)).map(PageSize::get);
    let after = found.keep("page_token", after(&sent.page_token, &key)).flatten();
    let state = found.keep("state", state(sent.state)).flatten();
    let webhook = match sent.webhook.as_str() {
        "" => None,
        name => found.keep("webhook", webhook(name, account(parent.as_ref()))),
    };
    match (parent, size) {
        (Some(parent), Some(size)) if found.is_empty() => {
            Ok(Listing { parent, filter: Filter { state, webhook }, size, after, key })
        }
        _ => Err(Fault::invalid(found)),
    }
}

fn account(parent: Option<&AccountName>) -> Option<&AccountId> {
    parent.map(|AccountName(account)| account)
}

fn request_id(id: String) -> Result<Option<String>, String> {
    if id.chars().count() > MAX_REQUEST_ID_CHARS || id.chars().any(char::is_control) {
        let rule =
            format!("must be 1 to {MAX_REQUEST_ID_CHARS} characters, none of them a control character");
        return Err(rule);
    }
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// The digest of all that a caller writes.
fn digest(automation: &wire::Automation) -> [u8; 32] {
    let written = wire::Automation {
        display_name: automation.display_name.clone(),
        trigger: automation.trigger.clone(),
        condition: automation.condition.clone(),
        steps: automation.steps.clone(),
        missing: automation.missing,
        ..wire::Automation::default()
    };
    Sha256::digest(written.encode_to_vec()).into()
}

/// The parts that a mask names; one that is none is noted, the others count all the same.
fn parts(mask: &[String], found: &mut Violations) -> Vec<Part> {
    let named = |path: &String| WRITABLE.iter().find(|(name, _)| name == path).map(|(_, part)| *part);
    let known: Vec<Part> = mask.iter().filter_map(named).collect();
    if mask.is_empty() || known.len() < mask.len() {
        let names = WRITABLE.map(|(name, _)| name).join(", ");
        found.add("update_mask", format!("must name at least one of {names}, and nothing else"));
    }
    known
}

fn after(token: &str, key: &str) -> Result<Option<AutomationId>, CursorError> {
    let Some(cursor) = Cursor::from_token(token, key)? else { return Ok(None) };
    let id = cursor.key().try_into().map_err(|_| CursorError)?;
    Ok(Some(AutomationId::from_bytes(id)))
}

fn state(number: i32) -> Result<Option<AutomationState>, &'static str> {
    match wire::AutomationState::try_from(number) {
        Ok(wire::AutomationState::Unspecified) => Ok(None),
        Ok(wire::AutomationState::Active) => Ok(Some(AutomationState::Active)),
        Ok(wire::AutomationState::Inactive) => Ok(Some(AutomationState::Inactive)),
        Err(_) => Err("must be ACTIVE, INACTIVE or unspecified"),
    }
}

#[cfg(test)]
mod tests {
    use sluice_auth::Role;

    use super::*;

    fn caller(role: Role) -> Principal {
        Principal::new(Some("acme".parse().unwrap()), "u1".parse().unwrap(), [role], [])
    }

    fn fields(fault: &Fault) -> Vec<&str> {
        fault.violations().iter().map(|violation| violation.field.as_str()).collect()
    }

    #[test]
    fn a_member_is_told_that_an_admin_is_needed() {
        assert!(admin(&caller(Role::GlobalAdmin)).is_ok());
        assert!(matches!(admin(&caller(Role::Member)), Err(EvaluatorError::GlobalAdminRequired)));
    }

    #[test]
    fn a_creation_that_names_no_account_is_refused_with_all_that_is_wrong_with_it() {
        let sent = wire::CreateAutomationRequest {
            parent: "acme".to_owned(),
            request_id: "x".repeat(129),
            automation: Some(wire::Automation::default()),
        };
        let (parent, new) = creation(sent.clone());
        assert_eq!(parent, None);
        let fault = unnamed(&new.draft, &new.found);
        for field in ["parent", "request_id", "automation.trigger", "automation.display_name"] {
            assert!(fields(&fault).contains(&field), "{field} in {fault:?}");
        }
        let (_, new) = creation(wire::CreateAutomationRequest { automation: None, ..sent });
        assert_eq!(fields(&unnamed(&new.draft, &new.found)), ["parent", "request_id", "automation"]);
    }

    #[test]
    fn an_edit_that_names_no_automation_is_refused_with_all_that_is_wrong_with_it() {
        let mask = |paths: &[&str]| {
            Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
        };
        let sent = wire::UpdateAutomationRequest {
            automation: Some(wire::Automation { missing: 9, ..Default::default() }),
            update_mask: mask(&["display_name", "state"]),
        };
        let (name, _, edit, found) = edit(sent);
        assert_eq!((name, edit.parts), (None, vec![Part::DisplayName]));
        let fault = unnamed(&edit.draft, &found);
        assert_eq!(fields(&fault), ["update_mask", "automation.name", "automation.display_name"]);
        let none = wire::UpdateAutomationRequest { automation: None, update_mask: mask(&[]) };
        let (_, _, edit, found) = super::edit(none);
        assert_eq!(fields(&unnamed(&edit.draft, &found)), ["update_mask", "automation"]);
    }

    #[test]
    fn a_listing_says_all_that_is_wrong_with_it() {
        let sent = wire::ListAutomationsRequest {
            parent: String::new(),
            page_size: -1,
            page_token: "!".to_owned(),
            state: 9,
            webhook: "x".to_owned(),
        };
        let fault = listing(&sent, &caller(Role::Member)).unwrap_err();
        assert_eq!(fields(&fault), ["parent", "page_size", "page_token", "state", "webhook"]);
        let foreign = wire::ListAutomationsRequest { parent: "accounts/globex".to_owned(), ..sent };
        let fault = listing(&foreign, &caller(Role::Member)).unwrap_err();
        assert_eq!(
            fault.reason(),
            sluice_domain::Reason::PermissionDenied,
            "and nothing is said of the rest"
        );
    }
}
