//! Secrets at rest: sealed with AES-256-GCM under versioned master keys, bound to the place they belong to.
//!
//! A blob is the form's version (one byte), the key's id (four bytes, big-endian), the nonce (twelve bytes) and the
//! ciphertext with its tag. The associated data are purpose, account, webhook and field, so that a blob moved to another
//! row does not open. Nonces are random: one key serves 2³² seals.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_domain::{AccountId, Secret, WebhookId};
use thiserror::Error;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const HEAD: usize = 1 + 4 + NONCE_LEN;

/// Why the configured master keys can't be used; never with a key in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Nothing was configured.
    #[error("at least one master key is needed, written as `1:<base64 of 32 bytes>`")]
    None,
    /// An entry has another form.
    #[error("master key entry {entry}: must be a number from 1, a colon and the base64 of 32 bytes")]
    Form {
        /// Which entry, counted from 1.
        entry: usize,
    },
    /// Two entries have one id.
    #[error("master key {id} is given twice")]
    Twice {
        /// The id.
        id: u32,
    },
}

/// A blob does not open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// It is none of ours.
    #[error("a sealed value has a form that is not known")]
    Form,
    /// Its key is not configured any more.
    #[error("a sealed value needs master key {id}, which is not configured")]
    KeyMissing {
        /// The key's id.
        id: u32,
    },
    /// Its key does not fit, it was changed, or it belongs elsewhere.
    #[error("a sealed value does not open: another key, another place, or damaged")]
    Broken,
}

/// The cipher refused to seal, which it does only for values of many gigabytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a value could not be sealed")]
pub struct SealError;

/// What a sealed value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The secret a receiver asks for.
    Credential,
    /// The secret that signs requests.
    Signing,
    /// The digest of a request whose repetition is to be recognised.
    Request,
}

/// The place a sealed value belongs to: it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// What the value is for.
    pub purpose: Purpose,
    /// Whose it is.
    pub account: &'a AccountId,
    /// The webhook it belongs to.
    pub webhook: WebhookId,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let (purpose, field): (&[u8], &[u8]) = match self.purpose {
            Purpose::Credential => (b"sluice.registry.credential", b"authentication"),
            Purpose::Signing => (b"sluice.registry.signing", b"signing_secret"),
            Purpose::Request => (b"sluice.registry.request", b"digest"),
        };
        let mut data = Vec::with_capacity(128);
        for part in [purpose, self.account.as_str().as_bytes(), &self.webhook.to_bytes(), field] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// The keys that seal: new values under the newest (the highest id), old ones read under theirs.
pub struct MasterKeys {
    keys: BTreeMap<u32, LessSafeKey>,
}

impl MasterKeys {
    /// Reads keys written as `1:<base64>`, one a line or separated by commas; empty lines and lines from `#` on do not count.
    ///
    /// # Errors
    /// Which entry is wrong and how, never what it holds.
    pub fn parse(text: &Secret) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        let entries = text
            .expose()
            .split(['\n', ','])
            .map(str::trim)
            .filter(|entry| !entry.is_empty() && !entry.starts_with('#'));
        for (at, entry) in entries.enumerate() {
            let form = KeyError::Form { entry: at + 1 };
            let (id, encoded) = entry.split_once(':').ok_or_else(|| form.clone())?;
            let id: u32 = id.trim().parse().ok().filter(|id| *id > 0).ok_or_else(|| form.clone())?;
            let bytes = Zeroizing::new(STANDARD.decode(encoded.trim()).map_err(|_| form.clone())?);
            if bytes.len() != KEY_BYTES {
                return Err(form);
            }
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| form)?;
            if keys.insert(id, LessSafeKey::new(key)).is_some() {
                return Err(KeyError::Twice { id });
            }
        }
        if keys.is_empty() { Err(KeyError::None) } else { Ok(Self { keys }) }
    }

    /// Writes one key out of 32 random bytes in the form that [`MasterKeys::parse`] reads: for a first start.
    pub fn encode(id: u32, bytes: &[u8; KEY_BYTES]) -> Secret {
        let encoded = Zeroizing::new(STANDARD.encode(bytes));
        Secret::new(format!("{id}:{}", *encoded))
    }

    /// The id of the key that seals now.
    pub fn newest(&self) -> Option<u32> {
        self.keys.last_key_value().map(|(id, _)| *id)
    }

    /// Seals a value for its place under the newest key; `nonce` must be random.
    ///
    /// # Errors
    /// [`SealError`] when the cipher refuses.
    pub fn seal(&self, place: Place<'_>, nonce: [u8; NONCE_LEN], value: &[u8]) -> Result<Vec<u8>, SealError> {
        let (id, key) = self.keys.last_key_value().ok_or(SealError)?;
        let mut blob = Vec::with_capacity(HEAD + value.len() + AES_256_GCM.tag_len());
        blob.push(VERSION);
        blob.extend_from_slice(&id.to_be_bytes());
        blob.extend_from_slice(&nonce);
        let mut sealed = value.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.associated_data()),
            &mut sealed,
        )
        .map_err(|_| SealError)?;
        blob.append(&mut sealed);
        Ok(blob)
    }

    /// Opens a sealed value in its place; the answer is wiped when dropped.
    ///
    /// # Errors
    /// Why it does not open.
    pub fn open(&self, place: Place<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (head, sealed) = blob.split_at_checked(HEAD).ok_or(OpenError::Form)?;
        let (&version, rest) = head.split_first().ok_or(OpenError::Form)?;
        let (id, nonce) = rest.split_first_chunk::<4>().ok_or(OpenError::Form)?;
        if version != VERSION {
            return Err(OpenError::Form);
        }
        let id = u32::from_be_bytes(*id);
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| OpenError::Form)?;
        let key = self.keys.get(&id).ok_or(OpenError::KeyMissing { id })?;
        let mut value = Zeroizing::new(sealed.to_vec());
        let length = key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.associated_data()),
                &mut value,
            )
            .map_err(|_| OpenError::Broken)?
            .len();
        value.truncate(length);
        Ok(value)
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::Timestamp;

    use super::*;

    fn keys(entries: &[(u32, u8)]) -> MasterKeys {
        let text: Vec<_> = entries
            .iter()
            .map(|(id, fill)| MasterKeys::encode(*id, &[*fill; 32]).expose().to_owned())
            .collect();
        MasterKeys::parse(&Secret::new(text.join("\n"))).unwrap()
    }

    fn webhook(seed: u8) -> WebhookId {
        WebhookId::mint(Timestamp::EPOCH, [seed; 10])
    }

    #[test]
    fn what_is_sealed_opens_in_its_place() {
        let account = "acme".parse().unwrap();
        let place = Place { purpose: Purpose::Credential, account: &account, webhook: webhook(1) };
        let keys = keys(&[(1, 7)]);
        let blob = keys.seal(place, [9; 12], b"hunter2").unwrap();
        assert!(!blob.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(&**keys.open(place, &blob).unwrap(), b"hunter2");
    }

    #[test]
    fn it_opens_in_no_other_place() {
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let place = Place { purpose: Purpose::Credential, account: &acme, webhook: webhook(1) };
        let keys = keys(&[(1, 7)]);
        let blob = keys.seal(place, [9; 12], b"hunter2").unwrap();
        for elsewhere in [
            Place { purpose: Purpose::Signing, ..place },
            Place { account: &other, ..place },
            Place { webhook: webhook(2), ..place },
        ] {
            assert_eq!(keys.open(elsewhere, &blob), Err(OpenError::Broken));
        }
    }

    #[test]
    fn old_keys_read_and_the_newest_writes() {
        let account = "acme".parse().unwrap();
        let place = Place { purpose: Purpose::Signing, account: &account, webhook: webhook(1) };
        let old = keys(&[(1, 7)]).seal(place, [1; 12], b"old").unwrap();
        let both = keys(&[(2, 8), (1, 7)]);
        let new = both.seal(place, [2; 12], b"new").unwrap();
        assert_eq!(&**both.open(place, &old).unwrap(), b"old");
        let newest = keys(&[(2, 8)]);
        assert_eq!(&**newest.open(place, &new).unwrap(), b"new");
        assert_eq!(newest.open(place, &old), Err(OpenError::KeyMissing { id: 1 }));
        assert_eq!(keys(&[(1, 9)]).open(place, &old), Err(OpenError::Broken));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let account = "acme".parse().unwrap();
        let place = Place { purpose: Purpose::Signing, account: &account, webhook: webhook(1) };
        let keys = keys(&[(1, 7)]);
        let blob = keys.seal(place, [1; 12], b"secret").unwrap();
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            assert!(keys.open(place, &changed).is_err(), "byte {at}");
            assert!(keys.open(place, &blob[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn broken_keys_are_refused_by_entry_and_never_repeated() {
        let parse = |text: &str| MasterKeys::parse(&Secret::new(text)).unwrap_err();
        assert_eq!(parse(" \n# none\n"), KeyError::None);
        let good = MasterKeys::encode(1, &[7; 32]).expose().to_owned();
        assert_eq!(parse(&format!("{good}\n2:c2hvcnQ=")), KeyError::Form { entry: 2 });
        assert_eq!(parse(&good.replace("1:", "0:")), KeyError::Form { entry: 1 });
        assert_eq!(parse(&format!("{good},{good}")), KeyError::Twice { id: 1 });
        assert!(!parse("1:c2hvcnQ=").to_string().contains("c2hv"));
        assert_eq!(format!("{:?}", keys(&[(1, 7)])), "[1]");
    }
}
