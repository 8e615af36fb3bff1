//! Who acts in the demo, each with a token of their own.

use sluice_auth::{Principal, Role, Scope, Signer};
use sluice_domain::{Span, Timestamp};

use super::client::Caller;
use super::requests::ACCOUNT;

/// How long the tokens are good.
const LIFETIME: Span = Span::from_secs(600);

/// The demo's people and systems.
#[derive(Debug)]
pub struct Cast {
    /// The plan-billing system: may put entitlements of any account.
    pub billing: Caller,
    /// Ada, a global admin of the account.
    pub admin: Caller,
    /// Max, a member of the account.
    pub member: Caller,
    /// The product that sends the account's events.
    pub producer: Caller,
    /// A global admin of another account.
    pub stranger: Caller,
    /// Somebody who signs a global admin's token with a key of their own.
    pub forger: Caller,
}

impl Cast {
    /// Mints everybody's tokens: `signer` is the suite's, `wrong` signs with another key.
    ///
    /// # Errors
    /// When a token can't be minted.
    pub fn new(signer: &Signer, wrong: &Signer, now: Timestamp) -> anyhow::Result<Self> {
        let token = |signer: &Signer, account: Option<&str>, user: &str, roles: &[Role], scopes: &[Scope]| {
            let account = account.map(str::parse).transpose()?;
            let principal =
                Principal::new(account, user.parse()?, roles.iter().copied(), scopes.iter().copied());
            Caller::new(&signer.mint(&principal, now, LIFETIME)?)
        };
        let own = Some(ACCOUNT);
        let billing = [Scope::EntitlementsWrite, Scope::AccountsAny];
        Ok(Self {
            billing: token(signer, None, "billing", &[], &billing)?,
            admin: token(signer, own, "ada", &[Role::GlobalAdmin], &[])?,
            member: token(signer, own, "max", &[Role::Member], &[])?,
            producer: token(signer, own, "crm", &[], &[Scope::EventsWrite])?,
            stranger: token(signer, Some("stranger"), "eve", &[Role::GlobalAdmin], &[])?,
            forger: token(wrong, own, "ada", &[Role::GlobalAdmin], &[])?,
        })
    }
}
