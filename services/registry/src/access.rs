//! Who may see and change which webhook of an account; a caller has been tied to the account before.

use sluice_domain::{Entitlements, UserId};
use thiserror::Error;

use crate::webhook::{Kind, Webhook};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// An ordinary user of the account.
    Member(UserId),
    /// A global admin of the account.
    Admin(UserId),
    /// A service of Sluice itself: sees everything, changes nothing.
    Service,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denied {
    /// To this caller the webhook does not exist.
    #[error("there is no such webhook")]
    Unseen,
    /// Only a global admin may do this.
    #[error("only a global admin may write AUTOMATION webhooks")]
    NotAdmin,
    /// Services may read only.
    #[error("only a user of the account may write webhooks")]
    NotAUser,
    /// The plan has no automations.
    #[error("the plan has no automations")]
    Plan {
        /// The plan the account is on.
        held: String,
    },
}

impl Caller {
    /// Whether the webhook exists for this caller: members see their own EVENT webhooks and all AUTOMATION ones.
    pub fn sees(&self, webhook: &Webhook) -> bool {
        match self {
            Self::Admin(_) | Self::Service => true,
            Self::Member(user) => webhook.kind == Kind::Automation || webhook.owner == *user,
        }
    }

    /// Whether this caller is shown all of a webhook that it sees. Where AUTOMATION webhooks lead and how they prove themselves is
    /// the admins' business: a path or a query often is a key. Members pick them by name.
    pub fn sees_whole(&self, webhook: &Webhook) -> bool {
        !matches!(self, Self::Member(_)) || webhook.kind == Kind::Event
    }

    /// The owner a new webhook of this kind gets, and whether that is an admin.
    ///
    /// # Errors
    /// When this caller or this plan may not have it.
    pub fn create(&self, kind: Kind, entitlements: &Entitlements) -> Result<(UserId, bool), Denied> {
        let (owner, is_admin) = match self {
            Self::Admin(user) => (user.clone(), true),
            Self::Member(user) => (user.clone(), false),
            Self::Service => return Err(Denied::NotAUser),
        };
        self.write(kind, entitlements)?;
        Ok((owner, is_admin))
    }

    /// Whether this caller may change or delete the webhook now.
    ///
    /// # Errors
    /// [`Denied::Unseen`] before anything else.
    pub fn change(&self, webhook: &Webhook, entitlements: &Entitlements) -> Result<(), Denied> {
        if !self.sees(webhook) {
            return Err(Denied::Unseen);
        }
        self.write(webhook.kind, entitlements)
    }

    /// Whether the owner counts as a global admin once this caller has written the webhook: an owner who writes it as a member
    /// does not any more, and it gets from then on what that member may see.
    pub fn leaves_owner_admin(&self, webhook: &Webhook) -> bool {
        webhook.owner_is_admin && !matches!(self, Self::Member(user) if *user == webhook.owner)
    }

    /// The user behind the call; a service has none.
    pub const fn user(&self) -> Option<&UserId> {
        match self {
            Self::Admin(user) | Self::Member(user) => Some(user),
            Self::Service => None,
        }
    }

    fn write(&self, kind: Kind, entitlements: &Entitlements) -> Result<(), Denied> {
        match (self, kind) {
            (Self::Service, _) => Err(Denied::NotAUser),
            (Self::Member(_), Kind::Automation) => Err(Denied::NotAdmin),
            (Self::Admin(_), Kind::Automation) if !entitlements.automations => {
                Err(Denied::Plan { held: entitlements.plan.clone() })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Subscription, Timestamp, WebhookId};

    use super::*;
    use crate::authentication::Authentication;
    use crate::endpoint::Endpoint;
    use crate::plans;
    use crate::webhook::{Draft, Ordering, Origin, State};

    fn on(plan: &str) -> Entitlements {
        plans::shipped().unwrap().get(plan).unwrap().entitlements(1, Timestamp::EPOCH)
    }

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn owned(kind: Kind, owner: &str) -> Webhook {
        Draft {
            kind,
            display_name: "w".parse().unwrap(),
            endpoint: Endpoint::stored("https://hooks.example.com/".to_owned()),
            authentication: Authentication::none(),
            subscription: (kind == Kind::Event).then(|| Subscription { object: None, actions: vec![] }),
            state: State::Enabled,
            limits: sluice_domain::ReceiverLimits::default(),
            ordering: Ordering::None,
        }
        .into_webhook(Origin {
            account: "acme".parse().unwrap(),
            id: WebhookId::mint(Timestamp::EPOCH, [1; 10]),
            owner: user(owner),
            owner_is_admin: false,
            at: Timestamp::EPOCH,
        })
    }

    #[test]
    fn automation_webhooks_are_written_by_admins_on_plans_that_have_them() {
        let (admin, member) = (Caller::Admin(user("a")), Caller::Member(user("m")));
        assert_eq!(admin.create(Kind::Automation, &on("advanced")), Ok((user("a"), true)));
        assert_eq!(
            admin.create(Kind::Automation, &on("essential")),
            Err(Denied::Plan { held: "essential".into() })
        );
        assert_eq!(member.create(Kind::Automation, &on("advanced")), Err(Denied::NotAdmin));
        assert_eq!(member.create(Kind::Automation, &on("essential")), Err(Denied::NotAdmin));
        let webhook = owned(Kind::Automation, "m");
        assert_eq!(member.change(&webhook, &on("advanced")), Err(Denied::NotAdmin));
        assert_eq!(admin.change(&webhook, &on("advanced")), Ok(()));
        assert_eq!(admin.change(&webhook, &on("essential")), Err(Denied::Plan { held: "essential".into() }));
    }

    #[test]
    fn event_webhooks_are_their_owners_and_the_admins_on_any_plan() {
        let (admin, member) = (Caller::Admin(user("a")), Caller::Member(user("m")));
        assert_eq!(member.create(Kind::Event, &on("essential")), Ok((user("m"), false)));
        assert_eq!(member.change(&owned(Kind::Event, "m"), &on("essential")), Ok(()));
        assert_eq!(admin.change(&owned(Kind::Event, "m"), &on("essential")), Ok(()));
        assert_eq!(member.change(&owned(Kind::Event, "other"), &on("essential")), Err(Denied::Unseen));
    }

    #[test]
    fn members_see_their_own_and_the_automation_ones() {
        let member = Caller::Member(user("m"));
        assert!(member.sees(&owned(Kind::Event, "m")));
        assert!(member.sees(&owned(Kind::Automation, "other")));
        assert!(!member.sees(&owned(Kind::Event, "other")));
        assert!(Caller::Admin(user("a")).sees(&owned(Kind::Event, "other")));
    }

    #[test]
    fn members_are_shown_event_webhooks_whole_and_automation_ones_by_name() {
        let member = Caller::Member(user("m"));
        assert!(member.sees_whole(&owned(Kind::Event, "m")));
        assert!(!member.sees_whole(&owned(Kind::Automation, "other")));
        assert!(!member.sees_whole(&owned(Kind::Automation, "m")), "who was an admin once is a member now");
        for caller in [Caller::Admin(user("a")), Caller::Service] {
            assert!(caller.sees_whole(&owned(Kind::Automation, "other")));
        }
    }

    #[test]
    fn an_owner_who_writes_as_a_member_is_no_admin_any_more() {
        let webhook = Webhook { owner_is_admin: true, ..owned(Kind::Event, "ann") };
        assert!(!Caller::Member(user("ann")).leaves_owner_admin(&webhook));
        assert!(Caller::Admin(user("ann")).leaves_owner_admin(&webhook));
        assert!(Caller::Admin(user("root")).leaves_owner_admin(&webhook));
        assert!(!Caller::Admin(user("ann")).leaves_owner_admin(&owned(Kind::Event, "ann")));
    }

    #[test]
    fn services_read_everything_and_write_nothing() {
        let webhook = owned(Kind::Event, "m");
        assert!(Caller::Service.sees(&webhook));
        assert_eq!(Caller::Service.change(&webhook, &on("advanced")), Err(Denied::NotAUser));
        assert_eq!(Caller::Service.create(Kind::Event, &on("advanced")), Err(Denied::NotAUser));
    }
}
