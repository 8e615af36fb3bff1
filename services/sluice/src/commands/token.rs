//! `sluice token`: mints a token from the signing key of a data directory.

use anyhow::{Context, bail};
use sluice_auth::{Principal, Role, Scope};
use sluice_domain::{AccountId, Span, Timestamp, UserId};
use sluice_runtime::Clock;

use crate::cli;
use crate::data_directory::DataDirectory;

/// Prints one token.
///
/// # Errors
/// What is wrong with the wish or the data directory, and what to do.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the token is what the command is for")]
pub fn run(arguments: &cli::Token) -> anyhow::Result<()> {
    let principal = principal(arguments)?;
    let data = DataDirectory::open(&arguments.data)?;
    let found = data.signing_key()?;
    if let Some(path) = &found.made {
        eprintln!(
            "made the token signing key {}; `sluice up --data {}` takes it",
            path.display(),
            data.path().display()
        );
    }
    println!(
        "{}",
        mint(
            &found.key.signer(&arguments.issuer).context("--issuer")?,
            &principal,
            Clock::system().now(),
            arguments.ttl.0
        )?
    );
    Ok(())
}

fn mint(
    signer: &sluice_auth::Signer,
    principal: &Principal,
    now: Timestamp,
    lifetime: Span,
) -> anyhow::Result<String> {
    signer.mint(principal, now, lifetime).context("--ttl, for example --ttl 1h")
}

fn principal(arguments: &cli::Token) -> anyhow::Result<Principal> {
    let user: UserId = arguments.user.parse().context("--user")?;
    let account: Option<AccountId> =
        arguments.account.as_deref().map(str::parse).transpose().context("--account")?;
    let mut roles = Vec::new();
    for name in &arguments.roles {
        let known = Role::ALL.map(Role::as_str).join(", ");
        roles.push(Role::named(name).with_context(|| format!("--role {name}: must be one of {known}"))?);
    }
    let mut scopes = Vec::new();
    for name in &arguments.scopes {
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        scopes.push(Scope::named(name).with_context(|| format!("--scope {name}: must be one of {known}"))?);
    }
    if roles.is_empty() && scopes.is_empty() {
        bail!(
            "a token without role and scope opens nothing; for a person add --role member or --role global_admin, \
             for a producer --scope events.write, for billing --scope entitlements.write"
        );
    }
    if account.is_none() && !scopes.contains(&Scope::AccountsAny) {
        bail!("a token needs --account, or for a service that serves any account --scope accounts.any");
    }
    Ok(Principal::new(account, user, roles, scopes))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use sluice_auth::Verifier;

    use super::*;
    use crate::data_directory::ISSUER;

    fn wish(line: &str) -> cli::Token {
        let line = ["sluice", "token"].into_iter().chain(line.split_whitespace());
        match cli::Cli::try_parse_from(line).unwrap().command {
            cli::Command::Token(token) => token,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_minted_token_verifies_as_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let key = DataDirectory::open(folder.path()).unwrap().signing_key().unwrap().key;
        let asked = wish("--account acme --user ada --role global_admin --scope events.write --ttl 15m");
        let now = Timestamp::from_micros(1_735_689_600_000_000);
        let signer = key.signer(ISSUER).unwrap();
        let token = mint(&signer, &principal(&asked).unwrap(), now, asked.ttl.0).unwrap();
        let verifier = Verifier::new(ISSUER, vec![key.verifying().unwrap()]).unwrap();
        let seen = verifier.verify(&token, now.plus(Span::from_secs(14 * 60))).unwrap();
        assert_eq!(seen.account().map(AccountId::as_str), Some("acme"));
        assert!(seen.is_global_admin() && seen.has_scope(Scope::EventsWrite));
        assert!(verifier.verify(&token, now.plus(Span::from_secs(16 * 60))).is_err());
    }

    #[test]
    fn only_a_token_of_our_own_services_is_good_for_more_than_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let key = DataDirectory::open(folder.path()).unwrap().signing_key().unwrap().key;
        let signer = key.signer(ISSUER).unwrap();
        let minted = |line: &str| {
            let asked = wish(line);
            mint(&signer, &principal(&asked).unwrap(), Timestamp::EPOCH, asked.ttl.0).is_ok()
        };
        assert!(minted("--user x --scope internal --scope accounts.any --ttl 90d"));
        assert!(minted("--user x --scope accounts.any --ttl 24h"));
        assert!(!minted("--user x --scope accounts.any --ttl 25h"));
    }

    #[test]
    fn a_wish_that_can_not_be_met_says_what_to_do() {
        for (line, hint) in [
            ("--account acme --user ada", "--role member"),
            ("--user ada --role member", "--account"),
            ("--account a --user ada --role root", "must be one of member, global_admin"),
            ("--account a --user ada --scope events", "events.write"),
            ("--account a/b --user ada --role member", "--account"),
        ] {
            let refusal = format!("{:#}", principal(&wish(line)).unwrap_err());
            assert!(refusal.contains(hint), "{line}: {refusal}");
        }
    }
}
