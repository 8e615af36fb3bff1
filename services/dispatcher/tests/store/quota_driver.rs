//! Random schedules against the quota model: at each acceptance and each claim exactly what the model admits starts, on a store
//! that is closed and opened again in between.

use sluice_dispatcher::attempt::Verdict;
use sluice_dispatcher::claim::{Claim, Finish, Reported};
use sluice_dispatcher::execution::Next;
use sluice_dispatcher::grant::{Grant, Units};
use sluice_dispatcher::store::{Acceptance, Granted, NewEvent, Store};
use sluice_domain::{AccountId, Allowance, Entitlements, ExecutionId, Rate, Span, Timestamp};
use sluice_runtime::Entropy;
use sluice_storage::Query;

use super::makers::{
    House, ROOMY, account, advance, attempt, claimed, event_of, hand_back, lease, notification, plan, report,
    retry, steps, success, unlimited,
};
use super::quota_model::{Item, Kind, Model};

/// Schedules and steps of each: in CI, and with `SLUICE_TEST_SIZE=full`.
const SIZES: [(u64, u32); 2] = [(5, 120), (200, 500)];

pub(crate) async fn random_schedules_start_exactly_what_the_model_admits(house: &House) {
    let full = sluice_testkit::full_size();
    let (schedules, steps) = SIZES[usize::from(full)];
    let first = std::env::var("SLUICE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(0..schedules, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let mut schedule = Schedule::begin(house, seed).await;
        for step in 0..steps {
            schedule.step = step;
            schedule.one_step().await;
            if step == steps / 2 {
                schedule.restart().await;
            }
        }
        schedule.drain().await;
        println!(
            "seed {seed} on {:?}: {} accepted, {} starts compared, {} restarts, {} rescued",
            house.db.backend(),
            schedule.accepted,
            schedule.compared,
            schedule.restarts,
            schedule.rescued,
        );
    }
}

/// One schedule as it runs.
struct Schedule<'a> {
    house: &'a House,
    seed: u64,
    dice: Entropy,
    step: u32,
    store: Store,
    model: Model,
    accounts: Vec<AccountId>,
    versions: Vec<i64>,
    held: Vec<Claim>,
    accepted: usize,
    compared: usize,
    restarts: usize,
    rescued: usize,
}

impl<'a> Schedule<'a> {
    async fn begin(house: &'a House, seed: u64) -> Self {
        let accounts = ["a", "b", "c"].map(|name| account(&format!("{name}-{seed}"))).to_vec();
        let mut schedule = Self {
            house,
            seed,
            dice: Entropy::seeded(seed),
            step: 0,
            store: house.another_store().await,
            model: Model::default(),
            accounts,
            versions: vec![0; 3],
            held: Vec::new(),
            accepted: 0,
            compared: 0,
            restarts: 0,
            rescued: 0,
        };
        // The third stays unknown until chance knows it.
        schedule.entitle(0).await;
        schedule.entitle(1).await;
        schedule
    }

    fn below(&self, end: u64) -> u64 {
        self.dice.u64() % end
    }

    fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    fn room(&self) -> usize {
        self.one_of(&[0, 1, 2, 5, 100, 100, 100])
    }

    fn now(&self) -> Timestamp {
        self.house.now()
    }

    fn lease_end(&self) -> Timestamp {
        self.now().plus(lease().length)
    }

    async fn one_step(&mut self) {
        match self.below(100) {
            0..35 => self.accept().await,
            35..55 => {
                let account = self.one_of(&[0, 0, 1, 1, 2]);
                self.claim(account, self.room()).await;
            }
            55..73 => self.finish_some().await,
            73..90 => self.move_on().await,
            90..95 => {
                let account = self.one_of(&[0, 0, 1, 1, 2]);
                self.entitle(account).await;
            }
            95 | 96 => self.rescue().await,
            97 => self.top_up().await,
            98 => self.operate().await,
            _ => self.restart().await,
        }
        let select = "SELECT account, waiting FROM account WHERE account IN ($1, $2, $3)";
        let names = self.accounts.iter().map(|account| account.as_str().into()).collect();
        for row in self.store.database().read().all(select, names).await.unwrap() {
            let account = account(&row.at::<String>(0).unwrap());
            let (waiting, meant): (i64, _) = (row.at(1).unwrap(), self.model.waiting(&account));
            let waiting = usize::try_from(waiting).unwrap();
            assert_eq!(waiting, meant, "seed {} step {}: what waits of {account}", self.seed, self.step);
        }
    }

    fn compare(&mut self, what: &str, started: &[ExecutionId], meant: &[ExecutionId]) {
        assert_eq!(started, meant, "seed {} step {}: {what} at {}", self.seed, self.step, self.now());
        self.compared += meant.len();
    }

    async fn accept(&mut self) {
        let (mut batch, mut fresh): (Vec<NewEvent>, Vec<(AccountId, Item)>) = (Vec::new(), Vec::new());
        for at in 0..=self.below(5) {
            let account = self.accounts[self.one_of(&[0, 0, 1, 1, 2])].clone();
            let executions: Vec<_> = (0..=self.below(3)).map(|_| self.execution()).collect();
            for (execution, kind, ready_at) in &executions {
                let item = Item {
                    id: execution.id,
                    kind: *kind,
                    started: false,
                    ready_at: *ready_at,
                    held_until: None,
                    interruptions: 0,
                };
                fresh.push((account.clone(), item));
            }
            let executions = executions.into_iter().map(|(execution, ..)| execution).collect();
            batch.push(event_of(&account, &format!("{}-{at}", self.step), executions));
        }
        let room = self.room();
        let accepted = self.store.accept(&batch, room).await.unwrap();
        assert!(accepted.answers.iter().all(|answer| matches!(answer, Acceptance::Accepted(_))));
        self.accepted += fresh.len();
        let meant = self.model.accept(&fresh, self.now(), room, self.lease_end());
        self.compare("an acceptance", &claimed(&accepted.claims), &meant);
        self.held.extend(accepted.claims);
    }

    fn execution(&self) -> (sluice_dispatcher::store::NewExecution, Kind, Timestamp) {
        if self.below(10) < 3 {
            return (notification(self.one_of(&[1, 2])), Kind::Notification, self.now());
        }
        let delay =
            if self.below(7) == 0 { Span::from_millis(self.one_of(&[1, 900, 20_000])) } else { Span::ZERO };
        let mut plan = vec![(self.one_of(&[1, 2]), delay)];
        if self.below(5) == 0 {
            plan.push((self.one_of(&[1, 2]), Span::from_millis(self.one_of(&[0, 0, 3_000]))));
        }
        (steps(self.one_of(&[1, 2, 3]), &plan), Kind::Execution, self.now().plus(delay))
    }

    async fn claim(&mut self, account: usize, room: usize) {
        let account = self.accounts[account].clone();
        let claims = self.store.claim(&account, room).await.unwrap().claims;
        let meant = self.model.claim(&account, self.now(), room, self.lease_end());
        self.compare(&format!("a claim of {account}"), &claimed(&claims), &meant);
        self.held.extend(claims);
    }

    async fn finish_some(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..=self.below(6) {
            if self.held.is_empty() {
                break;
            }
            let at = usize::try_from(self.below(self.held.len() as u64)).unwrap();
            let claim = self.held.swap_remove(at);
            let after = Span::from_millis(self.one_of(&[0, 250, 5_000, 60_000]));
            batch.push(match self.below(10) {
                0 | 1 => retry(&claim, after),
                2 => hand_back(&claim, after),
                _ if claim.step + 1 < claim.plan.deliveries.len() => advance(&claim),
                _ => success(&claim),
            });
            self.model_finish(&claim, &batch[batch.len() - 1].next);
        }
        let reports = self.store.finish(&batch).await.unwrap();
        assert!(reports.iter().all(|report| *report == Reported::Recorded), "seed {}", self.seed);
    }

    fn model_finish(&mut self, claim: &Claim, next: &Next) {
        let now = self.now();
        let after = match next {
            Next::End(_) => return self.model.end(&claim.account, claim.execution),
            Next::Retry(after) | Next::HandBack(after) | Next::Advance { after, .. } => *after,
        };
        let item = self.model.item(&claim.account, claim.execution);
        item.held_until = None;
        item.ready_at = now.plus(after);
        if !matches!(next, Next::HandBack(_)) {
            item.interruptions = 0;
        }
    }

    async fn move_on(&mut self) {
        let wake = self.store.next_wake().await.unwrap().1.map_or(self.now(), |wake| wake.max(self.now()));
        let to = match self.below(20) {
            0..5 => self.now().plus(Span::from_micros(i64::try_from(self.below(1_000_000)).unwrap())),
            5..9 => self.now().plus(Span::from_millis(i64::try_from(self.below(30_000)).unwrap())),
            9..14 => wake,
            14..17 => wake.minus(Span::from_micros(1)).max(self.now()),
            17..19 => wake.plus(Span::from_millis(i64::try_from(self.below(3_000)).unwrap())),
            _ => self.now().plus(Span::from_secs(i64::try_from(self.below(20 * 86_400)).unwrap())),
        };
        self.house.db.time.set(to).await;
    }

    async fn entitle(&mut self, account: usize) {
        self.versions[account] += 1;
        let units = self.one_of(&[1, 7, 60, 600, 3_000]);
        let mut entitlements = plan(self.versions[account], units, self.one_of(&[1, 2, 5, 20]));
        entitlements.notifications =
            Rate { units: 30, per: Span::from_secs(60), burst: self.one_of(&[1, 4]) };
        entitlements.automations = self.below(6) > 0;
        // Counted from the first of a month at midnight, so that a period is a calendar month.
        let anchor = Timestamp::from_micros(1_759_276_800_000_000);
        entitlements.allowance =
            (self.below(2) == 0).then(|| Allowance { amount: self.one_of(&[0, 5, 30]), anchor });
        self.put(account, &entitlements).await;
    }

    async fn top_up(&mut self) {
        let account = self.accounts[self.one_of(&[0, 0, 1, 1, 2])].clone();
        let units = self.one_of(&[1, 5, 20]);
        let grant = Grant {
            units: Units::try_from(units).unwrap(),
            request: format!("{}-{}", self.seed, self.step).parse().unwrap(),
        };
        let granted = self.store.grant(&account, &grant).await.unwrap();
        let meant = self.model.grant(&account, units, self.now());
        assert_eq!(granted == Granted::Done, meant, "seed {} step {}: {granted:?}", self.seed, self.step);
        if meant {
            assert_eq!(self.store.grant(&account, &grant).await.unwrap(), Granted::Done, "and once only");
        }
    }

    async fn operate(&mut self) {
        let account = self.accounts[self.one_of(&[0, 1, 2])].clone();
        let paused = self.below(5) < 2;
        let known = match paused {
            true => self.store.pause(&account, &"looked at".parse().unwrap()).await.unwrap(),
            false => self.store.resume(&account).await.unwrap(),
        };
        assert_eq!(known, self.model.pause(&account, paused), "seed {} step {}", self.seed, self.step);
    }

    async fn put(&mut self, account: usize, entitlements: &Entitlements) {
        let account = self.accounts[account].clone();
        assert!(self.store.apply_entitlements(&account, entitlements).await.unwrap());
        self.model.entitle(&account, entitlements, self.now());
    }

    /// Takes back what nobody reported; what was cut off often before ends first, since the schedule's jitter is no part of the model.
    async fn rescue(&mut self) {
        let now = self.now();
        let held = std::mem::take(&mut self.held);
        let mut batch = Vec::new();
        for claim in held {
            let item = self.model.item(&claim.account, claim.execution);
            if item.held_until.is_none_or(|until| until > now) {
                self.held.push(claim);
            } else if item.interruptions >= 4 {
                let verdict = Some(attempt(&claim, Verdict::Succeeded));
                batch.push(report(&claim, verdict, Next::Retry(Span::ZERO)));
                self.model_finish(&claim, &Next::Retry(Span::ZERO));
            }
        }
        self.store.finish(&batch).await.unwrap();
        let mut meant = 0;
        for item in self.model.items().filter(|item| item.held_until.is_some_and(|until| until <= now)) {
            (item.held_until, item.ready_at) = (None, now);
            item.interruptions += 1;
            meant += 1;
        }
        assert_eq!(self.store.rescue().await.unwrap().len(), meant, "seed {} step {}", self.seed, self.step);
        self.rescued += meant;
    }

    /// The process ends and comes again: other connections, no memory, claims of before still held.
    async fn restart(&mut self) {
        let another = self.house.another_store().await;
        std::mem::replace(&mut self.store, another).database().close().await;
        self.restarts += 1;
    }

    /// With a plan for everybody, everything accepted comes to its end, still as the model says.
    async fn drain(&mut self) {
        super::invariants::check(self.house).await;
        for account in 0..self.accounts.len() {
            let version = self.versions[account] + 1;
            self.store.resume(&self.accounts[account]).await.unwrap();
            self.model.pause(&self.accounts[account], false);
            let notifications = Rate { units: 600, per: Span::from_secs(60), burst: 30 };
            self.put(account, &Entitlements { notifications, ..unlimited(version) }).await;
        }
        loop {
            let held = std::mem::take(&mut self.held);
            let last = |claim: &Claim| claim.step + 1 == claim.plan.deliveries.len();
            let finish = |claim: &Claim| if last(claim) { success(claim) } else { advance(claim) };
            let batch: Vec<Finish> = held.iter().map(finish).collect();
            for (claim, finish) in held.iter().zip(&batch) {
                self.model_finish(claim, &finish.next);
            }
            let reports = self.store.finish(&batch).await.unwrap();
            assert!(reports.iter().all(|report| *report == Reported::Recorded), "seed {}", self.seed);
            for due in self.store.due_accounts(ROOMY).await.unwrap() {
                let account = self.accounts.iter().position(|account| *account == due).unwrap();
                self.claim(account, ROOMY).await;
            }
            if self.held.is_empty() {
                let Some(wake) = self.store.next_wake().await.unwrap().1 else { break };
                assert!(wake > self.now(), "seed {}: it wakes up for nothing", self.seed);
                self.house.db.time.set(wake).await;
            }
        }
        assert_eq!(self.model.items().count(), 0, "seed {}: it did not come to its end", self.seed);
        let ended = "SELECT count(*) FROM ending x JOIN execution e ON e.seq = x.seq WHERE e.account LIKE $1";
        let mine = vec![format!("%-{}", self.seed).into()];
        let row = self.store.database().read().one(ended, mine).await.unwrap().unwrap();
        assert_eq!(row.at::<i64>(0).unwrap(), i64::try_from(self.accepted).unwrap());
    }
}
