//! Killed at every named place with work in flight, on both backends: held there, so that an answer given too early gets out, and then
//! SIGKILL. What was acknowledged by then is kept, and nothing more than what was under way is made again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proto::dispatcher::v1::{
    AttemptOutcome, GrantExecutionsRequest, PauseAccountRequest, ResumeAccountRequest,
};
use proto::registry::v1::WebhookState;
use sluice_runtime::{Clock, failpoint};
use sluice_testkit::Receiver;
use sluice_tests::crowd::{Crowd, Heard};
use sluice_tests::requests::{automation_webhook, deal, delay, post, titled};
use sluice_tests::{
    ACCOUNT, Backend, Deployment, House, OTHER_ACCOUNT, PARENT, Service, figures, on_each_backend, until,
};
use tokio::task::JoinSet;

use super::points::{self, By, Point};
use super::town::{QUOTA, Town, told};

/// How long an answer that was given too early has to get out.
const GRACE: Duration = Duration::from_millis(150);
/// Between two looks at whether somebody is held.
const PACE: Duration = Duration::from_millis(10);
/// How long a burst has until a request of it is held.
const HELD_SOON: Duration = Duration::from_secs(3);
/// How long one try to get somebody there is given, and how many there are: longer than a lease.
const TRY: Duration = Duration::from_millis(1_500);
const TRIES: usize = 60;
/// Events that are sent before a place is reached, of both accounts.
const BURST: usize = 80;

on_each_backend!(killed_at_every_place_nothing_is_lost_and_nothing_doubled);

/// How often each place is reached, on each of the two backends.
fn rounds() -> usize {
    if sluice_testkit::full_size() { 10 } else { 1 }
}

/// Who goes from place to place.
struct Axe {
    town: Town,
    folder: PathBuf,
    told: [Heard; 2],
    /// An automation that is switched off and on, and whose executions are stopped.
    fleeting: String,
    /// A webhook that is off until the end, and the automation whose executions wait for it, are cancelled and opened again.
    off: (String, String),
    /// A webhook whose receiver is gone, and the automation that tells it; who is told that it was given up.
    dying: (String, String),
    operations: Receiver,
    /// Plans put and automations made so far.
    number: i64,
    /// Where it was killed, and when.
    fired: Vec<(String, i64)>,
    /// Every kill.
    kills: Vec<i64>,
}

async fn killed_at_every_place_nothing_is_lost_and_nothing_doubled(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let deployment = Deployment::one_process(backend);
    let town = Town::open(House::setup(deployment).knowing(failpoint::FOLDER, folder.path())).await;
    let steps = [delay(600), post(&town.webhook, "1")];
    let fleeting = town.house.automation(titled("fleeting", steps)).await;
    let (hook, _) = town.house.webhook(automation_webhook("/off", &town.acme.url("/off"))).await;
    town.house.admin().set_state(&hook, WebhookState::Disabled).await.unwrap();
    let off = (hook.clone(), town.house.automation(titled("off", [post(&hook, "1")])).await);
    let (hook, _) = town.house.webhook(automation_webhook("/dying", &town.acme.url("/dying"))).await;
    let dying = (hook.clone(), town.house.automation(titled("dying", [post(&hook, "1")])).await);
    let operations = Receiver::start().await;
    town.house.operations_webhook(&operations.url("/told"), "webhook").await;
    let mut axe = Axe {
        town,
        folder: folder.path().to_owned(),
        told: [Heard::default(), Heard::default()],
        fleeting,
        off,
        dying,
        operations,
        number: 100,
        fired: Vec::new(),
        kills: Vec::new(),
    };
    let began = Clock::system().now();
    let only = std::env::var("SLUICE_TEST_POINT").ok();
    let points = || {
        points::all().into_iter().filter(|(name, _)| only.as_ref().is_none_or(|only| name.starts_with(only)))
    };
    for round in 0..rounds() {
        for point in points() {
            axe.fall(round, &point).await;
        }
    }
    let places: BTreeSet<String> = axe.fired.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(places, points().map(|(name, _)| name).collect(), "every place was reached");
    let took = Clock::system().now().since(began).to_duration().as_secs();
    axe.judge(&format!("failpoints, {deployment}, {took} s")).await;
}

impl Axe {
    /// Gets the process to a place with work in flight, kills it there, and starts it again.
    async fn fall(&mut self, round: usize, (name, by): &Point) {
        let (armed, held) = (self.folder.join(name), self.folder.join(format!("{name}.held")));
        let first = self.burst(round, name, 0);
        until("there is work to be in flight", async || {
            (first.iter().map(Crowd::acknowledged).sum::<usize>() >= BURST / 2).then_some(())
        })
        .await;
        let mut bursts = vec![first];
        let mut calls = JoinSet::new();
        if matches!(by, By::Starting | By::Waiting) {
            // What is on the wire now is rescued later. What is held is let go now and then, and a burst that is over holds nothing more.
            for number in TRIES.. {
                let held = self.town.acme.wait_until_held(1);
                if tokio::time::timeout(HELD_SOON, held).await.is_ok() {
                    break;
                }
                assert!(number < 2 * TRIES, "nothing is on the wire for {name}");
                bursts.push(self.burst(round, name, number));
            }
            self.kill();
            fs::write(&armed, "").unwrap();
            self.town.house.launch(Service::Registry);
        } else {
            fs::write(&armed, "").unwrap();
            bursts.push(self.burst(round, name, 1));
        }
        for number in 2.. {
            self.provoke(*by, &mut calls);
            if seen(&held).await {
                break;
            }
            assert!(number < TRIES, "{name} was not reached");
            if *by != By::Starting && number.is_multiple_of(2) {
                bursts.push(self.burst(round, name, number));
            }
        }
        tokio::time::sleep(GRACE).await;
        let kill = self.kill();
        self.fired.push((name.clone(), kill));
        fs::remove_file(&armed).unwrap();
        fs::remove_file(&held).unwrap();
        self.town.house.start().await;
        calls.abort_all();
        for burst in bursts {
            let now = told(burst).await;
            let before = std::mem::take(&mut self.told).into_iter();
            let both: Vec<Heard> = before.zip(now).map(|(before, now)| before.and(now)).collect();
            self.told = both.try_into().expect("two accounts");
        }
    }

    /// Kills; when, in microseconds.
    fn kill(&mut self) -> i64 {
        self.town.house.kill_all();
        let now = Clock::system().now().as_micros();
        self.kills.push(now);
        now
    }

    fn burst(&self, round: usize, name: &str, number: usize) -> [Crowd; 2] {
        self.town.crowd(BURST, &format!("{name}-{round}-{number}-"), (round * 1_000 + number) as u64)
    }

    /// Does what leads there, as far as it is not led there by events. The call may be held up, or break off.
    fn provoke(&mut self, by: By, calls: &mut JoinSet<()>) {
        self.number += 1;
        let (number, people) = (self.number, self.town.house.people());
        let (admin, fleeting, webhook) =
            (self.town.house.admin(), self.fleeting.clone(), self.town.webhook.clone());
        match by {
            By::Events | By::Starting | By::Waiting => {}
            By::Cancelling | By::Retrying => {
                let producer = self.town.house.producer();
                calls.spawn(async move {
                    for event in 0..5 {
                        let event = deal(&format!("off-{number}-{event}"), "off");
                        let Ok(answer) = producer.ingest(PARENT, event).await else { return };
                        for name in answer.executions {
                            let _away = admin.cancel(&name).await;
                            if by == By::Retrying {
                                let _away = admin.retry(&name).await;
                            }
                        }
                    }
                });
            }
            By::Stopping => {
                let producer = self.town.house.producer();
                calls.spawn(async move {
                    for event in 0..5 {
                        let event = deal(&format!("fleeting-{number}-{event}"), "fleeting");
                        let _away = producer.ingest(PARENT, event).await;
                    }
                    let _away = admin.deactivate(&fleeting).await;
                    let _away = admin.activate(&fleeting).await;
                });
            }
            By::GivingUp => {
                let (producer, dying) = (self.town.house.producer(), self.dying.0.clone());
                calls.spawn(async move {
                    let _away = admin.set_state(&dying, WebhookState::Enabled).await;
                    for event in 0..5 {
                        let event = deal(&format!("dying-{number}-{event}"), "dying");
                        let _away = producer.ingest(PARENT, event).await;
                    }
                });
            }
            By::Making => {
                let rule = titled(&format!("made-{number}"), [post(&webhook, "1")]);
                calls.spawn(async move { drop(admin.create_automation(PARENT, rule).await) });
            }
            By::Gating => {
                calls.spawn(async move {
                    let _away = admin.set_state(&webhook, WebhookState::Disabled).await;
                    let _away = admin.set_state(&webhook, WebhookState::Enabled).await;
                });
            }
            By::Granting => {
                let (billing, request_id) = (people.billing(), format!("grant-{number}"));
                let request = GrantExecutionsRequest {
                    name: format!("accounts/{OTHER_ACCOUNT}/quota"),
                    units: 1,
                    request_id,
                };
                calls.spawn(async move { drop(billing.quotas().grant_executions(request).await) });
            }
            By::Pausing => {
                let billing = people.billing();
                calls.spawn(async move {
                    let name = format!("accounts/{OTHER_ACCOUNT}");
                    let pause = PauseAccountRequest { name, note: String::new() };
                    let _away = billing.quotas().pause_account(pause).await;
                    let _away = billing.quotas().resume_account(resumption()).await;
                });
            }
            By::Billing => {
                let billing = people.billing();
                calls.spawn(async move {
                    drop(billing.put_entitlements(ACCOUNT, "boundless", number).await);
                });
            }
        }
    }

    /// Lets everything come to its end, and holds the ledgers against one another.
    async fn judge(self, what: &str) {
        let Self { town, mut told, fleeting, off, dying, operations, fired, kills, .. } = self;
        let admin = town.house.admin();
        let mut quotas = town.house.people().billing().quotas();
        while quotas.resume_account(resumption()).await.is_err()
            || admin.set_state(&town.webhook, WebhookState::Enabled).await.is_err()
            || admin.set_state(&off.0, WebhookState::Enabled).await.is_err()
            || admin.deactivate(&fleeting).await.is_err()
        {
            tokio::time::sleep(PACE).await;
        }
        // Nobody kept the answers of those, and all of them were asked to end.
        let ended = town.of_automations(&[&fleeting, &off.1]).await;
        for execution in ended {
            told[0].asked.ended.insert(execution.name);
            told[0].asked.doubtful.extend(execution.event.map(|event| event.id));
        }
        for execution in town.of_automations(&[&dying.1]).await {
            told[0].asked.doubtful.extend(execution.event.map(|event| event.id));
        }
        let books = town.settle(told).await;
        let notices = town.settle_notices(&operations).await;
        let at_the_kills = |ledgers: &sluice_tests::ledgers::Ledgers, kill: i64| {
            let standing = ledgers.standing_at(kill);
            standing.on_the_wire + standing.paused + standing.delayed + standing.retrying
        };
        let idle: Vec<&str> = fired
            .iter()
            .filter(|(_, kill)| at_the_kills(&books.acme, *kill) + at_the_kills(&books.globex, *kill) == 0)
            .map(|(name, _)| name.as_str())
            .collect();
        figures(format_args!(
            "{what}: {} places reached, {} kills, {} of them with work in flight\n  acme: {}\n    {}\n  globex: {}\n    {}\n  \
             notices: {notices}",
            points::all().len(),
            fired.len(),
            fired.len() - idle.len(),
            books.told[0],
            books.acme,
            books.told[1],
            books.globex
        ));
        for (account, ledgers, told) in
            [(ACCOUNT, &books.acme, &books.told[0]), (OTHER_ACCOUNT, &books.globex, &books.told[1])]
        {
            assert_eq!(told.contradictions, Vec::<String>::new(), "{account}");
            assert_eq!(ledgers.violations(&kills), Vec::<String>::new(), "{account}");
        }
        assert_eq!(notices.violations(&kills), Vec::<String>::new());
        let (gone, told) = (books.acme.outcomes_at("/dying").len(), notices.count(AttemptOutcome::Succeeded));
        assert!(
            (1..=gone).contains(&told),
            "{told} notices of a webhook whose receiver answered {gone} times that it is gone"
        );
        assert_eq!(QUOTA.excess(&books.globex.starts()), 0, "I8: starts beyond the quota");
        assert_eq!(idle, Vec::<&str>::new(), "places reached without work in flight");
    }
}

fn resumption() -> ResumeAccountRequest {
    ResumeAccountRequest { name: format!("accounts/{OTHER_ACCOUNT}") }
}

/// Whether somebody is held there before long.
async fn seen(held: &Path) -> bool {
    let looking = async {
        while !held.exists() {
            tokio::time::sleep(PACE).await;
        }
    };
    tokio::time::timeout(TRY, looking).await.is_ok()
}
