//! How many webhooks an account may have, whatever its plan: each event webhook is a request for every event it wants.

use serde::Deserialize;

use crate::access::Caller;
use crate::webhook::Kind;

/// The most webhooks of each kind. Lowered limits take nothing away; they only let nothing be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// `limits.event_webhooks`: EVENT webhooks of an account.
    pub event_webhooks: u32,
    /// `limits.event_webhooks_per_member`: EVENT webhooks of an account that one member owns.
    pub event_webhooks_per_member: u32,
    /// `limits.automation_webhooks`: AUTOMATION webhooks of an account.
    pub automation_webhooks: u32,
}

/// How many webhooks there are before one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Of its kind in the account.
    pub of_kind: i64,
    /// Of these, those of its owner.
    pub of_owner: i64,
}

/// A limit that has no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The limit's name, as in the configuration.
    pub limit: &'static str,
    /// How many there are.
    pub used: i64,
    /// How many there may be.
    pub of: u32,
}

impl Default for Limits {
    /// 50, 10 and 500.
    fn default() -> Self {
        Self { event_webhooks: 50, event_webhooks_per_member: 10, automation_webhooks: 500 }
    }
}

impl Limits {
    /// Whether this caller may make one more of this kind. Global admins own as many event webhooks as the account may have.
    ///
    /// # Errors
    /// The limit that is reached, the member's own before the account's.
    pub fn admit(&self, caller: &Caller, kind: Kind, count: Count) -> Result<(), Reached> {
        let own = match (caller, kind) {
            (Caller::Member(_), Kind::Event) => {
                Some(("event_webhooks_per_member", count.of_owner, self.event_webhooks_per_member))
            }
            _ => None,
        };
        let all = match kind {
            Kind::Event => ("event_webhooks", count.of_kind, self.event_webhooks),
            Kind::Automation => ("automation_webhooks", count.of_kind, self.automation_webhooks),
        };
        let reached = own.into_iter().chain([all]).find(|(_, used, of)| *used >= i64::from(*of));
        match reached {
            Some((limit, used, of)) => Err(Reached { limit, used, of }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_reaches_its_own_limit_before_the_accounts_and_an_admin_only_that() {
        let limits = Limits { event_webhooks: 4, event_webhooks_per_member: 2, automation_webhooks: 1 };
        let (member, admin) = (Caller::Member("m".parse().unwrap()), Caller::Admin("a".parse().unwrap()));
        let count = |of_kind, of_owner| Count { of_kind, of_owner };
        let reached = |limit, used, of| Err(Reached { limit, used, of });
        assert_eq!(limits.admit(&member, Kind::Event, count(3, 1)), Ok(()));
        let own = reached("event_webhooks_per_member", 2, 2);
        assert_eq!(limits.admit(&member, Kind::Event, count(4, 2)), own);
        assert_eq!(limits.admit(&member, Kind::Event, count(4, 0)), reached("event_webhooks", 4, 4));
        assert_eq!(limits.admit(&admin, Kind::Event, count(3, 3)), Ok(()));
        assert_eq!(limits.admit(&admin, Kind::Event, count(9, 3)), reached("event_webhooks", 9, 4));
        assert_eq!(limits.admit(&admin, Kind::Automation, count(0, 0)), Ok(()));
        assert_eq!(limits.admit(&admin, Kind::Automation, count(1, 1)), reached("automation_webhooks", 1, 1));
    }
}
