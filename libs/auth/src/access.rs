//! Role × RPC: who may call what, everything closed that has no row.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::principal::{Principal, Role, Scope};

/// One way to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The caller has the role (a global admin has `Role::Member`, too).
    Role(Role),
    /// The caller's token has the scope.
    Scope(Scope),
}

/// Who may call an RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, even without a token: health and reflection.
    Open,
    /// Whoever has at least one of these; with none listed, nobody.
    AnyOf(&'static [Grant]),
}

/// What the table says about one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The call may go on; what it may do in there is the service's business.
    Allow,
    /// A token is needed.
    Unauthenticated,
    /// The token opens other doors, or the RPC has no row.
    Denied,
}

/// The rows do not fit the RPCs there are.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessError {
    /// Two rows for one RPC.
    #[error("the access table has two rows for {0}")]
    Twice(String),
    /// RPCs without a row, or rows without an RPC.
    #[error("the access table does not fit the services: no row for {unlisted:?}, no RPC for {unknown:?}")]
    Mismatch {
        /// RPCs that no row names.
        unlisted: Vec<String>,
        /// Rows that name no RPC.
        unknown: Vec<String>,
    },
}

/// A row for each RPC, by its path: `/sluice.registry.v1.WebhookService/CreateWebhook`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessTable {
    rows: BTreeMap<String, Access>,
}

impl AccessTable {
    /// A table of these rows.
    ///
    /// # Errors
    /// When an RPC has two rows.
    pub fn new<P: Into<String>>(rows: impl IntoIterator<Item = (P, Access)>) -> Result<Self, AccessError> {
        let mut table = Self::default();
        for (path, access) in rows {
            table.add(path.into(), access)?;
        }
        Ok(table)
    }

    /// This table and another one together, for a server of several services.
    ///
    /// # Errors
    /// When an RPC has a row in both.
    pub fn merge(mut self, other: Self) -> Result<Self, AccessError> {
        for (path, access) in other.rows {
            self.add(path, access)?;
        }
        Ok(self)
    }

    fn add(&mut self, path: String, access: Access) -> Result<(), AccessError> {
        match self.rows.insert(path.clone(), access) {
            Some(_) => Err(AccessError::Twice(path)),
            None => Ok(()),
        }
    }

    /// Checks that every RPC has a row and every row an RPC.
    ///
    /// # Errors
    /// All RPCs and rows without their counterpart.
    pub fn check<P: AsRef<str>>(&self, methods: impl IntoIterator<Item = P>) -> Result<(), AccessError> {
        let methods: BTreeSet<String> = methods.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let unlisted: Vec<String> =
            methods.iter().filter(|path| !self.rows.contains_key(*path)).cloned().collect();
        let unknown: Vec<String> =
            self.rows.keys().filter(|path| !methods.contains(*path)).cloned().collect();
        if unlisted.is_empty() && unknown.is_empty() {
            Ok(())
        } else {
            Err(AccessError::Mismatch { unlisted, unknown })
        }
    }

    /// Whether the RPC has a row.
    pub fn lists(&self, path: &str) -> bool {
        self.rows.contains_key(path)
    }

    /// Whether this caller, if anybody is known to call, may call this RPC.
    pub fn decide(&self, path: &str, principal: Option<&Principal>) -> Decision {
        match (self.rows.get(path), principal) {
            (Some(Access::Open), _) => Decision::Allow,
            (_, None) => Decision::Unauthenticated,
            (Some(Access::AnyOf(grants)), Some(caller)) if grants.iter().any(|grant| grant.holds(caller)) => {
                Decision::Allow
            }
            (_, Some(_)) => Decision::Denied,
        }
    }
}

impl Grant {
    fn holds(self, caller: &Principal) -> bool {
        match self {
            Self::Role(role) => caller.has_role(role),
            Self::Scope(scope) => caller.has_scope(scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &[Grant] = &[Grant::Scope(Scope::EventsWrite), Grant::Role(Role::GlobalAdmin)];

    fn table() -> AccessTable {
        AccessTable::new([
            ("/x.V/Check", Access::Open),
            ("/x.V/Send", Access::AnyOf(SEND)),
            ("/x.V/Shut", Access::AnyOf(&[])),
        ])
        .unwrap()
    }

    fn caller(roles: &[Role], scopes: &[Scope]) -> Principal {
        Principal::new(None, "u".parse().unwrap(), roles.iter().copied(), scopes.iter().copied())
    }

    #[test]
    fn only_open_rows_let_in_whoever_has_no_token() {
        assert_eq!(table().decide("/x.V/Check", None), Decision::Allow);
        for path in ["/x.V/Send", "/x.V/Shut", "/x.V/Unlisted", ""] {
            assert_eq!(table().decide(path, None), Decision::Unauthenticated);
        }
    }

    #[test]
    fn one_grant_of_a_row_suffices() {
        for insider in [caller(&[], &[Scope::EventsWrite]), caller(&[Role::GlobalAdmin], &[])] {
            assert_eq!(table().decide("/x.V/Send", Some(&insider)), Decision::Allow);
        }
        let outsider = caller(&[Role::Member], &[Scope::UsageRead, Scope::AccountsAny, Scope::Internal]);
        assert_eq!(table().decide("/x.V/Send", Some(&outsider)), Decision::Denied);
    }

    #[test]
    fn what_has_no_row_or_no_grant_is_closed_even_to_those_who_hold_everything() {
        let all = caller(&Role::ALL, &Scope::ALL);
        for path in ["/x.V/Shut", "/x.V/Unlisted", "/x.V/send", "x.V/Send", "/x.V/Send/", ""] {
            assert_eq!(table().decide(path, Some(&all)), Decision::Denied, "{path}");
        }
    }

    #[test]
    fn rpcs_without_a_row_and_rows_without_an_rpc_are_all_named() {
        assert_eq!(table().check(["/x.V/Check", "/x.V/Send", "/x.V/Shut"]), Ok(()));
        assert_eq!(
            table().check(["/x.V/Check", "/x.V/Send", "/x.V/New"]),
            Err(AccessError::Mismatch {
                unlisted: vec!["/x.V/New".into()],
                unknown: vec!["/x.V/Shut".into()]
            })
        );
    }

    #[test]
    fn two_rows_for_one_rpc_are_refused() {
        let row = ("/x.V/Send", Access::Open);
        assert_eq!(AccessTable::new([row, row]), Err(AccessError::Twice("/x.V/Send".into())));
        assert_eq!(table().merge(table()), Err(AccessError::Twice("/x.V/Check".into())));
    }
}
