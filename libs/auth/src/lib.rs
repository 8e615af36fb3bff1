//! From a token to a principal, and from a principal to what it may call. No I/O, no clock: the time is an argument.
//!
//! Who is here:
//! - [`Principal`]: who calls, for which account, with which [`Role`]s and [`Scope`]s;
//! - [`Verifier`]: turns a token into a principal, or says in a [`TokenError`] what is wrong with it;
//! - [`Key`]: what a token may be signed with; its algorithm is its own, never the token's choice;
//! - [`Signer`]: mints tokens, for `sluice token`, services and tests; [`generate_ed25519`] makes its keys;
//! - [`AccessTable`]: role × RPC, everything closed that has no row.
//!
//! A token is a JWT in compact form, at most [`MAX_TOKEN_BYTES`] long, with the claims `iss`, `aud` (holding
//! `sluice`), `sub`, `exp`, `iat`, `nbf` (all of them required, times in whole seconds), and `account`, `roles`
//! and `scope` where they apply. Unknown claims and unknown scopes are ignored: an issuer may serve others too.
//! An unknown role is refused, since a role says what a person is. From `iat` to `exp` lie at most
//! [`MAX_LIFETIME`], for tokens with scope `internal` [`MAX_INTERNAL_LIFETIME`].

mod access;
mod claims;
mod error;
mod key;
mod principal;
mod signer;
mod verifier;

pub use access::{Access, AccessError, AccessTable, Decision, Grant};
pub use claims::{LEEWAY, MAX_INTERNAL_LIFETIME, MAX_LIFETIME, MAX_TOKEN_BYTES};
pub use error::{KeyError, MintError, TokenError};
pub use key::{Key, generate_ed25519};
pub use principal::{Principal, Role, Scope};
pub use signer::Signer;
pub use verifier::Verifier;
