//! The reference for receivers that fail, kept by the ledger: what each was heard to do, and what may therefore go to it. It shares
//! no code with the dispatcher; only how long chance keeps a breaker open it reads from the row, within its bounds.

use sluice_dispatcher::attempt::Verdict;
use sluice_dispatcher::breaker::{Breaker, Policy, Standing, State};
use sluice_dispatcher::execution::Next;
use sluice_domain::{Span, Timestamp};

use super::breakers::Word;
use super::ledger::Broken;
use super::world::{Held, Report};

/// What may go to a webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Everything.
    #[default]
    Works,
    /// Nothing before then, and then one.
    Open(Timestamp),
    /// Nothing, while the one under this token is under way, until then at most.
    Probed(i64, Timestamp),
    /// Nothing, until the registry has answered.
    GivenUp,
    /// Nothing; what waits fails. So the registry said at this revision last.
    Disabled(i64),
}

/// What is known of one receiver, and of its webhook.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    failures: u32,
    since: Option<Timestamp>,
    opened: u32,
    pub(crate) stand: Stand,
    /// The registry's latest word, by its revision.
    word: Option<(i64, Standing)>,
}

/// What a report says of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Alive,
    Failing,
    Gone,
    Nothing,
}

impl Heard {
    fn of(report: &Report) -> Self {
        match report.tried {
            None | Some((Verdict::Interrupted, _)) => Self::Nothing,
            Some((_, None | Some(408 | 425 | 429 | 500..=599))) => Self::Failing,
            Some((_, Some(410))) => Self::Gone,
            Some(_) => Self::Alive,
        }
    }
}

impl Health {
    /// Whether anything is held against it.
    pub(crate) fn is_troubled(&self) -> bool {
        self.failures > 0 || self.stand != Stand::Works
    }

    /// Whether somebody disabled the webhook by hand.
    pub(crate) fn is_shut(&self) -> bool {
        matches!(self.word, Some((_, Standing::DisabledByHand)))
    }

    /// Whether the registry said that the system disabled it, and nothing else since.
    pub(crate) fn is_disabled(&self) -> bool {
        matches!(self.stand, Stand::Disabled(_))
    }

    /// When something may start that waits for it; none where only somebody's word changes that.
    pub(crate) fn open_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.stand {
            _ if self.is_shut() => None,
            Stand::Works => Some(now),
            Stand::Open(until) | Stand::Probed(_, until) => Some(until.max(now)),
            Stand::GivenUp | Stand::Disabled(_) => None,
        }
    }

    /// A claim of a delivery to it is taken.
    pub(crate) fn starts(&mut self, held: &Held, now: Timestamp, until: Timestamp) -> Result<(), Broken> {
        let seq = held.seq;
        if self.is_shut() {
            return Err(format!("I7: {seq} is claimed behind a closed gate"));
        }
        match self.stand {
            Stand::Works => Ok(()),
            Stand::Open(opens) | Stand::Probed(_, opens) if opens <= now => {
                self.stand = Stand::Probed(held.token, until);
                Ok(())
            }
            Stand::Open(opens) => Err(format!("breaker: {seq} starts at {now}, it is open until {opens}")),
            Stand::Probed(..) => Err(format!("breaker: {seq} starts beside the probe")),
            Stand::GivenUp => Err(format!("breaker: {seq} starts although the webhook is given up")),
            Stand::Disabled(_) => Err(format!("breaker: {seq} starts although the webhook is disabled")),
        }
    }

    /// A claim that was held ended so. `looked` says whether a success of it is of interest.
    pub(crate) fn heard(
        &mut self,
        (held, report): (&Held, &Report),
        looked: bool,
        now: Timestamp,
        policy: &Policy,
    ) -> Option<(Span, Span)> {
        if matches!(self.stand, Stand::GivenUp | Stand::Disabled(_)) {
            return None;
        }
        let probe = matches!(self.stand, Stand::Probed(token, _) if token == held.token);
        match (Heard::of(report), self.stand) {
            (Heard::Alive, _) if looked => self.recover(),
            (Heard::Gone, _) => {
                self.count(now);
                self.stand = Stand::GivenUp;
            }
            (Heard::Failing, Stand::Works) => {
                let lasts = now.since(self.count(now));
                if self.failures >= policy.failures && lasts >= policy.over {
                    return Some(self.open(now, policy));
                }
            }
            (Heard::Failing, _) if probe => {
                if now.since(self.count(now)) < policy.disable_after {
                    return Some(self.open(now, policy));
                }
                self.stand = Stand::GivenUp;
            }
            (Heard::Nothing, _) if probe => {
                let after = if let Next::HandBack(after) = report.next { after } else { Span::ZERO };
                self.stand = Stand::Open(now.plus(after));
            }
            _ => {}
        }
        None
    }

    fn recover(&mut self) {
        *self = Self { word: self.word, ..Self::default() };
    }

    /// One failure more; says since when it fails.
    fn count(&mut self, now: Timestamp) -> Timestamp {
        self.failures += 1;
        *self.since.get_or_insert(now)
    }

    /// It is open; says for how long at least and at most.
    fn open(&mut self, now: Timestamp, policy: &Policy) -> (Span, Span) {
        let mut mean = policy.first;
        for _ in 0..self.opened {
            mean = mean.plus(mean).min(policy.longest);
        }
        self.opened += 1;
        self.stand = Stand::Open(now);
        let fifths = |fifths| Span::from_micros(mean.as_micros() * fifths / 5);
        (fifths(4), fifths(6))
    }

    /// The registry said how the webhook stands.
    pub(crate) fn told(&mut self, word: &Word, now: Timestamp) {
        let (revision, standing) = (word.revision, word.standing);
        let latest = self.word.is_none_or(|(known, _)| known < revision);
        if latest {
            self.word = Some((revision, standing));
        }
        match (self.stand, standing) {
            (Stand::Disabled(known), Standing::DisabledBySystem(_)) => {
                self.stand = Stand::Disabled(known.max(revision));
            }
            // An answer that comes when another one has settled it already leaves that to what the registry tells.
            (Stand::Disabled(_), _) if word.answer => {}
            (Stand::Disabled(known), _) if known < revision => self.recover(),
            (Stand::Disabled(_), _) => {}
            (_, Standing::DisabledBySystem(_)) if latest => {
                if self.failures == 0 {
                    self.count(now);
                }
                self.stand = Stand::Disabled(revision);
            }
            (Stand::GivenUp, _) if word.answer => self.recover(),
            (Stand::GivenUp, _) => {}
            (_, Standing::Enabled) if latest && !word.answer => self.recover(),
            _ => {}
        }
    }

    /// The row says the same. Where it was opened just now, for a time between these: that it is open until then is taken from it.
    pub(crate) fn agrees(
        &mut self,
        row: Option<&Breaker>,
        opened: Option<(Span, Span)>,
        now: Timestamp,
    ) -> Result<(), Broken> {
        let stand = match row.map(|row| row.state) {
            None | Some(State::Closed) => Stand::Works,
            Some(State::Open { until }) => Stand::Open(until),
            Some(State::HalfOpen(probe)) => Stand::Probed(probe.token, probe.until),
            Some(State::Disabling { .. }) => Stand::GivenUp,
            Some(State::Disabled { .. }) if self.is_disabled() => self.stand,
            Some(State::Disabled { revision, .. }) => Stand::Disabled(revision),
        };
        if let (Some((least, most)), Stand::Open(until)) = (opened, stand) {
            let within = now.plus(least).minus(Span::from_micros(1)) <= until && until <= now.plus(most);
            if !within {
                return Err(format!("breaker: open from {now} until {until}, not {least:?} to {most:?}"));
            }
            self.stand = stand;
        }
        let (counted, failures) = (row.map_or(0, |row| row.failures), self.failures);
        if stand == self.stand && counted == failures {
            return Ok(());
        }
        Err(format!("breaker: {counted} failures, {stand:?} on record, not {failures}, {:?}", self.stand))
    }
}
