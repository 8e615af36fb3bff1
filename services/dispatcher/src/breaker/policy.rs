//! When a breaker opens, for how long, and when the system gives a webhook up.

use sluice_domain::{Span, Timestamp};

use super::{Breaker, Sign, State, Why};
use crate::retry::Backoff;

/// The rules of a deployment. By default ten failures in a row over at least a minute open a breaker, for 30 seconds, then twice as
/// long each time up to an hour, and five days of failing disable the webhook.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How many failures in a row open it.
    pub failures: u32,
    /// Over how long at least: a burst that fails at once is one failure to people.
    #[serde(with = "sluice_runtime::human_span")]
    pub over: Span,
    /// The mean time before the first probe.
    #[serde(with = "sluice_runtime::human_span")]
    pub first: Span,
    /// What the time before each further probe is multiplied by.
    pub factor: f64,
    /// The longest mean time before a probe.
    #[serde(with = "sluice_runtime::human_span")]
    pub longest: Span,
    /// After how long of failing the webhook is disabled.
    #[serde(with = "sluice_runtime::human_span")]
    pub disable_after: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failures: 10,
            over: Span::from_secs(60),
            first: Span::from_secs(30),
            factor: 2.0,
            longest: Span::from_secs(3_600),
            disable_after: Span::from_secs(5 * 86_400),
        }
    }
}

/// A claim that ended, as its webhook's breaker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What it says of the receiver.
    pub sign: Sign,
    /// Its token.
    pub token: i64,
    /// The webhook's version that it went to.
    pub version: i64,
    /// How long its work waits before it is claimed again.
    pub again_after: Span,
}

/// What is to become of a webhook's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// What is on record, or that nothing is, stays.
    Leave,
    /// This is on record from now on.
    Keep(Breaker),
    /// The webhook works: nothing is on record any more.
    Forget,
}

impl Policy {
    /// Decides what an ended claim means for its webhook's breaker, if it has one on record; `fraction` is random in 0..1.
    pub fn after(&self, breaker: Option<Breaker>, seen: Seen, now: Timestamp, fraction: f64) -> Decision {
        let disables = |why, failing: Breaker| {
            Decision::Keep(Breaker { state: State::Disabling { why, version: seen.version }, ..failing })
        };
        let failed = Breaker {
            failures: breaker.map_or(0, |breaker| breaker.failures).saturating_add(1),
            since: breaker.map_or(now, |breaker| breaker.since),
            opened: breaker.map_or(0, |breaker| breaker.opened),
            state: State::Closed,
        };
        match (breaker.map(|breaker| breaker.state), seen.sign) {
            (Some(State::Disabling { .. } | State::Disabled { .. }), _) | (None, Sign::Alive) => {
                Decision::Leave
            }
            (Some(_), Sign::Alive) => Decision::Forget,
            (_, Sign::Gone) => disables(Why::Gone, failed),
            (None | Some(State::Closed), Sign::Failing) => {
                let opens = failed.failures >= self.failures && now.since(failed.since) >= self.over;
                Decision::Keep(if opens { self.open(failed, now, fraction) } else { failed })
            }
            (Some(State::HalfOpen(probe)), Sign::Failing) if probe.token == seen.token => {
                if now.since(failed.since) >= self.disable_after {
                    disables(Why::Failing, failed)
                } else {
                    Decision::Keep(self.open(failed, now, fraction))
                }
            }
            (Some(State::HalfOpen(probe)), Sign::Silent) if probe.token == seen.token => {
                let state = State::Open { until: now.plus(seen.again_after) };
                breaker.map_or(Decision::Leave, |breaker| Decision::Keep(Breaker { state, ..breaker }))
            }
            // What was under way when it opened.
            (Some(State::Open { .. } | State::HalfOpen(_)), Sign::Failing) | (_, Sign::Silent) => {
                Decision::Leave
            }
        }
    }

    fn open(&self, failing: Breaker, now: Timestamp, fraction: f64) -> Breaker {
        let backoff = Backoff { first: self.first, factor: self.factor, longest: self.longest };
        let until = now.plus(backoff.delay(failing.opened, fraction));
        Breaker { opened: failing.opened.saturating_add(1), state: State::Open { until }, ..failing }
    }

    /// What is wrong with these numbers, if anything.
    pub fn broken_rule(&self) -> Option<&'static str> {
        if !(1..=10_000).contains(&self.failures) {
            return Some("breaker.failures must be 1 to 10,000");
        }
        if self.first < Span::from_millis(10) || self.first > self.longest {
            return Some("breaker.first must be at least 10ms and at most breaker.longest");
        }
        if !(1.0..=100.0).contains(&self.factor) {
            return Some("breaker.factor must be 1 to 100");
        }
        if self.longest > Span::from_secs(7 * 86_400) {
            return Some("breaker.longest must be at most 7d");
        }
        if self.over > self.disable_after || self.longest > self.disable_after {
            return Some("breaker.over and breaker.longest must be at most breaker.disable_after");
        }
        if self.disable_after > Span::from_secs(365 * 86_400) {
            return Some("breaker.disable_after must be at most 365d");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::breaker::Probe;
    use crate::breaker::tests::{at, breaker};

    const LAST: i64 = 5 * 86_400;

    fn seen(sign: Sign) -> Seen {
        Seen { sign, token: 7, version: 3, again_after: Span::from_secs(2) }
    }

    fn decide(before: Option<Breaker>, sign: Sign, seconds: i64) -> Decision {
        Policy::default().after(before, seen(sign), at(seconds), 0.5)
    }

    fn probing(token: i64) -> Breaker {
        breaker(State::HalfOpen(Probe { token, until: at(60) }))
    }

    #[test]
    fn failures_in_a_row_open_it_once_they_are_many_and_last_long_enough() {
        let mut on_record = None;
        for second in 0..60 {
            let Decision::Keep(next) = decide(on_record, Sign::Failing, second) else {
                panic!("not counted")
            };
            assert_eq!(
                (next.failures, next.since, next.state),
                (1 + u32::try_from(second).unwrap(), at(0), State::Closed)
            );
            on_record = Some(next);
        }
        let Decision::Keep(open) = decide(on_record, Sign::Failing, 60) else { panic!("not counted") };
        assert_eq!((open.opened, open.state), (1, State::Open { until: at(90) }));
        let few = Breaker { failures: 8, opened: 0, ..breaker(State::Closed) };
        let Decision::Keep(counted) = decide(Some(few), Sign::Failing, 86_400) else { panic!("not counted") };
        assert_eq!((counted.failures, counted.state), (9, State::Closed));
    }

    #[test]
    fn a_living_receiver_closes_it_whoever_finds_out_and_writes_nothing_where_nothing_is() {
        for state in [State::Closed, State::Open { until: at(9) }, probing(7).state, probing(8).state] {
            assert_eq!(decide(Some(breaker(state)), Sign::Alive, 5), Decision::Forget);
        }
        assert_eq!(decide(None, Sign::Alive, 5), Decision::Leave);
        assert_eq!(decide(None, Sign::Silent, 5), Decision::Leave);
    }

    #[test]
    fn only_the_probes_failure_makes_the_pause_longer() {
        let open = breaker(State::Open { until: at(30) });
        assert_eq!(decide(Some(open), Sign::Failing, 5), Decision::Leave);
        assert_eq!(decide(Some(probing(8)), Sign::Failing, 31), Decision::Leave);
        let Decision::Keep(longer) = decide(Some(probing(7)), Sign::Failing, 31) else { panic!("it closed") };
        assert_eq!((longer.opened, longer.failures), (2, 11));
        assert_eq!(longer.state, State::Open { until: at(31 + 60) });
        let Decision::Keep(longest) = decide(Some(Breaker { opened: 30, ..probing(7) }), Sign::Failing, 31)
        else {
            panic!("it closed")
        };
        assert_eq!(longest.state, State::Open { until: at(31 + 3_600) });
    }

    #[test]
    fn a_probe_that_was_not_sent_makes_room_for_the_next_one() {
        let Decision::Keep(again) = decide(Some(probing(7)), Sign::Silent, 31) else { panic!("it is stuck") };
        assert_eq!(again, Breaker { state: State::Open { until: at(33) }, ..probing(7) });
        assert_eq!(decide(Some(probing(8)), Sign::Silent, 31), Decision::Leave);
    }

    #[test]
    fn failing_for_too_long_disables_it_and_so_does_a_receiver_that_is_gone() {
        let Decision::Keep(failing) = decide(Some(probing(7)), Sign::Failing, LAST) else {
            panic!("it closed")
        };
        assert_eq!(failing.state, State::Disabling { why: Why::Failing, version: 3 });
        let early = decide(Some(probing(7)), Sign::Failing, LAST - 1);
        assert!(matches!(early, Decision::Keep(Breaker { state: State::Open { .. }, .. })));
        for before in [None, Some(breaker(State::Closed)), Some(probing(7)), Some(probing(8))] {
            let Decision::Keep(gone) = decide(before, Sign::Gone, 5) else { panic!("it stays") };
            assert_eq!(gone.state, State::Disabling { why: Why::Gone, version: 3 });
        }
    }

    #[test]
    fn a_disabled_webhook_stays_as_it_is_whatever_ends_late() {
        let disabled = State::Disabled { why: Why::Gone, revision: 4, swept: false };
        for state in [State::Disabling { why: Why::Failing, version: 3 }, disabled] {
            for sign in [Sign::Alive, Sign::Failing, Sign::Gone, Sign::Silent] {
                assert_eq!(decide(Some(breaker(state)), sign, LAST * 2), Decision::Leave);
            }
        }
    }

    #[test]
    fn numbers_that_can_not_be_are_named() {
        assert_eq!(Policy::default().broken_rule(), None);
        let named = |policy: Policy| policy.broken_rule().unwrap().split(' ').next().unwrap().to_owned();
        let default = Policy::default;
        assert_eq!(named(Policy { failures: 0, ..default() }), "breaker.failures");
        assert_eq!(named(Policy { first: Span::from_secs(7_200), ..default() }), "breaker.first");
        assert_eq!(named(Policy { factor: 0.5, ..default() }), "breaker.factor");
        assert_eq!(named(Policy { longest: Span::from_secs(8 * 86_400), ..default() }), "breaker.longest");
        assert_eq!(named(Policy { disable_after: Span::from_secs(59), ..default() }), "breaker.over");
        assert_eq!(
            named(Policy { disable_after: Span::from_secs(400 * 86_400), ..default() }),
            "breaker.disable_after"
        );
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// A claim of the webhook is made, if the breaker lets one through.
        Claim,
        /// The n-th of those under way ends so.
        End(usize, Sign),
        /// Time passes.
        Wait(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let sign = prop_oneof![
            4 => Just(Sign::Failing), 1 => Just(Sign::Alive), 1 => Just(Sign::Silent), 1 => Just(Sign::Gone)
        ];
        let step = prop_oneof![
            3 => Just(Step::Claim),
            4 => (0..8_usize, sign).prop_map(|(which, sign)| Step::End(which, sign)),
            2 => (0..4_000_i64).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        /// Whatever happens in whatever order: a closed one lets all through, an open one a single probe that holds its lease, it opens
        /// only where it should, and it is given up only for a reason.
        #[test]
        fn one_probe_at_a_time_and_nothing_gets_stuck(steps in steps(), fraction in 0.0..1.0_f64) {
            let policy = Policy::default();
            let lease = Span::from_secs(35);
            let (mut now, mut token, mut on_record) = (at(0), 0_i64, None::<Breaker>);
            let mut under_way: Vec<(i64, Timestamp)> = Vec::new();
            let mut in_a_row = 0_u32;
            for step in steps {
                match step {
                    Step::Wait(seconds) => now = now.plus(Span::from_secs(seconds)),
                    Step::Claim => {
                        token += 1;
                        match &mut on_record {
                            Some(breaker) if breaker.holds() => {
                                if !breaker.lets_probe(now) { continue }
                                breaker.take_probe(token, now.plus(lease));
                                prop_assert!(!breaker.lets_probe(now));
                            }
                            _ => {}
                        }
                        under_way.push((token, now.plus(lease)));
                    }
                    Step::End(which, sign) => {
                        // A report whose lease is over is not taken.
                        under_way.retain(|(_, until)| *until > now);
                        if under_way.is_empty() { continue }
                        let (ended, _) = under_way.swap_remove(which % under_way.len());
                        let before = on_record;
                        let seen = Seen { sign, token: ended, version: 1, again_after: Span::ZERO };
                        match policy.after(before, seen, now, fraction) {
                            Decision::Leave => {}
                            Decision::Forget => { prop_assert_eq!(sign, Sign::Alive); on_record = None; }
                            Decision::Keep(next) => on_record = Some(next),
                        }
                        if before.is_none_or(|before| !before.holds()) {
                            in_a_row = match sign { Sign::Failing => in_a_row + 1, Sign::Alive => 0, _ => in_a_row };
                            if let Some(Breaker { state: State::Open { .. }, since, .. }) = on_record {
                                prop_assert!(in_a_row >= policy.failures && now.since(since) >= policy.over);
                            }
                        }
                        if on_record.is_none() { in_a_row = 0; }
                        match on_record.map(|breaker| breaker.state) {
                            Some(State::Open { until }) => {
                                let longest = policy.longest.as_micros() * 12 / 10;
                                prop_assert!(until.since(now).as_micros() <= longest, "stuck until {until}");
                            }
                            Some(State::Disabling { why: Why::Failing, .. }) => {
                                prop_assert!(on_record.is_some_and(|b| now.since(b.since) >= policy.disable_after));
                            }
                            Some(State::Disabling { why: Why::Gone, .. }) => {
                                prop_assert!(before.is_some_and(|b| b.state == on_record.unwrap().state) || sign == Sign::Gone);
                            }
                            _ => {}
                        }
                    }
                }
                let probes = under_way.iter().filter(|(token, until)| {
                    *until > now && on_record.is_some_and(|b| matches!(b.state, State::HalfOpen(p) if p.token == *token))
                });
                prop_assert!(probes.count() <= 1);
            }
        }
    }
}
