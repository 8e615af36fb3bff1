//! The record an execution is about, as people look for it: "what happened to deal 4711?"

use sha2::{Digest as _, Sha256};
use sluice_domain::AccountId;

use crate::execution::EventSummary;

/// A record that executions are looked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// What kind of record, where two kinds could have the id.
    pub object: Option<String>,
}

impl Record {
    /// Whether an event is about it.
    pub fn is_of(&self, event: &EventSummary) -> bool {
        self.id == event.record_id && self.object.as_ref().is_none_or(|object| *object == event.object)
    }
}

/// What stands for a record's id in an account's rows: eight bytes, and others for each account, as with
/// [traces](crate::trace::TraceId::key). Rows that share them are told apart by the event.
pub fn key(account: &AccountId, id: &str) -> i64 {
    let digest = Sha256::new().chain_update(account.as_str()).chain_update([0]).chain_update(id).finalize();
    let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    i64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Action, Timestamp};

    use super::*;

    #[test]
    fn a_record_is_told_by_its_id_and_where_it_is_named_by_its_kind() {
        let event = EventSummary {
            id: "e1".into(),
            object: "deal".into(),
            action: Action::Updated,
            record_id: "4711".into(),
            occurred_at: Timestamp::EPOCH,
            actor: None,
            cause: None,
        };
        let record =
            |id: &str, object: Option<&str>| Record { id: id.into(), object: object.map(str::to_owned) };
        assert!(record("4711", None).is_of(&event) && record("4711", Some("deal")).is_of(&event));
        assert!(!record("4711", Some("person")).is_of(&event) && !record("471", None).is_of(&event));
    }

    #[test]
    fn each_account_has_a_key_of_its_own_for_a_record() {
        let (acme, other) = ("acme".parse().unwrap(), "acme1".parse().unwrap());
        assert_eq!(key(&acme, "4711"), key(&acme, "4711"));
        assert_ne!(key(&acme, "4711"), key(&other, "4711"));
        assert_ne!(key(&acme, "14711"), key(&other, "4711"));
    }
}
