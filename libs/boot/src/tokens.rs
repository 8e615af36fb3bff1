//! Which callers' tokens are good.

use std::path::PathBuf;

use serde::Deserialize;
use sluice_auth::{Key, KeyError, Verifier};
use sluice_domain::Secret;
use sluice_runtime::{Renewal, RenewalError, SettingFile};

use crate::BootError;

/// The setting that is at fault.
const KEYS: &str = "process.tokens.keys";

/// `process.tokens.…`: which tokens are good.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// `tokens.issuer`: the `iss` they must have.
    pub issuer: String,
    /// `tokens.keys`: what they may be signed with.
    pub keys: Vec<TokenKey>,
}

/// One key; exactly one of the two files is needed. A file is read again when it changes: to replace a key without a call that
/// fails, have two, and replace the one that nobody signs with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// The `kid` in a token's header.
    pub kid: String,
    /// A file with an Ed25519 public key in PEM.
    pub ed25519_file: Option<PathBuf>,
    /// A file with an HS256 secret: for development.
    pub hs256_file: Option<PathBuf>,
}

/// A key's kind and its file.
enum Kind<'a> {
    Ed25519(&'a PathBuf),
    Hs256(&'a PathBuf),
}

impl Tokens {
    /// Checks what the types can't.
    ///
    /// # Errors
    /// The rule that is broken, with its key.
    pub(crate) fn check(&self) -> Result<(), BootError> {
        self.keys.iter().try_for_each(|key| key.kind().map(drop)).map_err(BootError::Rule)
    }

    /// What verifies tokens.
    ///
    /// # Errors
    /// When a key can't be read or used.
    pub(crate) fn verifier(&self) -> Result<Renewal<Verifier>, RenewalError> {
        let files = self.keys.iter().map(|key| {
            let (Kind::Ed25519(path) | Kind::Hs256(path)) = key.kind().map_err(RenewalError::Rule)?;
            Ok(SettingFile { setting: format!("{KEYS}: key {}", key.kid), path: path.clone() })
        });
        let files = files.collect::<Result<Vec<_>, RenewalError>>()?;
        let tokens = self.clone();
        Renewal::open(files, move |contents| tokens.made_of(contents))
    }

    fn made_of(&self, contents: &[Secret]) -> Result<Verifier, String> {
        let keys = self.keys.iter().zip(contents).map(|(key, content)| {
            let made = match key.kind()? {
                Kind::Ed25519(_) => Key::ed25519(&key.kid, content.expose()),
                Kind::Hs256(_) => Key::hs256(&key.kid, &Secret::new(content.expose().trim())),
            };
            made.map_err(|error| format!("{KEYS}: key {}: {error}", key.kid))
        });
        let keys = keys.collect::<Result<Vec<_>, String>>()?;
        Verifier::new(self.issuer.as_str(), keys).map_err(|error| match error {
            KeyError::IssuerEmpty => format!("process.tokens.issuer: {error}"),
            error => format!("{KEYS}: {error}"),
        })
    }
}

impl TokenKey {
    fn kind(&self) -> Result<Kind<'_>, String> {
        match (&self.ed25519_file, &self.hs256_file) {
            (Some(file), None) => Ok(Kind::Ed25519(file)),
            (None, Some(file)) => Ok(Kind::Hs256(file)),
            _ => Err(format!("{KEYS}: key {} needs exactly one of ed25519_file and hs256_file", self.kid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_auth::generate_ed25519;

    use super::*;

    #[test]
    fn a_key_that_cant_be_used_is_named_and_never_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (_, public) = generate_ed25519().unwrap();
        let key = |kid: &str, ed25519: Option<PathBuf>, hs256: Option<PathBuf>| TokenKey {
            kid: kid.to_owned(),
            ed25519_file: ed25519,
            hs256_file: hs256,
        };
        let said = |issuer: &str, keys: Vec<TokenKey>| {
            let tokens = Tokens { issuer: issuer.to_owned(), keys };
            tokens.verifier().map(drop).map_err(|error| error.to_string())
        };
        let good = || key("a", Some(write("a.pem", &public)), None);
        assert_eq!(said("sluice", vec![good(), key("b", None, Some(write("b", &"x".repeat(32))))]), Ok(()));
        for (refused, expected) in [
            (
                said("sluice", vec![key("b", Some(write("x", "s3cret")), None)]),
                "process.tokens.keys: key b: the key",
            ),
            (
                said("sluice", vec![key("b", None, Some(write("x", "s3cret")))]),
                "process.tokens.keys: key b: an HS256",
            ),
            (said("sluice", vec![key("b", None, None)]), "process.tokens.keys: key b needs exactly one"),
            (said("sluice", vec![good(), good()]), "process.tokens.keys: two keys"),
            (said("sluice", Vec::new()), "process.tokens.keys: at least one key"),
            (said("", vec![good()]), "process.tokens.issuer: "),
            (
                said("sluice", vec![key("b", Some("/nowhere".into()), None)]),
                "process.tokens.keys: key b: /nowhere: ",
            ),
        ] {
            let error = refused.unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("s3cret"), "{error}");
        }
    }
}
