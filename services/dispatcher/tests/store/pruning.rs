//! What pruning costs the hot path: accepting and finishing go on while everything that ended long ago is pruned. The figures are
//! printed; `SLUICE_TEST_SIZE=full` prunes 1,000,000 executions and holds the p99 to 1.5 times what it is alone.

use std::time::Duration;

use sluice_dispatcher::worker::{Keeping, Pruning};
use sluice_domain::Span;
use sluice_storage::{Backend, Query};
use sluice_testkit::TestDatabase;
use tokio::time::Instant;

use super::makers::{House, ROOMY, automation, events, secs, success, unlimited};

const BATCH: usize = 16;
const PACE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn pruning_leaves_the_hot_path_alone_on_sqlite() {
    leaves_the_hot_path_alone(sluice_testkit::sqlite().await).await;
}

#[tokio::test]
async fn pruning_leaves_the_hot_path_alone_on_postgres() {
    leaves_the_hot_path_alone(sluice_testkit::postgres().await).await;
}

async fn leaves_the_hot_path_alone(db: TestDatabase) {
    let full = sluice_testkit::full_size();
    let (count, samples) = if full { (1_000_000, 3_000) } else { (5_000, 100) };
    let house = House::open(db).await;
    house.entitle(unlimited(1)).await;
    fill(&house, count).await;
    house.advance(Span::from_secs(2 * 86_400)).await;

    let mut alone = hot(&house, "before", samples).await;
    let began = Instant::now();
    let keeping = Keeping { receipts: secs(7 * 86_400), changes: secs(7 * 86_400) };
    let mut pruning = Pruning::new(house.store.clone(), keeping);
    let round = tokio::spawn(async move { pruning.round().await });
    let mut beside = Vec::new();
    while !round.is_finished() {
        beside.extend(hot(&house, &format!("beside{}-", beside.len()), 10).await);
    }
    let (pruned, took) = (round.await.unwrap().unwrap(), began.elapsed());
    alone.extend(hot(&house, "after", samples).await);

    assert_eq!(pruned.executions, usize::try_from(count).unwrap());
    let left = house.number(&format!("SELECT count(*) FROM execution WHERE seq <= {count}")).await;
    assert_eq!(left, 0);
    let (quiet, busy) = (p99(&mut alone), p99(&mut beside));
    println!(
        "{:?}: {count} pruned in {took:.1?} ({:.0}/s); hot path p50 {:.2?} alone, {:.2?} beside it; p99 {quiet:.2?} alone, {busy:.2?} \
         beside it: {:.2} times",
        house.db.backend(),
        f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64(),
        alone[alone.len() / 2],
        beside[beside.len() / 2],
        busy.as_secs_f64() / quiet.as_secs_f64()
    );
    assert!(!full || busy <= quiet.mul_f64(1.5), "{busy:?} beside pruning, {quiet:?} alone");
}

/// Accepts and finishes so many batches at an even pace; how long each of the two took.
async fn hot(house: &House, prefix: &str, batches: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(2 * batches);
    let mut pace = tokio::time::interval(PACE);
    for batch in 0..batches {
        pace.tick().await;
        let made = events(&format!("{prefix}{batch}-"), BATCH);
        let began = Instant::now();
        let claims = house.accept(&made, ROOMY).await.claims;
        took.push(began.elapsed());
        let finishes: Vec<_> = claims.iter().map(success).collect();
        let began = Instant::now();
        house.store.finish(&finishes).await.unwrap();
        took.push(began.elapsed());
    }
    took
}

fn p99(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// So many executions of acme that succeeded, of about a KiB each.
async fn fill(house: &House, count: i64) {
    let (now, sqlite) = (house.now().as_micros(), house.db.backend() == Backend::Sqlite);
    let numbers = if sqlite {
        format!(
            "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c) AS c"
        )
    } else {
        format!("generate_series(1::bigint, {count}) AS c(n)")
    };
    let id = if sqlite {
        "CAST(printf('%016d', n) AS BLOB)"
    } else {
        "convert_to(lpad(n::text, 16, '0'), 'UTF8')"
    };
    let body = if sqlite { "zeroblob(1024)" } else { "decode(repeat('00', 1024), 'hex')" };
    let first = automation(1);
    let next = if sqlite {
        format!("UPDATE sequence SET next = {count} + 1")
    } else {
        format!("SELECT setval('sequence', {count})")
    };
    for sql in [
        format!(
            "INSERT INTO execution (seq, account, id, automation, automation_version, generation, event, traceparent, trace, record, \
             accepted_at, plan, bodies) SELECT n, 'acme', {id}, '{first}', 1, 1, '{{}}', '', n * 7919 % 100003, n * 7907 % 1009, \
             {now}, '[]', {body} FROM {numbers}"
        ),
        format!(
            "INSERT INTO ending (seq, number, state, message, step, started_at, at) \
             SELECT n, 1, 'SUCCEEDED', '', 0, {now}, {now} FROM {numbers}"
        ),
        format!(
            "INSERT INTO attempt (seq, step, number, verdict, started_at, ended_at, duration_us, url_path, request_headers, status, \
             response_headers, response_body, truncated, error) SELECT n, 0, 1, 'SUCCEEDED', {now}, {now}, 1, '/', '[]', 200, '[]', \
             '', 0, '' FROM {numbers}"
        ),
        next,
    ] {
        let tx = house.db.database().write("fill").await.unwrap();
        if sql.starts_with("SELECT") {
            tx.all(&sql, vec![]).await.unwrap();
        } else {
            tx.execute(&sql, vec![]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}
