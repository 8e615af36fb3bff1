//! Who calls: an account, a user, roles and scopes.

use std::collections::BTreeSet;
use std::fmt;

use sluice_domain::{AccountId, UserId};

/// What a person is in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// An ordinary user, `member`.
    Member,
    /// Somebody who administers the whole account, `global_admin`; is a member, too.
    GlobalAdmin,
}

/// What a token of a service may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Send events, `events.write`.
    EventsWrite,
    /// Put entitlements and grant executions, `entitlements.write`.
    EntitlementsWrite,
    /// Read quotas and usage, `usage.read`.
    UsageRead,
    /// Read the history of executions, `executions.read`.
    ExecutionsRead,
    /// Act for any account when the token names none, `accounts.any`.
    AccountsAny,
    /// Call what our own services offer each other, `internal`.
    Internal,
}

/// The caller of an RPC, as its token or its place in the same process vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    account: Option<AccountId>,
    user: UserId,
    roles: BTreeSet<Role>,
    scopes: BTreeSet<Scope>,
}

impl Role {
    /// Every role there is.
    pub const ALL: [Self; 2] = [Self::Member, Self::GlobalAdmin];

    /// The name in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::GlobalAdmin => "global_admin",
        }
    }

    /// The role of that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Self; 6] = [
        Self::EventsWrite,
        Self::EntitlementsWrite,
        Self::UsageRead,
        Self::ExecutionsRead,
        Self::AccountsAny,
        Self::Internal,
    ];

    /// The name in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events.write",
            Self::EntitlementsWrite => "entitlements.write",
            Self::UsageRead => "usage.read",
            Self::ExecutionsRead => "executions.read",
            Self::AccountsAny => "accounts.any",
            Self::Internal => "internal",
        }
    }

    /// The scope of that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Principal {
    /// A user of one account, or (without one) a service.
    pub fn new(
        account: Option<AccountId>,
        user: UserId,
        roles: impl IntoIterator<Item = Role>,
        scopes: impl IntoIterator<Item = Scope>,
    ) -> Self {
        Self { account, user, roles: roles.into_iter().collect(), scopes: scopes.into_iter().collect() }
    }

    /// One of our own services: no account of its own, scopes `internal` and `accounts.any`.
    pub fn service(user: UserId) -> Self {
        Self::new(None, user, [], [Scope::Internal, Scope::AccountsAny])
    }

    /// The account the caller belongs to; `None` for services that serve any account.
    pub fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// The calling user or service, the token's `sub`.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The roles the token lists.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.roles.iter().copied()
    }

    /// The scopes the token lists.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.scopes.iter().copied()
    }

    /// Whether the caller has the role; a global admin is a member, too.
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role) || (role == Role::Member && self.is_global_admin())
    }

    /// Whether the caller administers its whole account.
    pub fn is_global_admin(&self) -> bool {
        self.roles.contains(&Role::GlobalAdmin)
    }

    /// Whether the token has the scope.
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether a request about this account may be made: it is the token's account, or the token names none and
    /// has scope `accounts.any`.
    pub fn may_act_for(&self, account: &AccountId) -> bool {
        match &self.account {
            Some(own) => own == account,
            None => self.serves_any_account(),
        }
    }

    /// Whether requests about any account may be made: the token names none and has scope `accounts.any`.
    pub fn serves_any_account(&self) -> bool {
        self.account.is_none() && self.has_scope(Scope::AccountsAny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(account: Option<&str>, scopes: &[Scope]) -> Principal {
        let account = account.map(|name| name.parse().unwrap());
        Principal::new(account, "u1".parse().unwrap(), [], scopes.iter().copied())
    }

    #[test]
    fn a_caller_acts_for_its_own_account_only_whatever_its_scopes() {
        let acme = principal(Some("acme"), &[Scope::AccountsAny]);
        assert!(acme.may_act_for(&"acme".parse().unwrap()));
        assert!(!acme.may_act_for(&"other".parse().unwrap()));
    }

    #[test]
    fn a_caller_without_an_account_needs_the_scope_for_any_account() {
        let other = "other".parse().unwrap();
        assert!(principal(None, &[Scope::AccountsAny]).may_act_for(&other));
        assert!(!principal(None, &[Scope::Internal]).may_act_for(&other));
        assert!(principal(None, &[Scope::AccountsAny]).serves_any_account());
        assert!(!principal(None, &[Scope::Internal]).serves_any_account());
        assert!(!principal(Some("acme"), &[Scope::AccountsAny]).serves_any_account());
    }

    #[test]
    fn a_global_admin_is_a_member_but_a_member_is_no_admin() {
        let user: UserId = "u1".parse().unwrap();
        let admin = Principal::new(None, user.clone(), [Role::GlobalAdmin], []);
        let member = Principal::new(None, user, [Role::Member], []);
        assert!(admin.has_role(Role::Member));
        assert!(!member.has_role(Role::GlobalAdmin));
    }

    #[test]
    fn names_of_roles_and_scopes_lead_back_to_them() {
        assert!(Role::ALL.iter().all(|role| Role::named(role.as_str()) == Some(*role)));
        assert!(Scope::ALL.iter().all(|scope| Scope::named(scope.as_str()) == Some(*scope)));
        assert_eq!((Role::named("root"), Scope::named("events")), (None, None));
    }
}
