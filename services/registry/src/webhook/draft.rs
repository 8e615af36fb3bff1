//! A webhook that is asked for, and where it comes from.

use sha2::{Digest as _, Sha256};
use sluice_domain::{AccountId, ReceiverLimits, Subscription, Timestamp, UserId, WebhookId};

use super::{Disabled, DisplayName, Kind, Ordering, State, Webhook, Why};
use crate::authentication::Authentication;
use crate::endpoint::Endpoint;

/// What a new webhook is to be; every part is in order by itself and with the others.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it is for.
    pub kind: Kind,
    /// What people pick it by.
    pub display_name: DisplayName,
    /// Where requests go.
    pub endpoint: Endpoint,
    /// How requests prove themselves, secret included.
    pub authentication: Authentication,
    /// Which events it wants.
    pub subscription: Option<Subscription>,
    /// Whether it is in use from the start.
    pub state: State,
    /// What its receiver is to be spared.
    pub limits: ReceiverLimits,
    /// In which order it gets its deliveries.
    pub ordering: Ordering,
}

/// Where a new webhook comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Whose it is to be.
    pub account: AccountId,
    /// Its id, just minted.
    pub id: WebhookId,
    /// Who makes it.
    pub owner: UserId,
    /// Whether that is a global admin.
    pub owner_is_admin: bool,
    /// When.
    pub at: Timestamp,
}

impl Draft {
    /// The webhook this becomes.
    pub fn into_webhook(self, origin: Origin) -> Webhook {
        Webhook {
            account: origin.account,
            id: origin.id,
            kind: self.kind,
            display_name: self.display_name,
            endpoint: self.endpoint,
            scheme: self.authentication.scheme(),
            subscription: self.subscription,
            disabled: match self.state {
                State::Enabled => None,
                State::Disabled => Some(Disabled { why: Why::ByHand, at: origin.at }),
            },
            limits: self.limits,
            ordering: self.ordering,
            owner: origin.owner,
            owner_is_admin: origin.owner_is_admin,
            created_at: origin.at,
            updated_at: origin.at,
            version: 1,
        }
    }

    /// Tells one request from another under the same request id: everything that was asked for and by whom.
    ///
    /// It covers secrets, so it has to be sealed wherever it is kept.
    pub fn digest(&self, by: &UserId, given_secret: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(by.as_str().as_bytes());
        part(self.kind.as_str().as_bytes());
        part(self.display_name.as_str().as_bytes());
        part(self.endpoint.as_str().as_bytes());
        part(self.state.as_str().as_bytes());
        part(self.ordering.as_str().as_bytes());
        let scheme = self.authentication.scheme();
        part(scheme.word().as_bytes());
        part(scheme.detail().unwrap_or_default().as_bytes());
        part(self.authentication.secret().map_or("", sluice_domain::Secret::expose).as_bytes());
        if let Some(subscription) = &self.subscription {
            part(subscription.object.as_ref().map_or("*", |object| object.as_str()).as_bytes());
            for action in &subscription.actions {
                part(action.as_str().as_bytes());
            }
        }
        if let Some(max_in_flight) = self.limits.max_in_flight {
            part(b"max_in_flight");
            part(&max_in_flight.to_be_bytes());
        }
        if let Some(rate) = self.limits.rate {
            part(b"rate");
            part(&rate.units.to_be_bytes());
            part(&rate.per.as_micros().to_be_bytes());
            part(&rate.burst.to_be_bytes());
        }
        part(b"signing");
        part(given_secret);
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Rate, Secret, Span};

    use super::*;

    fn draft(kind: Kind) -> Draft {
        Draft {
            kind,
            display_name: "Won deals".parse().unwrap(),
            endpoint: Endpoint::stored("https://hooks.example.com/in".to_owned()),
            authentication: Authentication::none(),
            subscription: (kind == Kind::Event).then(|| Subscription { object: None, actions: vec![] }),
            state: State::Enabled,
            limits: ReceiverLimits::default(),
            ordering: Ordering::None,
        }
    }

    #[test]
    fn the_digest_tells_every_part_of_a_request() {
        let (one, two): (UserId, UserId) = ("u1".parse().unwrap(), "u2".parse().unwrap());
        let first = draft(Kind::Event).digest(&one, b"");
        assert_eq!(first, draft(Kind::Event).digest(&one, b""));
        let rate = Rate { units: 1, per: Span::from_secs(1), burst: 1 };
        let bearer = |token: &str| Authentication::bearer(Secret::new(token)).unwrap();
        let others = [
            draft(Kind::Automation),
            Draft { display_name: "Other".parse().unwrap(), ..draft(Kind::Event) },
            Draft { endpoint: Endpoint::stored("https://b.example.com/".to_owned()), ..draft(Kind::Event) },
            Draft { authentication: bearer("one"), ..draft(Kind::Event) },
            Draft { authentication: bearer("two"), ..draft(Kind::Event) },
            Draft { state: State::Disabled, ..draft(Kind::Event) },
            Draft { limits: ReceiverLimits { max_in_flight: Some(1), rate: None }, ..draft(Kind::Event) },
            Draft { limits: ReceiverLimits { max_in_flight: None, rate: Some(rate) }, ..draft(Kind::Event) },
            Draft { ordering: Ordering::Record, ..draft(Kind::Event) },
        ];
        let mut digests: Vec<_> = others.iter().map(|other| other.digest(&one, b"")).collect();
        digests.extend([
            draft(Kind::Event).digest(&one, b"secret"),
            draft(Kind::Event).digest(&two, b""),
            first,
        ]);
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), others.len() + 3);
    }
}
