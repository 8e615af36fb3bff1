//! Where a page of a listing ends: the key of what it looked at last.

use sluice_domain::{ExecutionId, Timestamp};

/// Where a page ended: the next one shows what is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKey {
    /// By id, as all of an account's executions are walked.
    Id(ExecutionId),
    /// By the order of acceptance, as those of a trace or a record are, and those that are not over.
    Seq(i64),
    /// By the end and then by the order of acceptance, as what ended otherwise than well is.
    End(Timestamp, i64),
}

impl PageKey {
    /// The key as bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Id(id) => [b"i".as_slice(), &id.to_bytes()].concat(),
            Self::Seq(seq) => [b"s".as_slice(), &seq.to_be_bytes()].concat(),
            Self::End(at, seq) => {
                [b"e".as_slice(), &at.as_micros().to_be_bytes(), &seq.to_be_bytes()].concat()
            }
        }
    }

    /// The key of these bytes, if they are one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
        match bytes.split_first()? {
            (b'i', id) => id.try_into().ok().map(|id| Self::Id(ExecutionId::from_bytes(id))),
            (b's', seq) => number(seq).map(Self::Seq),
            (b'e', both) => {
                let (at, seq) = both.split_at_checked(8)?;
                Some(Self::End(Timestamp::from_micros(number(at)?), number(seq)?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_the_way_to_a_client_and_back() {
        let end = PageKey::End(Timestamp::from_micros(-7), 8_193);
        for key in [PageKey::Id(ExecutionId::from_bytes([7; 16])), PageKey::Seq(8_193), end] {
            assert_eq!(PageKey::from_bytes(&key.to_bytes()), Some(key));
        }
        for bytes in [b"".as_slice(), b"i", b"s1234567", b"e123456789", b"x12345678"] {
            assert_eq!(PageKey::from_bytes(bytes), None);
        }
    }
}
