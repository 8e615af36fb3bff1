//! Whose token goes with the calls: one that was given, or one minted for this command from a data directory on this machine.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sluice_auth::{Principal, Role, Scope};
use sluice_domain::{AccountId, Secret, Span, UserId};
use sluice_runtime::Clock;

use super::Server;
use crate::cli;
use crate::data_directory::DataDirectory;

/// The variable that a token may stand in.
const VARIABLE: &str = "SLUICE_TOKEN";
/// The user of minted tokens.
const OPERATOR: &str = "operator";
/// How long a minted token is good: for a long listing, and not much more.
const LIFETIME: Span = Span::from_secs(600);

/// The part that a command plays, which says what its token must open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Puts accounts on plans.
    Billing,
    /// Manages webhooks and automations, reads the history.
    Admin,
    /// Sends events.
    Product,
}

impl Part {
    fn roles(self) -> &'static [Role] {
        if self == Self::Admin { &[Role::GlobalAdmin] } else { &[] }
    }

    fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Billing => &[Scope::EntitlementsWrite],
            Self::Admin => &[],
            Self::Product => &[Scope::EventsWrite],
        }
    }

    /// The flags with which `sluice token` mints what this part needs.
    pub fn grant(self) -> String {
        let roles = self.roles().iter().map(|role| format!("--role {role}"));
        let scopes = self.scopes().iter().map(|scope| format!("--scope {scope}"));
        roles.chain(scopes).collect::<Vec<_>>().join(" ")
    }
}

/// Who calls.
#[derive(Debug)]
pub struct Caller {
    /// The token.
    pub token: Secret,
    /// The part it is to play.
    pub part: Part,
    /// The data directory that the token was minted from; a token that was given has none.
    pub minted_from: Option<PathBuf>,
}

impl Caller {
    /// Finds the token: `--token-file`, then `SLUICE_TOKEN`, then the data directory if the server is on this machine.
    ///
    /// # Errors
    /// When there is none, with the ways to one.
    pub fn find(
        flags: &cli::Client,
        server: &Server,
        account: Option<&AccountId>,
        part: Part,
    ) -> anyhow::Result<Self> {
        let given = |token| Ok(Self { token, part, minted_from: None });
        if let Some(path) = &flags.token_file {
            return given(secret_in(path).context("--token-file")?);
        }
        if let Some(token) = std::env::var(VARIABLE).ok().filter(|token| !token.trim().is_empty()) {
            return given(Secret::new(token.trim()));
        }
        let grant = part.grant();
        let of = account.map_or("ACCOUNT", AccountId::as_str);
        if !server.is_local() {
            bail!(
                "no token to call {server} with\nnext: give one with --token-file FILE or in {VARIABLE}; it must be for account {of} and have \
                 what `{grant}` gives. Tokens are minted only for a server on this machine."
            );
        }
        let Some(key) = DataDirectory::signing_key_in(&flags.data)? else {
            bail!(
                "no token to call {server} with: there is no data directory {data} to mint one from\n\
                 next: start `sluice up` here, or name the data directory it runs with (--data DIR, SLUICE_DATA), or give a token with --token-file FILE \
                 or in {VARIABLE}",
                data = flags.data.display()
            );
        };
        let Some(account) = account else {
            return Err(super::Usage(
                "which account? Give --account ACCOUNT, or set SLUICE_ACCOUNT".to_owned(),
            )
            .into());
        };
        let user: UserId = OPERATOR.parse().context("the operator's name")?;
        let who = Principal::new(
            Some(account.clone()),
            user,
            part.roles().iter().copied(),
            part.scopes().iter().copied(),
        );
        let signer = key.signer(&flags.issuer).context("--issuer")?;
        let token = Secret::new(signer.mint(&who, Clock::system().now(), LIFETIME)?);
        Ok(Self { token, part, minted_from: Some(flags.data.clone()) })
    }
}

/// The secret that a file holds alone, without the blanks around it; `-` reads standard input.
///
/// # Errors
/// When it can't be read or holds nothing.
pub fn secret_in(path: &Path) -> anyhow::Result<Secret> {
    let text = Secret::new(text_in(path)?);
    let inner = text.expose().trim();
    if inner.is_empty() {
        bail!("{} is empty", path.display());
    }
    Ok(Secret::new(inner))
}

/// The text of a file; `-` reads standard input.
///
/// # Errors
/// When it can't be read or is no text.
pub fn text_in(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).context("can't read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}
