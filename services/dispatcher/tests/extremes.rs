//! The promised numbers over their whole range, held against plain u128 arithmetic that shares no code with the dispatcher: from none
//! to all units, from a microsecond to centuries, from no burst to the largest. Nothing overflows, nothing starts beyond the promise,
//! and with a backlog at least 97 % of it does.

#![allow(clippy::unwrap_used, reason = "a test has no better use for an error than to fail")]

use chrono::{Datelike as _, NaiveDate};
use proptest::prelude::*;
use sluice_dispatcher::allowance::AllowanceLedger;
use sluice_dispatcher::rate::RateLimit;
use sluice_domain::{Allowance, Rate, Span, Timestamp};
use sluice_testkit::full_size;

/// 2026-11-18, in microseconds.
const NOW: i64 = 1_795_000_000_000_000;
const YEAR: i64 = 366 * 86_400 * 1_000_000;
const TEN_YEARS: u128 = 10 * 366 * 86_400 * 1_000_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW + micros)
}

/// GCRA as the books have it, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Reference {
    t: u128,
    burst: u128,
    tat: u128,
}

impl Reference {
    /// `None` where nothing may start.
    fn of(rate: Rate) -> Option<Self> {
        let (units, burst) = (u128::from(rate.units), u128::from(rate.burst));
        let per = u128::try_from(rate.per.as_micros()).unwrap() * 1_000;
        if units == 0 || burst == 0 || per == 0 {
            return None;
        }
        let t = per.div_ceil(units);
        (t * burst <= TEN_YEARS).then_some(Self { t, burst, tat: 0 })
    }

    fn free(&self, now: Timestamp) -> u128 {
        let now = nanos(now);
        (now + self.burst * self.t).saturating_sub(self.tat.max(now)) / self.t
    }

    fn take(&mut self, now: Timestamp, wanted: u128) -> u128 {
        let taken = self.free(now).min(wanted);
        if taken > 0 {
            self.tat = self.tat.max(nanos(now)) + taken * self.t;
        }
        taken
    }
}

fn nanos(at: Timestamp) -> u128 {
    u128::try_from(at.as_micros()).unwrap() * 1_000
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(2), Just(u32::MAX), 1_u32..1_000, 1_u32..2_000_000, any::<u32>()]
}

fn length() -> impl Strategy<Value = Span> {
    let micros = prop_oneof![
        Just(0),
        Just(1),
        Just(i64::MAX),
        1_i64..1_000,
        1_i64..86_400_000_000,
        1_i64..(200 * YEAR),
        Just(60_000_000)
    ];
    micros.prop_map(Span::from_micros)
}

fn any_rate() -> impl Strategy<Value = Rate> {
    (number(), length(), number()).prop_map(|(units, per, burst)| Rate { units, per, burst })
}

/// A rate as catalogues may have it.
fn promised_rate() -> impl Strategy<Value = Rate> {
    let rate = (1_u32..=1_000_000, 1_i64..=86_400, 1_u32..=1_000_000);
    let rate = rate.prop_map(|(units, per, burst)| Rate { units, per: Span::from_secs(per), burst });
    rate.prop_filter("a full burst comes back within ten years", |rate| Reference::of(*rate).is_some())
}

fn steps() -> impl Strategy<Value = Vec<(i64, usize)>> {
    let pause = prop_oneof![Just(0), Just(1), 0_i64..1_000, 0_i64..100_000_000, 0_i64..YEAR];
    prop::collection::vec((pause, 0_usize..40), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if full_size() { 5_000 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_rate_of_any_size_starts_exactly_what_the_books_say(rate in any_rate(), steps in steps()) {
        let mut limit = RateLimit::unused(rate);
        let mut reference = Reference::of(rate);
        let (mut now, mut starts) = (0, Vec::new());
        for (pause, wanted) in steps {
            now += pause;
            let meant = reference.as_mut().map_or(0, |reference| {
                assert_eq!(u128::from(limit.free(at(now))), reference.free(at(now)));
                reference.take(at(now), wanted as u128)
            });
            let taken = limit.take(at(now), wanted);
            prop_assert_eq!(taken as u128, meant);
            starts.extend(std::iter::repeat_n(nanos(at(now)), taken));
            // As the row keeps it.
            limit = RateLimit::stored(limit.rate(), limit.tat());
            match (&reference, limit.free_at(at(now), 0)) {
                (None, free_at) => prop_assert_eq!(free_at, None),
                (Some(reference), free_at) => {
                    let free_at = free_at.unwrap();
                    prop_assert!(reference.free(free_at) > 0, "it is there then");
                    let before = free_at.minus(Span::from_micros(1));
                    prop_assert!(free_at == at(now) || reference.free(before) == 0, "and not before");
                }
            }
        }
        let Some(Reference { t, burst, .. }) = reference else { return Ok(()) };
        let burst = usize::try_from(burst).unwrap();
        for (first, from) in starts.iter().enumerate() {
            for (last, to) in starts.iter().enumerate().skip(first + burst) {
                prop_assert!(to - from >= (last - first + 1 - burst) as u128 * t, "burst + window / t");
            }
        }
    }

    #[test]
    fn with_a_backlog_at_least_97_percent_start_although_each_look_comes_late(
        rate in promised_rate(), few in 1_u32..300, lateness in prop::collection::vec(0.0_f64..1.0, 40)
    ) {
        let rate = Rate { burst: few, ..rate };
        let Reference { t, burst, .. } = Reference::of(rate).unwrap();
        // What is late by no more than the rest of the burst is made up for; the clock itself is late by up to a microsecond.
        let spare = i64::try_from((burst - 1) * t / 1_000).unwrap() - 1;
        prop_assume!(spare >= 0);
        let mut limit = RateLimit::unused(rate);
        let (mut now, mut started) = (at(0), 0_u128);
        for late in lateness {
            let due = limit.free_at(now, 0).unwrap();
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a length by chance")]
            let late = (late * spare as f64) as i64;
            now = due.max(now).plus(Span::from_micros(late));
            started += limit.take(now, usize::MAX) as u128;
        }
        let window = nanos(now) - nanos(at(0));
        let promised = window * u128::from(rate.units) / (nanos_of(rate.per));
        prop_assert!(t >= 1_000, "what a catalogue may have");
        prop_assert!(started * 100 >= promised * 97, "{started} of {promised}");
        prop_assert!(started <= burst + window / t);
    }

    #[test]
    fn a_change_keeps_what_is_used_in_cells_whatever_the_numbers(
        one in any_rate(), other in any_rate(), wanted in 0_usize..60, pause in 0_i64..YEAR
    ) {
        let mut limit = RateLimit::unused(one);
        limit.take(at(0), wanted);
        let before = limit;
        limit.change(at(pause), other);
        match (Reference::of(one), Reference::of(other)) {
            (_, None) => prop_assert_eq!(limit.free(at(pause)), 0),
            (Some(one), Some(other)) if before.rate() != limit.rate() => {
                let used = one.burst - u128::from(before.free(at(pause)));
                prop_assert_eq!(u128::from(limit.free(at(pause))), other.burst - used.min(other.burst));
            }
            (Some(_), Some(_)) => prop_assert_eq!(limit, before, "the same rate again takes nothing"),
            (None, Some(other)) => prop_assert_eq!(u128::from(limit.free(at(pause))), other.burst),
        }
    }

    #[test]
    fn a_rate_there_and_back_gives_nothing_anew(
        rate in promised_rate(), zero in prop_oneof![Just((0, 0)), Just((0, 5)), Just((5, 0))], wanted in 1_usize..300
    ) {
        let mut limit = RateLimit::unused(rate);
        limit.take(at(0), wanted);
        let before = limit.free(at(0));
        limit.change(at(0), Rate { units: zero.0, burst: zero.1, ..rate });
        prop_assert_eq!(limit.free(at(0)), 0);
        limit.change(at(0), rate);
        prop_assert_eq!(limit.free(at(0)), before);
    }

    #[test]
    fn a_rate_put_again_and_again_starts_as_much_as_one_left_alone(rate in promised_rate(), puts in 1_usize..50) {
        let mut limit = RateLimit::unused(rate);
        let all = usize::try_from(rate.burst).unwrap().min(300);
        limit.take(at(0), all);
        let due = limit.free_at(at(0), 0).unwrap();
        for put in 0..puts {
            let wait = due.since(at(0)).as_micros() * i64::try_from(put).unwrap() / 50;
            limit.change(at(wait), rate);
        }
        prop_assert_eq!(limit.free_at(at(0), 0).unwrap(), due);
    }

    #[test]
    fn periods_are_months_of_the_calendar_without_gap_wherever_they_are_counted_from(
        anchor in -62_135_596_800_i64..253_402_300_799, now in 0_i64..8_900_000_000
    ) {
        let promised = Allowance { amount: 1, anchor: Timestamp::from_micros(anchor * 1_000_000) };
        let now = Timestamp::from_micros(now * 1_000_000);
        let ledger = AllowanceLedger::fresh(promised, now);
        prop_assert!(ledger.start <= now && now < ledger.end);
        prop_assert_eq!(ledger.start, boundary(promised.anchor, now));
        let next = AllowanceLedger::fresh(promised, ledger.end);
        prop_assert_eq!(next.start, ledger.end, "the next begins where it ends");
        let last = AllowanceLedger::fresh(promised, ledger.end.minus(Span::from_micros(1)));
        prop_assert_eq!((last.start, last.end), (ledger.start, ledger.end), "to its last microsecond");
    }

    #[test]
    fn an_allowance_of_any_size_spends_exactly_what_is_promised_and_granted(
        amounts in prop::collection::vec(amount(), 1..8),
        steps in prop::collection::vec((0_i64..40 * 86_400, 0_u8..4, 0_i64..=Allowance::MOST), 1..60)
    ) {
        let promise = |amount| Allowance { amount, anchor: Timestamp::EPOCH };
        let mut ledger = AllowanceLedger::fresh(promise(amounts[0]), at(0));
        let (mut now, mut month, mut of) = (0, month_of(at(0)), 0);
        let (mut amount, mut granted, mut used) = (i128::from(amounts[0]), 0_i128, 0_i128);
        for (pause, what, units) in steps {
            now += pause * 1_000_000;
            if month != month_of(at(now)) {
                (month, granted, used) = (month_of(at(now)), 0, 0);
            }
            match what {
                0 => {
                    let fits = granted + i128::from(units) <= i128::from(Allowance::MOST);
                    prop_assert_eq!(ledger.grant(units, at(now)).is_ok(), fits);
                    granted += if fits { i128::from(units) } else { 0 };
                }
                1 => {
                    of = (of + 1) % amounts.len();
                    ledger.change(Some(promise(amounts[of])), at(now));
                    amount = i128::from(amounts[of]);
                }
                _ => {
                    ledger.roll(at(now));
                    let spent = ledger.left().min(units);
                    ledger.used += spent;
                    used += i128::from(spent);
                    prop_assert!(used <= (amount + granted).max(used - i128::from(spent)), "beyond the promise");
                }
            }
            ledger.roll(at(now));
            prop_assert_eq!(i128::from(ledger.left()), (amount + granted - used).max(0));
        }
    }
}

fn nanos_of(span: Span) -> u128 {
    u128::try_from(span.as_micros()).unwrap() * 1_000
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(1), Just(Allowance::MOST), 0_i64..1_000, 0..=Allowance::MOST]
}

fn month_of(at: Timestamp) -> (i32, u32) {
    let at = at.to_datetime().unwrap();
    (at.year(), at.month())
}

/// The last instant up to `now` that has the anchor's day and time, or that day's nearest in a shorter month.
fn boundary(anchor: Timestamp, now: Timestamp) -> Timestamp {
    let (anchor, date) = (anchor.to_datetime().unwrap(), now.to_datetime().unwrap());
    let of = |year, month| {
        let day = (1..=anchor.day()).rev().find_map(|day| NaiveDate::from_ymd_opt(year, month, day)).unwrap();
        Timestamp::from(day.and_time(anchor.time()).and_utc())
    };
    let this = of(date.year(), date.month());
    if this <= now {
        return this;
    }
    let (year, month) =
        if date.month() == 1 { (date.year() - 1, 12) } else { (date.year(), date.month() - 1) };
    of(year, month)
}
