//! SIGKILL at random moments under a crowd, and a database that falls: I1 to I8, I11 and I13 of reliability.md.

use std::time::Duration;

use proto::dispatcher::v1::AttemptOutcome;
use sluice_runtime::{Clock, Entropy, Shutdown};
use sluice_storage::{Database, DatabaseUrl, Options, Query as _};
use sluice_testkit::PostgresServer;
use sluice_tests::crowd::Crowd;
use sluice_tests::{Backend, Deployment, House, Service, figures, within};

use super::town::{Books, QUOTA, Town, told};

/// How late what a dead process had under way may be noticed: one poll of the rescuer, and a slow machine.
const NOTICED: i64 = 2_000_000 + 3_000_000;
/// How long a crowd may take to be acknowledged the next part of its events.
const PATIENCE: Duration = Duration::from_secs(180);

/// How much.
struct Size {
    events: usize,
    kills: usize,
    falls: usize,
}

fn size() -> Size {
    if sluice_testkit::full_size() {
        Size { events: 100_000, kills: 50, falls: 5 }
    } else {
        Size { events: 10_000, kills: 10, falls: 1 }
    }
}

fn seed() -> u64 {
    let given = std::env::var("SLUICE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| Entropy::system().u64())
}

/// Who falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Everybody,
    One(Service),
    /// The dispatcher and the registry, of which the dispatcher comes back first: what it claims then has nowhere to go yet.
    DispatcherThenRegistry,
    Database,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sluice_up_on_sqlite_keeps_its_promises() {
    let size = size();
    let victims = vec![Victim::Everybody; size.kills];
    let deployment = Deployment::one_process(Backend::Sqlite);
    let town = Town::open(House::setup(deployment)).await;
    let mut house = Box::pin(under_the_axe(deployment, town, None, victims)).await;
    house.stop().await;
    for service in Service::ALL {
        let file = house.folder().join(format!("data/{}.db", service.name()));
        let url = DatabaseUrl::sqlite(file);
        let database = Database::connect(&url, Clock::system(), &Options::default()).await.unwrap();
        let row = database.read().one("PRAGMA quick_check", vec![]).await.unwrap().unwrap();
        assert_eq!(row.at::<String>(0).unwrap(), "ok", "{}", service.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_on_postgres_keep_their_promises() {
    use Victim::{Database, DispatcherThenRegistry, Everybody, One};
    let size = size();
    let of = |kill: usize| match kill % 10 {
        0 | 2 | 5 | 6 | 8 => One(Service::Dispatcher),
        1 | 7 => Everybody,
        3 => DispatcherThenRegistry,
        4 => One(Service::Evaluator),
        _ => One(Service::Registry),
    };
    let mut victims: Vec<Victim> = (0..size.kills).map(of).collect();
    for fall in (1..=size.falls).rev() {
        victims.insert(fall * size.kills / (size.falls + 1), Database);
    }
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let deployment = Deployment::three_processes(Backend::Postgres);
    let town = Town::open(House::setup(deployment).on_server(server.url())).await;
    Box::pin(under_the_axe(deployment, town, Some(server), victims)).await;
}

/// Lets the axe fall on a town, and holds its books against one another.
async fn under_the_axe(
    deployment: Deployment,
    mut town: Town,
    mut server: Option<PostgresServer>,
    victims: Vec<Victim>,
) -> House {
    let (seed, size) = (seed(), size());
    figures(format_args!("crash, {deployment}: SLUICE_TEST_SEED={seed}"));
    let moods = Entropy::seeded(seed);
    let began = Clock::system().now();
    let crowds = town.crowd(size.events, "", seed);
    let stop = Shutdown::new();
    let toggling = town.toggling(stop.clone());
    let mut kills = Vec::new();
    for (number, victim) in victims.iter().enumerate() {
        // Somewhere in its part of the run, not at its edges.
        #[allow(clippy::cast_precision_loss, reason = "some thousands")]
        let place = (number as f64 + 0.2 + 0.6 * moods.fraction()) / victims.len() as f64;
        reach(&crowds, place * 0.9, size.events).await;
        kills.push((*victim, strike(&mut town.house, &mut server, *victim).await));
    }
    let told = told(crowds).await;
    stop.trigger();
    toggling.await.unwrap();
    let ran = Clock::system().now().since(began);
    let books = town.settle(told).await;
    let all = Clock::system().now().since(began);
    judge(
        &format!(
            "crash, {deployment}, {} s under the axe, {} s in all",
            ran.to_duration().as_secs(),
            all.to_duration().as_secs()
        ),
        &books,
        &kills,
    );
    drop(server);
    town.house
}

/// Waits until the crowds have so much of their events acknowledged.
async fn reach(crowds: &[Crowd; 2], part: f64, events: usize) {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of some thousands"
    )]
    let enough = (part * events as f64) as usize;
    within(PATIENCE, &format!("{enough} events are acknowledged"), async || {
        let done = crowds.iter().all(Crowd::is_done);
        (done || crowds.iter().map(Crowd::acknowledged).sum::<usize>() >= enough).then_some(())
    })
    .await;
}

/// Kills, and starts again at once; when, and when all served again, in microseconds.
async fn strike(house: &mut House, server: &mut Option<PostgresServer>, victim: Victim) -> (i64, i64) {
    let now = || Clock::system().now().as_micros();
    match victim {
        Victim::Everybody => house.kill_all(),
        Victim::One(service) => house.kill(service),
        Victim::DispatcherThenRegistry => {
            house.kill(Service::Dispatcher);
            house.kill(Service::Registry);
        }
        Victim::Database => {}
    }
    let kill = now();
    match victim {
        Victim::Everybody => house.start().await,
        Victim::One(service) => house.back(service).await,
        Victim::DispatcherThenRegistry => {
            house.launch(Service::Dispatcher);
            tokio::time::sleep(Duration::from_secs(1)).await;
            house.back(Service::Registry).await;
            house.serves(Service::Dispatcher).await;
        }
        Victim::Database => {
            let mut down = server.take().expect("a server of its own");
            *server = Some(
                tokio::task::spawn_blocking(move || {
                    down.fall_and_rise();
                    down
                })
                .await
                .unwrap(),
            );
            for service in Service::ALL {
                house.serves(service).await;
            }
        }
    }
    (kill, now())
}

/// Tells the ledgers and what breaks a promise in them.
fn judge(what: &str, books: &Books, kills: &[(Victim, (i64, i64))]) {
    let times: Vec<(i64, i64)> = kills.iter().map(|(_, times)| *times).collect();
    let moments: Vec<i64> = times.iter().map(|(kill, _)| *kill).collect();
    let all = [("acme", &books.acme, &books.told[0]), ("globex", &books.globex, &books.told[1])];
    let on_the_wire: Vec<usize> = moments
        .iter()
        .map(|kill| all.iter().map(|(_, ledgers, _)| ledgers.standing_at(*kill).on_the_wire).sum())
        .collect();
    let starts = books.globex.starts();
    let (excess, (used, while_waiting)) = (QUOTA.excess(&starts), QUOTA.used(&books.globex.waits()));
    let stuck = all.iter().map(|(_, ledgers, _)| ledgers.stuck(&times)).max().unwrap_or(0);
    let victims: Vec<Victim> = kills.iter().map(|(victim, _)| *victim).collect();
    figures(format_args!(
        "{what}\n  killed: {victims:?}\n  on the wire at each: {on_the_wire:?}; cut off: {}; noticed {} ms after the lease at the latest\n  \
         starts of globex beyond its quota: {excess}, of what was allowed used: {:.1} % by {while_waiting} while others waited",
        books.acme.count(AttemptOutcome::Interrupted) + books.globex.count(AttemptOutcome::Interrupted),
        stuck / 1_000,
        used * 100.0
    ));
    for (account, ledgers, told) in all {
        figures(format_args!("  {account}: {told}\n    {ledgers}"));
    }
    for (account, ledgers, told) in all {
        let contradictions = &told.contradictions;
        assert!(
            contradictions.is_empty(),
            "{account}: {} of {:?}",
            contradictions.len(),
            contradictions.first()
        );
        assert_eq!(ledgers.violations(&moments), Vec::<String>::new(), "{account}");
        assert!(told.asked.acknowledged.len() * 100 >= told.planned * 95, "I13: {account}: {told}");
        assert!(told.repeated > 0 && told.reuses_refused > 0, "I13: {account}: {told}");
    }
    assert_eq!(excess, 0, "I8: starts beyond the quota");
    assert!(used >= 0.97, "I8: {used} of the allowance was used");
    assert!(while_waiting as u64 > QUOTA.burst, "I13: {while_waiting} started while others waited");
    assert!(stuck <= NOTICED, "I11: something stayed cut off {stuck} us longer than its lease");
    let busy = on_the_wire.iter().filter(|count| **count > 0).count();
    assert!(busy * 100 >= kills.len() * 80, "I13: work in flight at {busy} of {} kills", kills.len());
}
