//! What people and billing do: events, plans, stops, cancellations, retries.

use bytes::Bytes;
use sluice_dispatcher::plan::{Delivery, Plan};
use sluice_domain::{
    Allowance, AutomationId, DeliveryId, Entitlements, ExecutionId, Rate, Span, Timestamp, WebhookId,
};

use super::schedule::{Deed, Simulation};
use super::world::{Asked, Event, Run};

fn automation(number: u8) -> AutomationId {
    AutomationId::from_bytes([number; 16])
}

fn webhook(number: u8) -> WebhookId {
    WebhookId::from_bytes([number; 16])
}

impl Simulation {
    /// A new id, later than all before.
    pub(crate) fn mint(&self) -> ExecutionId {
        let mut random = [0; 10];
        random.iter_mut().for_each(|byte| *byte = u8::try_from(self.below(256)).unwrap());
        ExecutionId::mint(self.world.now, random)
    }

    pub(crate) fn event(&mut self) -> Event {
        let at = self.one_of(&[0, 0, 1, 1, 2]);
        let runs = (0..=self.below(2)).map(|_| self.run(at)).collect();
        self.events += 1;
        let id = self.events.to_string();
        let record = self.one_of(&["1", "1", "2", "3", "4"]).to_owned();
        Event { account: self.accounts[at].clone(), id, record, digest: 1, runs }
    }

    fn run(&self, account: usize) -> Run {
        let id = self.mint();
        if self.below(30) == 0 {
            return Run { id, automation: Some(automation(1)), generation: 9, plan: Plan::default() };
        }
        let delay = |rare| if self.below(rare) == 0 { self.one_of(&[1, 900, 20_000]) } else { 0 };
        if self.below(10) < 3 {
            let plan = self.plan(&[(self.one_of(&[1, 2]), 0)]);
            return Run { id, automation: None, generation: 0, plan };
        }
        let number = self.one_of(&[1, 2, 3]);
        let marker = self.generations.get(&(account, number)).copied().unwrap_or(0);
        // Now and then one that was set off before its automation was stopped.
        let generation = if self.below(12) == 0 { marker } else { marker + 1 };
        let mut steps = vec![(self.one_of(&[1, 2]), delay(7))];
        while self.below(4) == 0 {
            steps.push((self.one_of(&[1, 2]), delay(3)));
        }
        Run { id, automation: Some(automation(number)), generation, plan: self.plan(&steps) }
    }

    fn plan(&self, steps: &[(u8, i64)]) -> Plan {
        let delivery = |(number, millis): &(u8, i64)| Delivery {
            id: DeliveryId::from_bytes(self.mint().to_bytes()),
            webhook: webhook(*number),
            delay: Span::from_millis(*millis),
            // Webhook 2 is ordered by record.
            ordered: *number == 2,
            method: "POST".into(),
            url_suffix: String::new(),
            headers: Vec::new(),
            content_type: String::new(),
            body: Bytes::new(),
        };
        Plan { deliveries: steps.iter().map(delivery).collect() }
    }

    pub(crate) fn entitle(&mut self, account: usize) {
        self.entitle_with(account, |_| {});
    }

    pub(crate) fn entitle_with(&mut self, at: usize, settle: impl Fn(&mut Entitlements)) {
        let account = self.accounts[at].clone();
        let version = self.versions.entry(account.clone()).or_insert(0);
        *version += 1;
        let version = *version;
        let per = Span::from_secs(60);
        let amount = self.one_of(&[0, 5, 30, 1_000]);
        // Counted from the first of a month at midnight, so that a period is a calendar month.
        let anchor = Timestamp::from_micros(1_759_276_800_000_000);
        let mut entitlements = Entitlements {
            version,
            plan: "advanced".into(),
            automations: self.below(8) > 0,
            active_automations: 50,
            steps: 10,
            delays: 10,
            executions: Rate {
                units: self.one_of(&[1, 7, 60, 600, 3_000, 3_000]),
                per,
                burst: self.one_of(&[1, 2, 5, 20, 20]),
            },
            allowance: (self.below(3) == 0).then_some(Allowance { amount, anchor }),
            notifications: Rate { units: 30, per, burst: self.one_of(&[1, 4]) },
            max_waiting: self.one_of(&[20, 1_000]),
            history: Span::from_secs(86_400),
        };
        settle(&mut entitlements);
        assert!(self.world.entitle(&account, &entitlements), "it is newer");
        let now = self.world.now;
        self.ledger.budgets.entry(account.clone()).or_default().entitle(&entitlements, now);
        self.did(Deed::Entitle(account, entitlements));
    }

    pub(crate) fn stop(&mut self) {
        let (at, number) = (self.one_of(&[0, 1, 2]), self.one_of(&[1, 2, 3]));
        let generation = self.generations.entry((at, number)).or_insert(0);
        *generation += 1;
        let (account, generation) = (self.accounts[at].clone(), *generation);
        self.world.stop(&account, automation(number), generation);
        self.ledger.markers.insert((account.clone(), automation(number)), generation);
        self.did(Deed::Stop(account, automation(number), generation));
    }

    /// Any execution there is.
    fn some(&self) -> Option<i64> {
        let made: Vec<i64> = self.world.made.keys().copied().collect();
        (!made.is_empty()).then(|| self.one_of(&made))
    }

    pub(crate) fn cancel(&mut self) {
        let waiting: Vec<i64> = self.world.pending.keys().copied().collect();
        let waiting = (!waiting.is_empty()).then(|| self.one_of(&waiting));
        let Some(seq) = waiting.or_else(|| self.some()) else { return };
        let asked = self.world.cancel(seq);
        if matches!(asked, Asked::WhenAttemptEnds | Asked::Done) {
            self.ledger.cancelled.insert(seq);
        }
        self.did(Deed::Cancel(seq, asked));
    }

    pub(crate) fn retry(&mut self) {
        let Some(seq) = self.some() else { return };
        let asked = self.world.retry(seq);
        if asked == Asked::Done {
            self.ledger.reopened(seq);
        }
        self.did(Deed::Retry(seq, asked));
    }
}
