//! The directory that a suite in one process lives in: its database files, and the keys made on its first start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sluice_auth::{Key, Signer, generate_ed25519};
use sluice_domain::Secret;
use sluice_registry::seal::MasterKeys;
use sluice_runtime::Entropy;
use sluice_storage::DatabaseUrl;

/// What tokens minted from a data directory's key have as their `iss`, unless configured.
pub const ISSUER: &str = "sluice";

const SIGNING_KEY: &str = "token-signing-key.pem";
const MASTER_KEY: &str = "sealing-master-key";
const PUBLIC_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";

/// What is wrong with a data directory, and what to do about it. Never with a key in it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused.
    #[error("can't {doing} {}: {cause}; give another directory with --data, or make this one yours", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Others may read a key.
    #[error("{} can be read by others (mode {mode:o}); run: chmod 600 {}", .path.display(), .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A key file holds something else.
    #[error("{} is no {what}; put the right file back, or move it away and a new one is made (then {loss})", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What a new one costs.
        loss: &'static str,
    },
    /// No key could be generated.
    #[error("no key could be made: {0}")]
    Generation(sluice_auth::KeyError),
}

/// An existing data directory.
#[derive(Debug, Clone)]
pub struct DataDirectory {
    path: PathBuf,
}

/// The key that a suite's tokens are signed with, and verified.
pub struct SigningKey {
    kid: String,
    private: Secret,
    public: String,
}

/// A key, and whether it was made just now.
pub struct Found<K> {
    /// The key.
    pub key: K,
    /// Its file, when it was made just now.
    pub made: Option<PathBuf>,
}

impl DataDirectory {
    /// Opens the directory; makes it with mode 0700 when it is missing.
    ///
    /// # Errors
    /// When it can't be made, or is none.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|cause| DataError::Io {
            doing: "make the data directory",
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database file of a service.
    pub fn database(&self, service: &str) -> DatabaseUrl {
        DatabaseUrl::sqlite(self.path.join(format!("{service}.db")))
    }

    /// The key that signs tokens, made when it is missing (mode 0600).
    ///
    /// # Errors
    /// When it can't be read or made, is none, or can be read by others.
    pub fn signing_key(&self) -> Result<Found<SigningKey>, DataError> {
        let path = self.path.join(SIGNING_KEY);
        let (text, made) = read_or_make(&path, || {
            let (private, public) = generate_ed25519().map_err(DataError::Generation)?;
            Ok(Secret::new(format!("{}{public}", private.expose())))
        })?;
        let key = parse_signing_key(&text, &path)?;
        Ok(Found { key, made: made.then_some(path) })
    }

    /// The key that signs tokens in a directory that somebody else may have made; `None` when there is none, and none is made.
    ///
    /// # Errors
    /// As [`DataDirectory::signing_key`].
    pub fn signing_key_in(path: &Path) -> Result<Option<SigningKey>, DataError> {
        let path = path.join(SIGNING_KEY);
        read(&path)?.map(|text| parse_signing_key(&text, &path)).transpose()
    }

    /// The keys that seal secrets at rest, made when missing (mode 0600), in the form that the registry reads.
    ///
    /// # Errors
    /// When they can't be read or made, are none, or can be read by others.
    pub fn master_keys(&self, entropy: &Entropy) -> Result<Found<Secret>, DataError> {
        let path = self.path.join(MASTER_KEY);
        let (key, made) = read_or_make(&path, || {
            let key = MasterKeys::encode(1, &entropy.bytes());
            Ok(Secret::new(format!("{}\n", key.expose())))
        })?;
        if MasterKeys::parse(&key).is_err() {
            return Err(DataError::Damaged {
                path,
                what: "list of master keys",
                loss: "credentials and signing secrets sealed before are lost",
            });
        }
        Ok(Found { key, made: made.then_some(path) })
    }
}

impl SigningKey {
    /// Reads a private and a public key in PEM, one after the other.
    fn parse(text: &Secret) -> Option<Self> {
        let (private, public) = text.expose().split_at(text.expose().find(PUBLIC_BEGIN)?);
        let digest = Sha256::digest(public.trim().as_bytes());
        let kid = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let key = Self { kid, private: Secret::new(private), public: public.to_owned() };
        (key.signer(ISSUER).is_ok() && key.verifying().is_ok()).then_some(key)
    }

    /// The key's id, as it stands in tokens.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What mints tokens of this issuer.
    ///
    /// # Errors
    /// When the issuer is empty.
    pub fn signer(&self, issuer: &str) -> Result<Signer, sluice_auth::KeyError> {
        Signer::from_ed25519_pkcs8_pem(issuer, &*self.kid, &self.private)
    }

    /// What verifies them.
    ///
    /// # Errors
    /// None for a key that was read from a data directory.
    pub fn verifying(&self) -> Result<Key, sluice_auth::KeyError> {
        Key::ed25519(&*self.kid, &self.public)
    }
}

fn parse_signing_key(text: &Secret, path: &Path) -> Result<SigningKey, DataError> {
    SigningKey::parse(text).ok_or_else(|| DataError::Damaged {
        path: path.to_owned(),
        what: "ed25519 key pair in PEM",
        loss: "tokens minted before are void",
    })
}

/// The text of a key file; made by `make` when it is missing, whole or not at all, once even if two processes try.
fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<Secret, DataError>,
) -> Result<(Secret, bool), DataError> {
    if let Some(text) = read(path)? {
        return Ok((text, false));
    }
    let text = make()?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let written = write_new(&draft, &text)
        .and_then(|()| fs::hard_link(&draft, path))
        .map_err(|cause| (cause.kind(), DataError::Io { doing: "write", path: path.to_owned(), cause }));
    let _left_behind = fs::remove_file(&draft);
    match written {
        Ok(()) => Ok((text, true)),
        Err((io::ErrorKind::AlreadyExists, error)) => Ok((read(path)?.ok_or(error)?, false)),
        Err((_, error)) => Err(error),
    }
}

fn write_new(path: &Path, text: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.expose().as_bytes())?;
    file.sync_all()
}

fn read(path: &Path) -> Result<Option<Secret>, DataError> {
    let refused = |cause| DataError::Io { doing: "read", path: path.to_owned(), cause };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let mode = file.metadata().map_err(refused)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(refused)?;
    Ok(Some(Secret::new(text)))
}

#[cfg(test)]
mod tests {
    use sluice_auth::{Principal, Verifier};
    use sluice_domain::{Span, Timestamp};

    use super::*;

    fn fresh() -> (tempfile::TempDir, DataDirectory) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(&folder.path().join("a/b")).unwrap();
        (folder, data)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn keys_are_made_once_and_nobody_else_may_read_them() {
        let (_folder, data) = fresh();
        assert_eq!(mode(data.path()), 0o700);
        let first = data.signing_key().unwrap();
        assert_eq!(mode(&first.made.unwrap()), 0o600);
        let second = data.signing_key().unwrap();
        assert!(second.made.is_none());
        assert_eq!(first.key.kid, second.key.kid);
        let first = data.master_keys(&Entropy::system()).unwrap();
        assert_eq!(mode(&first.made.unwrap()), 0o600);
        assert!(data.master_keys(&Entropy::system()).unwrap().key == first.key);
        let names = fs::read_dir(data.path()).unwrap().count();
        assert_eq!(names, 2, "nothing but the two keys is left");
    }

    #[test]
    fn a_token_of_one_directory_opens_no_other() {
        let (_one, one) = fresh();
        let (_two, two) = fresh();
        let verifier = |data: &DataDirectory| {
            let key = data.signing_key().unwrap().key.verifying().unwrap();
            Verifier::new(ISSUER, vec![key]).unwrap()
        };
        let now = Timestamp::from_micros(1_735_689_600_000_000);
        let user = Principal::new(None, "u".parse().unwrap(), [], []);
        let signer = one.signing_key().unwrap().key.signer(ISSUER).unwrap();
        let token = signer.mint(&user, now, Span::from_secs(60)).unwrap();
        assert_eq!(verifier(&one).verify(&token, now), Ok(user));
        assert!(verifier(&two).verify(&token, now).is_err());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_what_to_do() {
        let (_folder, data) = fresh();
        let path = data.signing_key().unwrap().made.unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refusal = data.signing_key().err().unwrap().to_string();
        assert!(refusal.contains("chmod 600"), "{refusal}");
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_replaced() {
        let (_folder, data) = fresh();
        let path = data.master_keys(&Entropy::system()).unwrap().made.unwrap();
        fs::write(&path, "1:s3cret").unwrap();
        let refusal = data.master_keys(&Entropy::system()).err().unwrap().to_string();
        assert!(refusal.contains("is no list of master keys") && !refusal.contains("s3cret"), "{refusal}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "1:s3cret");
    }
}
