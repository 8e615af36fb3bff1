//! What is simulated is what the store does: random schedules carried out on both, with rows compared after every step.
//!
//! Everything that a schedule does to the tables is carried out: events, claims, reports, rescues and restarts; cancelling, retrying
//! and stopping; plans, grants, and an operator's pauses; the registry's words and answers, and the end of what waits for a webhook
//! that was given up. Compared are the working set, attempts, ends, accounts, breakers and grants. What chance decides in a report,
//! how long a breaker stays open, is decided by the same seed on both sides. Left out is how long an attempt waits that was cut off
//! five times in a row, since a rescue decides that for all it finds: these schedules are calm. So are webhooks that are deleted, and
//! receivers with limits of their own: the world has none. Not compared are tokens, which every process makes up, and what is told of
//! all this, notices and changes.

use std::collections::{BTreeMap, HashMap};

use sluice_dispatcher::attempt::{Attempt, KeptAnswer, Verdict};
use sluice_dispatcher::breaker::{Breaker, Probe, State, Why};
use sluice_dispatcher::claim::{Claim, Finish};
use sluice_dispatcher::execution::EventSummary;
use sluice_dispatcher::gate::Lane;
use sluice_dispatcher::note::Note;
use sluice_dispatcher::pending::Pending;
use sluice_dispatcher::retry::Schedule;
use sluice_dispatcher::store::{self, Acceptance, Cancelled, NewEvent, NewExecution, Retried, Store, Work};
use sluice_domain::{ExecutionId, Span, Timestamp};
use sluice_runtime::Entropy;
use sluice_storage::{Query, Row};

use super::makers::{House, attempt, event_of};
use super::simulated::operators::Granted;
use super::simulated::schedule::{Deed, Figures, POLICY, Simulation};
use super::simulated::world::{Answer, Asked, Event, Held, Hook, Report, Run};

/// Schedules and steps of each: in CI, and with `SLUICE_TEST_SIZE=full`.
const SIZES: [(u64, u32); 2] = [(4, 200), (100, 400)];

pub(crate) async fn what_is_simulated_is_what_the_store_does(house: &House) {
    let full = sluice_testkit::full_size();
    let (schedules, steps) = SIZES[usize::from(full)];
    let first = std::env::var("SLUICE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(0..schedules, |seed: u64| seed..seed + 1);
    let mut sum = [0; 4];
    for seed in seeds {
        let schedule = Schedule { retries: 3, first: Span::from_secs(5), ..Schedule::default() };
        let simulation = Simulation::begin(seed, house.now(), schedule, None, true);
        let store = another_store(house).await;
        let mut replay = Replay { house, seed, store, simulation, claims: HashMap::new(), deeds: 0 };
        replay.carry_out("the beginning").await;
        for step in 0..steps {
            let outcome = replay.simulation.step();
            replay.carry_out(&format!("step {step}")).await;
            outcome.unwrap();
        }
        let outcome = replay.simulation.drain();
        replay.carry_out("the end").await;
        outcome.unwrap();
        replay.store.database().close().await;
        let (made, deeds) = (replay.simulation.world.made.len(), replay.deeds);
        let Figures { probes, swept, pauses, grants, .. } = replay.simulation.figures;
        for (sum, times) in sum.iter_mut().zip([probes, swept, pauses, grants]) {
            *sum += times;
        }
        let met = format!("{probes} probes, {swept} given up, {pauses} paused, {grants} grants");
        println!("seed {seed} on {:?}: {deeds} deeds, {made} executions alike; {met}", house.db.backend());
    }
    assert!(first.is_some() || sum.iter().all(|times| *times > 0), "no empty pass: {sum:?}");
}

/// A store of the same tables whose breakers open as the world's do.
async fn another_store(house: &House) -> Store {
    house.another_store().await.with_breaker(POLICY)
}

/// The store through the same connections, where chance decides by this seed.
async fn by_chance(store: &Store, seed: u64) -> Store {
    let (database, chance) = (store.database().clone(), Entropy::seeded(seed));
    Store::open(database, chance, store.lease(), Schedule::default()).await.unwrap().with_breaker(POLICY)
}

/// A schedule on both.
struct Replay<'a> {
    house: &'a House,
    seed: u64,
    store: Store,
    simulation: Simulation,
    /// The store's claims by the world's: its execution and token.
    claims: HashMap<(ExecutionId, i64), Claim>,
    deeds: usize,
}

impl Replay<'_> {
    /// Does to the store what was done to the world, and compares.
    async fn carry_out(&mut self, when: &str) {
        for deed in std::mem::take(&mut self.simulation.deeds) {
            let line = format!("seed {}, {when}: {deed:?}", self.seed);
            self.one(deed, &line).await;
            self.deeds += 1;
        }
        let (meant, found) = (self.meant(), self.found().await);
        let differs = meant.iter().zip(&found).find(|(meant, found)| meant != found);
        assert_eq!(meant.len(), found.len(), "seed {}, {when}: rows", self.seed);
        assert!(differs.is_none(), "seed {}, {when}: meant and found {differs:#?}", self.seed);
    }

    async fn one(&mut self, deed: Deed, line: &str) {
        let store = &self.store;
        match deed {
            Deed::At(now) => self.house.db.time.set(now).await,
            Deed::Accept(events, room, answers, claims) => {
                let batch: Vec<NewEvent> = events.iter().map(new_event).collect();
                let accepted = store.accept(&batch, room).await.unwrap();
                let got: Vec<Answer> = accepted.answers.into_iter().map(answer).collect();
                assert_eq!(got, answers, "{line}");
                self.claimed(accepted.claims, &claims, line);
            }
            Deed::Claim(account, room, claims) => {
                let got = store.claim(&account, room).await.unwrap().claims;
                self.claimed(got, &claims, line);
            }
            Deed::Finish(held, report, reported) => {
                let claim = &self.claims[&(held.id, held.token)];
                let finish = Finish {
                    account: claim.account.clone(),
                    claim: claim.standing(),
                    attempt: tried(claim, &report),
                    contact: claim.contact(report.version),
                    next: report.next,
                };
                let store = match report.tried {
                    Some((Verdict::Retried | Verdict::Failed, _)) => &by_chance(store, report.chance).await,
                    _ => store,
                };
                assert_eq!(store.finish(&[finish]).await.unwrap(), [reported], "{line}");
            }
            Deed::Rescue(seqs) => {
                let mut got: Vec<ExecutionId> =
                    store.rescue().await.unwrap().iter().map(|cut_off| cut_off.execution).collect();
                let mut meant: Vec<ExecutionId> =
                    seqs.iter().map(|seq| self.simulation.world.made[seq].run.id).collect();
                got.sort_unstable();
                meant.sort_unstable();
                assert_eq!(got, meant, "{line}");
            }
            Deed::Cancel(seq, asked) => {
                let made = &self.simulation.world.made[&seq];
                let got = match store.cancel(&made.account, made.run.id).await.unwrap() {
                    Cancelled::Ended => Asked::Done,
                    Cancelled::WhenAttemptEnds => Asked::WhenAttemptEnds,
                    Cancelled::AlreadyEnded(state) => Asked::AlreadyEnded(state),
                    Cancelled::NotFound => panic!("{line}"),
                };
                assert_eq!(got, asked, "{line}");
            }
            Deed::Retry(seq, asked) => {
                let made = &self.simulation.world.made[&seq];
                let got = match store.retry(&made.account, made.run.id).await.unwrap() {
                    Retried::Reopened => Asked::Done,
                    Retried::Final(state) => Asked::AlreadyEnded(state),
                    Retried::NotEnded
                    | Retried::NothingToSend
                    | Retried::AutomationDeactivated
                    | Retried::WebhookDisabled => Asked::NotNow,
                    Retried::NotFound => panic!("{line}"),
                };
                assert_eq!(got, asked, "{line}");
            }
            Deed::Stop(account, automation, generation) => {
                assert!(!store.stop(&account, automation, generation).await.unwrap().more, "{line}");
            }
            Deed::Present(meant) => {
                let gated = store.gated_webhooks().await.unwrap().into_iter();
                let got: BTreeMap<Hook, bool> =
                    gated.filter(|((account, _), _)| self.simulation.accounts.contains(account)).collect();
                assert_eq!(got, meant, "{line}");
            }
            Deed::Told(word, changed) => {
                let (account, webhook) = &word.hook;
                let (revision, standing) = (word.revision, word.standing);
                let got = if word.answer {
                    store.settle_disabling(account, *webhook, revision, standing).await
                } else {
                    store.put_webhook(account, *webhook, revision, standing).await
                };
                assert_eq!(got.unwrap(), changed, "{line}");
            }
            Deed::Sweep((account, webhook)) => {
                assert!(!store.sweep_webhook(&account, webhook).await.unwrap(), "{line}");
            }
            Deed::Pause(account, paused, known) => {
                let note: Note = "a reason".parse().unwrap();
                let got =
                    if paused { store.pause(&account, &note).await } else { store.resume(&account).await };
                assert_eq!(got.unwrap(), known, "{line}");
            }
            Deed::Grant(account, grant, granted) => {
                let got = match store.grant(&account, &grant).await.unwrap() {
                    store::Granted::Done => Granted::Done,
                    store::Granted::RequestIdReused => Granted::RequestIdReused,
                    store::Granted::Refused(error) => Granted::Refused(error),
                };
                assert_eq!(got, granted, "{line}");
            }
            // Those of other schedules are forgotten with them.
            Deed::ForgetGrants(forgotten) => {
                assert!(store.prune_grants().await.unwrap() >= forgotten, "{line}");
            }
            Deed::Entitle(account, entitlements) => {
                assert!(store.apply_entitlements(&account, &entitlements).await.unwrap(), "{line}");
            }
            Deed::Restart => {
                let another = another_store(self.house).await;
                std::mem::replace(&mut self.store, another).database().close().await;
            }
        }
    }

    fn claimed(&mut self, got: Vec<Claim>, meant: &[Held], line: &str) {
        let of = |claim: &Claim| {
            let numbers = (claim.step, claim.attempt, claim.retries, claim.ends);
            (claim.execution, numbers, claim.started_at, claim.claimed_at, claim.troubled)
        };
        let of_held = |held: &Held| {
            let numbers = (held.step, held.attempt, held.retries, held.ends);
            (held.id, numbers, held.started_at, held.claimed_at, held.troubled)
        };
        let (left, right): (Vec<_>, Vec<_>) =
            (got.iter().map(of).collect(), meant.iter().map(of_held).collect());
        assert_eq!(left, right, "{line}");
        for (claim, held) in got.into_iter().zip(meant) {
            self.claims.insert((held.id, held.token), claim);
        }
    }

    /// The world's rows, a line each.
    fn meant(&self) -> Vec<String> {
        let world = &self.simulation.world;
        let id = |seq: &i64| world.made[seq].run.id.to_bytes();
        let mut lines = Vec::new();
        for (seq, (row, lane)) in &world.pending {
            let flat = row.stage.flat();
            let counts = (row.step, row.attempt, row.retries, row.interruptions, row.ends);
            let times =
                (flat.turn, flat.due_at, flat.started_at, flat.cancel, flat.claimed_at, flat.lease_until);
            lines.push(format!("pending {:02x?} {} {counts:?} {times:?}", id(seq), lane.webhook));
        }
        for tried in &world.attempts {
            let times = (tried.started_at.as_micros(), tried.ended_at.as_micros());
            let (step, number, verdict) = (tried.step, tried.number, tried.verdict);
            lines.push(format!("attempt {:02x?} {step} {number} {verdict} {times:?}", id(&tried.seq)));
        }
        for ending in &world.endings {
            let (number, state, step) = (ending.number, ending.end.state.as_str(), ending.step);
            let times = (ending.started_at.map(|at| at.as_micros()), ending.at.as_micros());
            lines.push(format!("ending {:02x?} {number} {state} {step} {times:?}", id(&ending.seq)));
        }
        for (account, quota) in &world.quotas {
            let wake_at = quota.wake_at.map(|at| at.as_micros());
            let tats = quota
                .limits
                .as_ref()
                .map_or((0, 0), |limits| (limits.executions.tat(), limits.notifications.tat()));
            let period = quota
                .limits
                .as_ref()
                .map_or((0, 0), |limits| (limits.allowance.granted, limits.allowance.used));
            let paused_at = quota.paused_at.map(|at| at.as_micros());
            let waiting = quota.waiting;
            lines.push(format!("account {account} {waiting} {wake_at:?} {tats:?} {period:?} {paused_at:?}"));
        }
        lines.extend(world.breakers.iter().map(|(hook, breaker)| self.meant_breaker(hook, breaker)));
        for ((account, request), (units, until)) in &world.grants {
            lines.push(format!("grant {account} {request} {units} {}", until.as_micros()));
        }
        lines.sort_unstable();
        lines
    }

    /// A breaker's row, a probe by the execution that is it.
    fn meant_breaker(&self, (account, webhook): &Hook, breaker: &Breaker) -> String {
        let world = &self.simulation.world;
        let holds = |token: i64| {
            let holds = |(row, lane): &&(Pending, Lane)| {
                let of = row.account == account.as_str() && lane.webhook == *webhook;
                of && row.hold().is_some_and(|hold| hold.token == token)
            };
            let row = world.pending.values().find(holds);
            row.map(|(row, _)| world.made[&row.seq].run.id.to_bytes().to_vec())
        };
        let (state, until, probe, why, number, unswept) = match breaker.state {
            State::Closed => ("CLOSED", None, None, None, None, 0),
            State::Open { until } => ("OPEN", Some(until), None, None, None, 0),
            State::HalfOpen(Probe { token, until }) => {
                ("HALF_OPEN", Some(until), holds(token), None, None, 0)
            }
            State::Disabling { why, version } => ("DISABLING", None, None, Some(why), Some(version), 0),
            State::Disabled { why, revision, swept } => {
                ("DISABLED", None, None, Some(why), Some(revision), i64::from(!swept))
            }
        };
        let counts = (breaker.failures, breaker.since.as_micros(), breaker.opened);
        let until = until.map(Timestamp::as_micros);
        let why = why.map(Why::as_str);
        format!(
            "breaker {account} {webhook} {state} {counts:?} {until:?} {probe:02x?} {why:?} {number:?} {unswept}"
        )
    }

    /// The store's rows, in the same words.
    async fn found(&self) -> Vec<String> {
        let accounts = format!("account LIKE '%-{}'", self.seed);
        let mut lines = Vec::new();
        let rows = |what: &str, from: &str| {
            let select = format!("SELECT {what} FROM {from} WHERE e.{accounts}");
            async move { self.store.database().read().all(&select, vec![]).await.unwrap() }
        };
        let from = "pending p JOIN execution e ON e.seq = p.seq JOIN lane l ON l.lane = p.lane";
        for row in rows("e.id, l.webhook, p.*", from).await {
            let of = |column: &str| row.get::<i64>(column).unwrap();
            let some = |column: &str| row.get::<Option<i64>>(column).unwrap();
            let counts = (of("step"), of("attempt"), of("retries"), of("interruptions"), of("ends"));
            let (started_at, claimed_at, lease_until) =
                (some("started_at"), some("claimed_at"), some("lease_until"));
            let times = (of("turn"), of("due_at"), started_at, of("cancel"), claimed_at, lease_until);
            let (id, webhook): (Vec<u8>, String) = (row.get("id").unwrap(), row.get("webhook").unwrap());
            lines.push(format!("pending {id:02x?} {webhook} {counts:?} {times:?}"));
        }
        for row in rows("e.id, a.*", "attempt a JOIN execution e ON e.seq = a.seq").await {
            let of = |column: &str| row.get::<i64>(column).unwrap();
            let (id, verdict): (Vec<u8>, String) = (row.get("id").unwrap(), row.get("verdict").unwrap());
            let (step, number, times) = (of("step"), of("number"), (of("started_at"), of("ended_at")));
            lines.push(format!("attempt {id:02x?} {step} {number} {verdict} {times:?}"));
        }
        for row in rows("e.id, x.*", "ending x JOIN execution e ON e.seq = x.seq").await {
            let of = |column: &str| row.get::<i64>(column).unwrap();
            let (id, state): (Vec<u8>, String) = (row.get("id").unwrap(), row.get("state").unwrap());
            let times = (row.get::<Option<i64>>("started_at").unwrap(), of("at"));
            lines.push(format!("ending {id:02x?} {} {state} {} {times:?}", of("number"), of("step")));
        }
        for row in rows("e.*", "account e").await {
            let of = |column: &str| row.get::<i64>(column).unwrap();
            let (account, wake_at): (String, Option<i64>) =
                (row.get("account").unwrap(), row.get("wake_at").unwrap());
            let tats = (of("rate_tat_ns"), of("notice_tat_ns"));
            let period = (of("period_granted"), of("period_used"));
            let (waiting, paused_at) = (of("waiting"), row.get::<Option<i64>>("paused_at").unwrap());
            lines.push(format!("account {account} {waiting} {wake_at:?} {tats:?} {period:?} {paused_at:?}"));
        }
        let probe = "(SELECT x.id FROM pending p JOIN execution x ON x.seq = p.seq JOIN lane l ON l.lane = p.lane \
             WHERE p.token = e.token AND l.account = e.account AND l.webhook = e.webhook) AS probe";
        lines.extend(rows(&format!("e.*, {probe}"), "breaker e").await.iter().map(found_breaker));
        for row in rows("e.*", "allowance_grant e").await {
            let text = |column: &str| row.get::<String>(column).unwrap();
            let number = |column: &str| row.get::<i64>(column).unwrap();
            let (account, request) = (text("account"), text("request"));
            lines.push(format!("grant {account} {request} {} {}", number("units"), number("kept_until")));
        }
        lines.sort_unstable();
        lines
    }
}

/// The attempt of a claim as the world's owner reports it.
fn tried(claim: &Claim, report: &Report) -> Option<Attempt> {
    let (verdict, status) = report.tried?;
    let tried = attempt(claim, verdict);
    let answer = tried.answer.clone().zip(status).map(|(kept, status)| KeptAnswer { status, ..kept });
    Some(Attempt { answer, ..tried })
}

fn found_breaker(row: &Row) -> String {
    let text = |column: &str| row.get::<String>(column).unwrap();
    let number = |column: &str| row.get::<i64>(column).unwrap();
    let some = |column: &str| row.get::<Option<i64>>(column).unwrap();
    let (account, webhook, state) = (text("account"), text("webhook"), text("state"));
    let counts = (number("failures"), number("since"), number("opened"));
    let probe: Option<Vec<u8>> = row.get("probe").unwrap();
    let (until, why, of) =
        (some("until"), row.get::<Option<String>>("why").unwrap(), some("version").or(some("revision")));
    let unswept = number("unswept");
    format!("breaker {account} {webhook} {state} {counts:?} {until:?} {probe:02x?} {why:?} {of:?} {unswept}")
}

fn new_event(event: &Event) -> NewEvent {
    let executions = event.runs.iter().map(new_execution).collect();
    let fresh = event_of(&event.account, &event.id, executions);
    let about = EventSummary { record_id: event.record.clone(), ..fresh.event };
    NewEvent { digest: [event.digest; 32], event: about, ..fresh }
}

fn new_execution(run: &Run) -> NewExecution {
    let work = if run.plan.deliveries.is_empty() {
        Work::Rejected("a dot segment".into())
    } else {
        Work::Deliver(run.plan.clone().into())
    };
    NewExecution {
        id: run.id,
        automation: run.automation,
        automation_version: 1,
        generation: run.generation,
        work,
    }
}

fn answer(acceptance: Acceptance) -> Answer {
    match acceptance {
        Acceptance::Accepted(ids) => Answer::Accepted(ids),
        Acceptance::Repeated(ids) => Answer::Repeated(ids),
        Acceptance::IdReused => Answer::IdReused,
        Acceptance::BacklogFull { .. } => Answer::BacklogFull,
    }
}
