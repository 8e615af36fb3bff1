//! A registered target: who owns it, what people call it, where it leads and which events it wants.

mod draft;

use std::fmt;
use std::str::FromStr;

use sluice_domain::{
    AccountId, Rate, ReceiverLimits, Subscription, Timestamp, UserId, Violations, WebhookId,
};
use thiserror::Error;

use crate::authentication::{Authentication, Scheme};
use crate::endpoint::Endpoint;

pub use draft::{Draft, Origin};

/// The most characters a display name may have.
pub const MAX_DISPLAY_NAME: usize = 120;

/// What a webhook is for; fixed when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Used by automations only.
    Automation,
    /// Gets every event its subscription wants.
    Event,
}

/// Whether a webhook is in use. People switch it on and off by an update; the system switches it off, and never on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Requests are sent.
    Enabled,
    /// Switched off: by hand, and what needs it pauses; by the system, and what needs it fails.
    Disabled,
}

/// Why a webhook is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Somebody switched it off.
    ByHand,
    /// The system did: its receiver is gone for good.
    Gone,
    /// The system did: its receiver kept failing for too long.
    Failing,
}

/// In which order a webhook gets its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ordering {
    /// Each when it can be sent.
    #[default]
    None,
    /// Those about one record one after another.
    Record,
}

/// That a webhook is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// Why.
    pub why: Why,
    /// Since when.
    pub at: Timestamp,
}

/// A stored word is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no {1} of a webhook")]
pub struct UnknownWord(String, &'static str);

impl Kind {
    /// `AUTOMATION` or `EVENT`, as people and tables read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automation => "AUTOMATION",
            Self::Event => "EVENT",
        }
    }
}

impl State {
    /// `ENABLED` or `DISABLED`, as people and tables read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
        }
    }
}

impl Why {
    /// `BY_HAND`, `GONE` or `FAILING`, as people and tables read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "BY_HAND",
            Self::Gone => "GONE",
            Self::Failing => "FAILING",
        }
    }
}

impl FromStr for Why {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "BY_HAND" => Ok(Self::ByHand),
            "GONE" => Ok(Self::Gone),
            "FAILING" => Ok(Self::Failing),
            _ => Err(UnknownWord(text.to_owned(), "reason to disable")),
        }
    }
}

impl Ordering {
    /// `NONE` or `RECORD`, as people and tables read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Record => "RECORD",
        }
    }
}

impl FromStr for Ordering {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "NONE" => Ok(Self::None),
            "RECORD" => Ok(Self::Record),
            _ => Err(UnknownWord(text.to_owned(), "ordering")),
        }
    }
}

impl FromStr for Kind {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "AUTOMATION" => Ok(Self::Automation),
            "EVENT" => Ok(Self::Event),
            _ => Err(UnknownWord(text.to_owned(), "kind")),
        }
    }
}

impl FromStr for State {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "ENABLED" => Ok(Self::Enabled),
            "DISABLED" => Ok(Self::Disabled),
            _ => Err(UnknownWord(text.to_owned(), "state")),
        }
    }
}

/// The text is no display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to 120 characters, without control characters and without white space at either end")]
pub struct DisplayNameError;

/// What people pick a webhook by: 1 to 120 characters, unique in the account, compared character by character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DisplayName(Box<str>);

impl DisplayName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = DisplayNameError;

    fn from_str(text: &str) -> Result<Self, DisplayNameError> {
        let characters = text.chars().count();
        if !(1..=MAX_DISPLAY_NAME).contains(&characters)
            || text.chars().any(char::is_control)
            || text.trim() != text
        {
            return Err(DisplayNameError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A webhook as it stands, without any secret. Made by [`Draft`], moved on by [`Change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Whose it is.
    pub account: AccountId,
    /// Its id; sorts by the time it was made.
    pub id: WebhookId,
    /// What it is for.
    pub kind: Kind,
    /// What people pick it by.
    pub display_name: DisplayName,
    /// Where requests go.
    pub endpoint: Endpoint,
    /// How requests prove themselves, without the secret.
    pub scheme: Scheme,
    /// Which events it wants: always there for an event webhook, never for the other kind.
    pub subscription: Option<Subscription>,
    /// That it is disabled, if it is.
    pub disabled: Option<Disabled>,
    /// What its receiver is to be spared.
    pub limits: ReceiverLimits,
    /// In which order it gets its deliveries.
    pub ordering: Ordering,
    /// Who made it.
    pub owner: UserId,
    /// Whether the owner was a global admin then, and at each change of their own since.
    pub owner_is_admin: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 at first, one more with every change; the etag says it.
    pub version: i64,
}

impl Webhook {
    /// `accounts/{account}/webhooks/{webhook}`.
    pub fn name(&self) -> String {
        format!("accounts/{}/webhooks/{}", self.account, self.id)
    }

    /// What a client sends back to be refused if another change came between.
    pub fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Takes a change over.
    ///
    /// # Errors
    /// When the change does not fit the webhook's kind; nothing is taken over then.
    pub fn apply(&mut self, change: Change, now: Timestamp) -> Result<(), Violations> {
        let mut violations = Violations::new();
        if let Some(subscription) = &change.subscription {
            check_subscription(self.kind, subscription.as_ref(), &mut violations);
        }
        violations.into_result()?;

        if let Some(display_name) = change.display_name {
            self.display_name = display_name;
        }
        if let Some(endpoint) = change.endpoint {
            self.endpoint = endpoint;
        }
        if let Some(authentication) = change.authentication {
            self.scheme = authentication.scheme();
        }
        if let Some(subscription) = change.subscription {
            self.subscription = subscription;
        }
        self.disabled = match change.state {
            Some(State::Enabled) => None,
            // Who disables what is disabled leaves why.
            Some(State::Disabled) => self.disabled.or(Some(Disabled { why: Why::ByHand, at: now })),
            None => self.disabled,
        };
        if let Some(max_in_flight) = change.max_in_flight {
            self.limits.max_in_flight = max_in_flight;
        }
        if let Some(rate) = change.rate {
            self.limits.rate = rate;
        }
        if let Some(ordering) = change.ordering {
            self.ordering = ordering;
        }
        self.version += 1;
        self.updated_at = now;
        Ok(())
    }

    /// Whether it is in use.
    pub const fn state(&self) -> State {
        match self.disabled {
            None => State::Enabled,
            Some(_) => State::Disabled,
        }
    }

    /// The system disables it, if it is enabled and still what it was at `version`. Says whether it did.
    pub fn give_up(&mut self, version: i64, why: Why, now: Timestamp) -> bool {
        let gives_up = self.disabled.is_none() && self.version == version;
        if gives_up {
            self.disabled = Some(Disabled { why, at: now });
            self.version += 1;
            self.updated_at = now;
        }
        gives_up
    }
}

/// An event webhook needs a subscription; the other kind must not have one.
pub fn check_subscription(kind: Kind, subscription: Option<&Subscription>, violations: &mut Violations) {
    match (kind, subscription) {
        (Kind::Event, None) => violations.add("webhook.subscription", "is required for an EVENT webhook"),
        (Kind::Automation, Some(_)) => {
            violations.add("webhook.subscription", "must be absent for an AUTOMATION webhook");
        }
        _ => {}
    }
}

/// What is to change of a webhook; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// A new name.
    pub display_name: Option<DisplayName>,
    /// A new target.
    pub endpoint: Option<Endpoint>,
    /// A new proof, its secret included.
    pub authentication: Option<Authentication>,
    /// A new subscription; `Some(None)` takes it away, which only an automation webhook bears.
    pub subscription: Option<Option<Subscription>>,
    /// Switched on or off.
    pub state: Option<State>,
    /// Another number of requests under way; `Some(None)` takes the limit away.
    pub max_in_flight: Option<Option<u32>>,
    /// Another rate; `Some(None)` takes it away.
    pub rate: Option<Option<Rate>>,
    /// Another order of its deliveries.
    pub ordering: Option<Ordering>,
}

#[cfg(test)]
mod tests {
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

    fn webhook(kind: Kind) -> Webhook {
        draft(kind).into_webhook(Origin {
            account: "acme".parse().unwrap(),
            id: WebhookId::mint(Timestamp::EPOCH, [1; 10]),
            owner: "u1".parse().unwrap(),
            owner_is_admin: false,
            at: Timestamp::EPOCH,
        })
    }

    #[test]
    fn display_names_count_characters_and_not_bytes() {
        assert!("ü".repeat(120).parse::<DisplayName>().is_ok());
        for bad in ["", " ", "a ", "\ta", "a\nb", "a\0", &"ü".repeat(121)] {
            assert!(bad.parse::<DisplayName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn kinds_and_states_read_back_as_they_are_written() {
        for kind in [Kind::Automation, Kind::Event] {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for state in [State::Enabled, State::Disabled] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for ordering in [Ordering::None, Ordering::Record] {
            assert_eq!(ordering.as_str().parse(), Ok(ordering));
        }
        assert!("event".parse::<Kind>().is_err());
    }

    #[test]
    fn a_change_takes_only_what_it_names_and_moves_the_version() {
        let mut held = webhook(Kind::Event);
        let before = held.clone();
        let change = Change { state: Some(State::Disabled), ..Change::default() };
        held.apply(change, Timestamp::from_micros(9)).unwrap();
        let expected = Webhook {
            disabled: Some(Disabled { why: Why::ByHand, at: Timestamp::from_micros(9) }),
            version: 2,
            updated_at: Timestamp::from_micros(9),
            ..before.clone()
        };
        assert_eq!(held, expected);
        assert_ne!(held.etag(), before.etag());
    }

    #[test]
    fn the_system_disables_what_was_not_changed_since_and_only_people_enable_it() {
        let now = Timestamp::from_micros(9);
        let mut held = webhook(Kind::Automation);
        assert!(!held.give_up(2, Why::Gone, now), "it is another one by now");
        assert!(held.give_up(1, Why::Gone, now));
        assert_eq!((held.state(), held.version), (State::Disabled, 2));
        assert!(!held.give_up(2, Why::Failing, now), "it is disabled");
        let by_hand = Change { state: Some(State::Disabled), ..Change::default() };
        held.apply(by_hand, Timestamp::from_micros(10)).unwrap();
        assert_eq!(held.disabled, Some(Disabled { why: Why::Gone, at: now }));
        held.apply(Change { state: Some(State::Enabled), ..Change::default() }, now).unwrap();
        assert_eq!((held.state(), held.disabled), (State::Enabled, None));
    }

    #[test]
    fn a_subscription_must_fit_the_kind_and_a_misfit_changes_nothing() {
        for (kind, subscription) in
            [(Kind::Event, None), (Kind::Automation, Some(Subscription { object: None, actions: vec![] }))]
        {
            let mut held = webhook(kind);
            let change = Change {
                subscription: Some(subscription),
                state: Some(State::Disabled),
                ..Change::default()
            };
            let violations = held.apply(change, Timestamp::from_micros(9)).unwrap_err();
            assert_eq!(violations.iter().next().unwrap().field, "webhook.subscription");
            assert_eq!(held, webhook(kind));
        }
    }
}
