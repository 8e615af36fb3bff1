//! A row for each RPC: how a request is made that is in order, what in it names something of an account, and, by hand from
//! product.md and contracts.md, who may call it where.

mod dispatcher;
mod evaluator;
mod registry;

use prost_types::FieldMask;
use sluice_auth::{Role, Scope};

use super::accounts::{Asked, Needs};
use super::callers::Caller::{self, Any, Of};
use super::callers::Grant;
use super::door::Listener;
use super::names::Name;

/// Ordinary users and global admins.
const USERS: &[Caller] = &[
    Of(Grant::Role(Role::Member)),
    Of(Grant::Role(Role::GlobalAdmin)),
    Any(Grant::Role(Role::Member)),
    Any(Grant::Role(Role::GlobalAdmin)),
];
const ADMINS: &[Caller] = &[Of(Grant::Role(Role::GlobalAdmin)), Any(Grant::Role(Role::GlobalAdmin))];
const BILLING: &[Caller] =
    &[Of(Grant::Scope(Scope::EntitlementsWrite)), Any(Grant::Scope(Scope::EntitlementsWrite))];
const USERS_AND_BILLING: &[Caller] = &[
    Of(Grant::Role(Role::Member)),
    Of(Grant::Role(Role::GlobalAdmin)),
    Of(Grant::Scope(Scope::EntitlementsWrite)),
    Any(Grant::Role(Role::Member)),
    Any(Grant::Role(Role::GlobalAdmin)),
    Any(Grant::Scope(Scope::EntitlementsWrite)),
];
const PRODUCERS: &[Caller] = &[Of(Grant::Scope(Scope::EventsWrite)), Any(Grant::Scope(Scope::EventsWrite))];
/// The history holds what a member may not see.
const READERS: &[Caller] = &[
    Of(Grant::Role(Role::GlobalAdmin)),
    Of(Grant::Scope(Scope::ExecutionsRead)),
    Any(Grant::Role(Role::GlobalAdmin)),
    Any(Grant::Scope(Scope::ExecutionsRead)),
];
/// Who reads what an account may start.
const METERS: &[Caller] = &[
    Of(Grant::Role(Role::GlobalAdmin)),
    Of(Grant::Scope(Scope::UsageRead)),
    Any(Grant::Role(Role::GlobalAdmin)),
    Any(Grant::Scope(Scope::UsageRead)),
];
/// Sluice's own services; one whose token names an account may ask about that one.
const SERVICES: &[Caller] = &[Of(Grant::Scope(Scope::Internal)), Any(Grant::Scope(Scope::Internal))];
/// Those of them that serve any account.
const SERVICES_OF_ALL: &[Caller] = &[Any(Grant::Scope(Scope::Internal))];
/// The RPC is served there, and opens to nobody.
const NOBODY: &[Caller] = &[];

/// What a refusal says to a stranger to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// That the token is not for this account.
    IsTold,
    /// That there is no such thing.
    FindsNothing,
}

/// One RPC, or one case of it.
pub(crate) struct Row {
    /// `/package.Service/Method`.
    pub(crate) rpc: &'static str,
    /// What the request is about, where it makes a difference who may.
    pub(crate) case: &'static str,
    /// Who may call it in public; `None` where it is not served.
    pub(crate) public: Option<&'static [Caller]>,
    /// Who may call it on its service's internal listener.
    pub(crate) internal: Option<&'static [Caller]>,
    /// Whether users who may not are told that a global admin may.
    pub(crate) admins_only: bool,
    /// What strangers are told.
    pub(crate) stranger: Stranger,
    /// The field that says whose the request is; empty when none does.
    pub(crate) whose: &'static str,
    /// What the request uses up.
    pub(crate) needs: Needs,
    /// A request that is in order.
    pub(crate) request: fn(&Asked<'_>) -> Vec<u8>,
    /// The fields that name something.
    pub(crate) names: &'static [Name],
}

impl Row {
    /// Who may call it at a listener; `None` where it is not served.
    pub(crate) fn lets_in(&self, listener: Listener) -> Option<&'static [Caller]> {
        let inner = if self.rpc.starts_with("/sluice.registry.") {
            Listener::RegistryInternal
        } else {
            Listener::DispatcherInternal
        };
        match listener {
            Listener::Public => self.public,
            _ if listener == inner => self.internal,
            _ => None,
        }
    }

    /// Its name in tables.
    pub(crate) fn title(&self) -> String {
        let short = self.rpc.rsplit('/').next().unwrap_or_default();
        if self.case.is_empty() { short.to_owned() } else { format!("{short}, {}", self.case) }
    }
}

/// An RPC about an account as a whole, or about what it has none of yet.
const fn of_account(rpc: &'static str, whose: &'static str, request: fn(&Asked<'_>) -> Vec<u8>) -> Row {
    Row {
        rpc,
        case: "",
        public: None,
        internal: None,
        admins_only: false,
        stranger: Stranger::IsTold,
        whose,
        needs: Needs::Nothing,
        request,
        names: &[],
    }
}

/// An RPC about one thing of an account.
const fn of_thing(rpc: &'static str, whose: &'static str, request: fn(&Asked<'_>) -> Vec<u8>) -> Row {
    Row { stranger: Stranger::FindsNothing, ..of_account(rpc, whose, request) }
}

/// The table.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    [registry::ROWS, evaluator::ROWS, dispatcher::ROWS].into_iter().flatten()
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}
