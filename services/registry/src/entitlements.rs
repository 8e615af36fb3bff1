//! An account and the one rule of its entitlements: a newer version replaces, an older one never wins.

use sluice_domain::{AccountId, Catalogue, Entitlements, Timestamp};

/// One tenant as billing last described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The host's name for it.
    pub id: AccountId,
    /// What it may do; the plan's numbers as they stood when these were put. Version 0 came from the default plan.
    pub entitlements: Entitlements,
    /// An instant at which a billing period begins.
    pub anchor: Timestamp,
    /// When these entitlements were put.
    pub updated_at: Timestamp,
}

/// What billing says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The plan's name.
    pub plan: String,
    /// Billing's version, at least 1.
    pub version: i64,
    /// An instant at which a billing period begins.
    pub anchor: Timestamp,
}

/// What a put comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It is in force from now on.
    Replace,
    /// The same was put before; nothing changes.
    Same,
    /// A newer version is in force.
    Outdated {
        /// That version.
        held: i64,
    },
    /// The version was put with other content.
    Reused,
}

impl Put {
    /// Weighs it against what is held. The content is what billing said: plan and anchor, not the plan's numbers.
    pub fn against(&self, held: Option<&Account>) -> Ruling {
        let Some(held) = held else { return Ruling::Replace };
        match self.version.cmp(&held.entitlements.version) {
            std::cmp::Ordering::Greater => Ruling::Replace,
            std::cmp::Ordering::Less => Ruling::Outdated { held: held.entitlements.version },
            std::cmp::Ordering::Equal
                if self.plan == held.entitlements.plan && self.anchor == held.anchor =>
            {
                Ruling::Same
            }
            std::cmp::Ordering::Equal => Ruling::Reused,
        }
    }
}

impl Account {
    /// The account that a put makes; `None` when the catalogue has no such plan.
    pub fn of(id: AccountId, put: &Put, catalogue: &Catalogue, now: Timestamp) -> Option<Self> {
        let entitlements = catalogue.get(&put.plan)?.entitlements(put.version, put.anchor);
        Some(Self { id, entitlements, anchor: put.anchor, updated_at: now })
    }

    /// `accounts/{account}`.
    pub fn name(&self) -> String {
        format!("accounts/{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans;

    fn put(plan: &str, version: i64, anchor: i64) -> Put {
        Put { plan: plan.to_owned(), version, anchor: Timestamp::from_micros(anchor) }
    }

    fn held(plan: &str, version: i64, anchor: i64) -> Account {
        let catalogue = plans::shipped().unwrap();
        Account::of("acme".parse().unwrap(), &put(plan, version, anchor), &catalogue, Timestamp::EPOCH)
            .unwrap()
    }

    #[test]
    fn the_first_and_every_newer_version_is_taken() {
        assert_eq!(put("advanced", 1, 0).against(None), Ruling::Replace);
        assert_eq!(put("essential", 8, 0).against(Some(&held("advanced", 7, 0))), Ruling::Replace);
    }

    #[test]
    fn an_older_version_never_wins() {
        let ruling = put("enterprise", 6, 0).against(Some(&held("advanced", 7, 0)));
        assert_eq!(ruling, Ruling::Outdated { held: 7 });
    }

    #[test]
    fn a_repeated_version_must_say_the_same() {
        let held = held("advanced", 7, 5);
        assert_eq!(put("advanced", 7, 5).against(Some(&held)), Ruling::Same);
        assert_eq!(put("essential", 7, 5).against(Some(&held)), Ruling::Reused);
        assert_eq!(put("advanced", 7, 6).against(Some(&held)), Ruling::Reused);
    }

    #[test]
    fn an_unknown_plan_makes_no_account() {
        let catalogue = plans::shipped().unwrap();
        let made = Account::of("acme".parse().unwrap(), &put("gold", 1, 0), &catalogue, Timestamp::EPOCH);
        assert_eq!(made, None);
    }
}
