//! What whoever runs Sluice is told of: on record exactly once with what it speaks of, kept until it became an event and a while longer.

use sluice_dispatcher::breaker::{Standing, Why};
use sluice_dispatcher::notice::News;
use sluice_dispatcher::store::{Granted, Unsent};
use sluice_domain::Span;

use super::breaker::break_open;
use super::disabling::{answer, lose, told};
use super::gates::with_allowance;
use super::makers::{House, ROOMY, event, events, retry, run, secs, success, unlimited, webhook};
use super::quotas::granted;

const DAY: Span = Span::from_secs(86_400);

async fn unsent(house: &House) -> Vec<Unsent> {
    house.store.unsent_notices().await.unwrap()
}

async fn news(house: &House) -> Vec<News> {
    unsent(house).await.into_iter().map(|unsent| unsent.notice.news).collect()
}

/// The thresholds that were told of, with what was used of what.
async fn thresholds(house: &House) -> Vec<(i64, i64, i64)> {
    let read = |news| match news {
        News::QuotaThreshold { percent, used, of, .. } => (percent, used, of),
        other => panic!("{other:?}"),
    };
    news(house).await.into_iter().map(read).collect()
}

fn disabled(why: Why) -> News {
    News::WebhookDisabled { webhook: webhook(1), why }
}

pub(crate) async fn a_breaker_that_opens_is_told_once_and_once_that_it_closed(house: &House) {
    house.entitle(unlimited(1)).await;
    let began = house.now();
    let (_, until) = break_open(house).await;
    let [opened] = &news(house).await[..] else { panic!("one notice") };
    let News::WebhookFailing { webhook: failing, failures, since } = *opened else { panic!("{opened:?}") };
    assert_eq!((failing, since), (webhook(1), began.plus(secs(7))), "since the first failure");
    assert!(failures >= 10, "{failures} in a row");
    let told = unsent(house).await.remove(0).notice;
    assert_eq!((told.account, told.at), (house.acme.clone(), house.now()));

    house.queue(&events("waiting", 2)).await;
    house.db.time.set(until).await;
    let probe = house.claim_one().await;
    house.record(retry(&probe, DAY)).await;
    assert_eq!(news(house).await.len(), 1, "that a probe fails, too, is nothing new");
    house.advance(secs(90)).await;
    let probe = house.claim_one().await;
    house.record(success(&probe)).await;
    let recovered = News::WebhookRecovered { webhook: webhook(1), since };
    assert_eq!(news(house).await[1..], [recovered]);
    let fine = house.start(event("fine", vec![run(1, 1)])).await;
    house.record(success(&fine)).await;
    assert_eq!(news(house).await.len(), 2);
}

pub(crate) async fn a_recovery_is_told_and_wakes_what_waits_also_where_a_straggler_fails_with_it(
    house: &House,
) {
    house.entitle(unlimited(1)).await;
    let straggler = house.start(event("straggler", vec![run(1, 1)])).await;
    let (_, until) = break_open(house).await;
    house.queue(&events("waiting", 2)).await;
    house.db.time.set(until).await;
    let probe = house.claim_one().await;
    house.store.finish(&[success(&probe), retry(&straggler, DAY)]).await.unwrap();
    let [_, News::WebhookRecovered { webhook: recovered, .. }] = &news(house).await[..] else {
        panic!("{:?}", news(house).await)
    };
    assert_eq!((*recovered, house.wake().await), (webhook(1), Some(house.now())));
    assert_eq!(house.claim(ROOMY).await.len(), 1, "what waited goes on at once");
}

pub(crate) async fn a_webhook_that_the_system_disabled_is_told_once_whoever_says_it_first(house: &House) {
    house.entitle(unlimited(1)).await;
    lose(house).await;
    assert_eq!(news(house).await, [], "the registry has not taken it up");
    answer(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    assert_eq!(news(house).await, [disabled(Why::Gone)]);
    told(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    let again = house.another_store().await;
    again.put_webhook(&house.acme, webhook(1), 7, Standing::DisabledBySystem(Why::Gone)).await.unwrap();
    assert_eq!(news(house).await.len(), 1);

    told(house, 8, Standing::Enabled).await;
    assert_eq!(news(house).await.len(), 1, "people know what they do");
    told(house, 9, Standing::DisabledBySystem(Why::Failing)).await;
    answer(house, 9, Standing::DisabledBySystem(Why::Failing)).await;
    assert_eq!(news(house).await, [disabled(Why::Gone), disabled(Why::Failing)]);
}

pub(crate) async fn one_that_was_changed_since_or_disabled_by_hand_is_not_told(house: &House) {
    house.entitle(unlimited(1)).await;
    lose(house).await;
    answer(house, 7, Standing::Enabled).await;
    told(house, 8, Standing::DisabledByHand).await;
    told(house, 9, Standing::Gone).await;
    assert_eq!(news(house).await, []);
}

pub(crate) async fn what_is_not_sent_is_found_after_a_restart_and_never_pruned(house: &House) {
    house.entitle(unlimited(1)).await;
    lose(house).await;
    answer(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    house.advance(DAY).await;
    told(house, 8, Standing::Enabled).await;
    told(house, 9, Standing::DisabledBySystem(Why::Failing)).await;
    house.advance(DAY).await;
    let after = house.another_store().await;
    let [first, second] = &after.unsent_notices().await.unwrap()[..] else { panic!("two notices") };
    assert_ne!(first.notice.id, second.notice.id);
    after.notices_sent(&[first.place]).await.unwrap();
    assert_eq!(news(house).await, [disabled(Why::Failing)]);
    assert_eq!(house.store.prune_notices(secs(3 * 86_400)).await.unwrap(), 0, "it is kept for three days");
    assert_eq!(house.store.prune_notices(DAY).await.unwrap(), 1);
    house.advance(secs(30 * 86_400)).await;
    assert_eq!(house.store.prune_notices(DAY).await.unwrap(), 0, "the other one is still to be sent");
    assert_eq!(house.number("SELECT count(*) FROM notice").await, 1);
}

pub(crate) async fn what_is_used_of_an_allowance_is_told_once_in_each_period_wherever_it_is_spent(
    house: &House,
) {
    house.entitle(with_allowance(unlimited(1), 10)).await;
    assert_eq!(house.accept(&events("a", 7), ROOMY).await.claims.len(), 7);
    assert_eq!(thresholds(house).await, []);
    house.accept(&events("b", 1), ROOMY).await;
    assert_eq!(thresholds(house).await, [(80, 8, 10)], "at acceptance");
    house.queue(&events("c", 5)).await;
    assert_eq!(house.claim(1).await.len(), 1);
    assert_eq!(thresholds(house).await.len(), 1);
    assert_eq!(house.claim(ROOMY).await.len(), 1);
    assert_eq!(thresholds(house).await[1..], [(100, 10, 10)], "at a claim");
    assert_eq!(granted(house, 10, "top-up").await, Granted::Done);
    assert_eq!(house.claim(ROOMY).await.len(), 3);
    house.accept(&events("d", 7), ROOMY).await;
    assert_eq!(thresholds(house).await.len(), 2, "told of in this period: {:?}", thresholds(house).await);

    house.advance(secs(31 * 86_400)).await;
    let after = house.another_store().await;
    let accepted = after.accept(&events("e", 9), ROOMY).await.unwrap();
    assert_eq!(accepted.claims.len(), 9);
    assert_eq!(thresholds(house).await[2..], [(80, 9, 10)], "another period");
    house.entitle(with_allowance(unlimited(2), 3)).await;
    assert_eq!(thresholds(house).await[3..], [(100, 9, 3)], "a plan that promises less");
    house.entitle(with_allowance(unlimited(3), 9)).await;
    house.entitle(unlimited(4)).await;
    house.accept(&events("f", 9), ROOMY).await;
    assert_eq!(thresholds(house).await.len(), 4);
}
