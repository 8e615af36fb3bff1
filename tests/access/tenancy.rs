//! Every RPC, on every listener, by everybody who is let in, with each name in its request replaced by another account's, nobody's,
//! one that is gone, and nonsense.

use std::collections::BTreeSet;

use sluice_testkit::Receiver;
use sluice_tests::{Backend, on_each_backend};
use tonic::Code;

use super::accounts::{Account, Asked, CANARY, MINE, THEIRS};
use super::callers::Caller;
use super::contract::Contract;
use super::door::Listener;
use super::house::House;
use super::names::{Name, Pair, What};
use super::reply::Reply;
use super::rows::{Row, rows};

on_each_backend!(what_is_another_accounts_is_answered_as_what_is_nobodys_in_every_rpc);

/// Two accounts, and what of the one must not reach the other.
struct Stage {
    house: House,
    contract: Contract,
    theirs: Account,
    mine: Account,
    secrets: BTreeSet<String>,
}

/// One RPC at one listener by one caller.
#[derive(Clone, Copy)]
struct Call<'a> {
    stage: &'a Stage,
    row: &'a Row,
    listener: Listener,
    caller: Caller,
}

/// How many answers were judged, and what was wrong with them.
#[derive(Debug, Default)]
struct Tally {
    own: usize,
    foreign: usize,
    deleted: usize,
    malformed: usize,
    faults: Vec<String>,
    /// What the caller wrote into its own records.
    kept: BTreeSet<String>,
}

impl Tally {
    fn expect(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }
}

impl Call<'_> {
    fn title(&self, field: &str) -> String {
        format!("{} at {} by {:?}: {field}", self.row.title(), self.listener.name(), self.caller)
    }

    /// A request that is in order.
    async fn request(&self) -> Vec<u8> {
        let Stage { house, mine, .. } = self.stage;
        let fresh = mine.fresh(house, self.row.needs).await;
        (self.row.request)(&Asked { account: mine, fresh: &fresh })
    }

    /// The same with this text in the place of a name.
    async fn request_with(&self, name: &Name, text: &str) -> Vec<u8> {
        // Where another thing is named, nothing is used up.
        let request = if name.field == self.row.whose {
            (self.row.request)(&Asked { account: &self.stage.mine, fresh: "" })
        } else {
            self.request().await
        };
        self.stage.contract.with(self.row.rpc, &request, name.field, text)
    }

    /// The answer; nothing of the other account is in it but what was sent.
    async fn answer(&self, request: Vec<u8>, sent: &str, tally: &mut Tally) -> Reply {
        let Stage { house, secrets, .. } = self.stage;
        let authorization = self.caller.authorization(&house.mint, MINE, THEIRS);
        let reply = house.door(self.listener).call(self.row.rpc, &authorization, request).await;
        let told = tally.kept.iter().fold(reply.told(), |told, own| told.replace(own, ""));
        // Whoever serves every account is told of every account.
        let told_all = self.row.whose.is_empty();
        for secret in secrets.iter().filter(|secret| !told_all && !sent.contains(secret.as_str())) {
            tally.expect(!told.contains(secret), || format!("{}: {secret} in {told}", self.title(sent)));
        }
        reply
    }

    async fn with(&self, name: &Name, text: &str, tally: &mut Tally) -> Reply {
        let request = self.request_with(name, text).await;
        self.answer(request, text, tally).await
    }

    /// What is somebody else's, or gone, and what never was are answered alike.
    async fn compare(&self, name: &Name, pair: &Pair, tally: &mut Tally) {
        let theirs = self.with(name, &pair.theirs, tally).await;
        if name.kept {
            tally.kept.insert(pair.theirs.clone());
        }
        let random = self.with(name, &pair.random, tally).await;
        let contract = &self.stage.contract;
        let swapped = pair.swaps.iter().fold(theirs, |reply, (text, by)| reply.with_replaced(text, by));
        let alike = match (&swapped.answer, &random.answer) {
            (Ok(one), Ok(other)) => {
                contract.shown(self.row.rpc, one, &pair.swaps) == contract.shown(self.row.rpc, other, &[])
            }
            _ => swapped == random,
        };
        tally.expect(alike, || {
            let title = self.title(name.field);
            let (theirs, nobodys) = (swapped.told(), random.told());
            format!("{title}: {} beside {}:\n  {theirs}\n  {nobodys}", pair.theirs, pair.random)
        });
    }

    /// What is no name is refused, and the field named.
    async fn refuses(&self, name: &Name, text: &str, tally: &mut Tally) {
        let reply = self.with(name, text, tally).await;
        let named = match &reply.answer {
            Err(refusal) => {
                refusal.code == Code::InvalidArgument && refusal.fields.iter().any(|field| field == name.told)
            }
            // An item of a batch.
            Ok(answer) => {
                let shown = self.stage.contract.shown(self.row.rpc, answer, &[]);
                shown.contains(&format!("field: String(\"{}\")", name.told)) && shown.contains("code: 3 ")
            }
        };
        tally.expect(named, || {
            let shown =
                reply.answer.as_ref().map(|answer| self.stage.contract.shown(self.row.rpc, answer, &[]));
            format!("{}: {text:?} is answered with {shown:?}", self.title(name.field))
        });
    }

    async fn judge(&self, first: bool, tally: &mut Tally) {
        let own = self.answer(self.request().await, "", tally).await;
        tally.expect(own.answer.is_ok(), || format!("{}: {own:?}", self.title("what is one's own")));
        tally.own += 1;
        let Stage { theirs, mine, .. } = self.stage;
        let any = matches!(self.caller, Caller::Any(_));
        for name in self.row.names {
            // What can be used once is used by the first.
            if first || !matches!(name.what, What::Key(_)) {
                for pair in name.what.foreign(self.row.rpc, theirs, mine, any) {
                    self.compare(name, &pair, tally).await;
                    tally.foreign += 1;
                }
            }
            if let Some(pair) = name.what.deleted(mine) {
                self.compare(name, &pair, tally).await;
                tally.deleted += 1;
            }
            // What is no name is none whoever says it.
            if name.ignored || !first {
                continue;
            }
            let nothing = (!name.optional).then(String::new);
            for text in name.what.malformed(mine).into_iter().chain(nothing) {
                self.refuses(name, &text, tally).await;
                tally.malformed += 1;
            }
        }
    }
}

async fn what_is_another_accounts_is_answered_as_what_is_nobodys_in_every_rpc(backend: Backend) {
    let receiver = Receiver::start().await;
    let house = House::open(backend).await;
    let theirs = Account::furnish(&house, THEIRS, CANARY, receiver.url("/canary/")).await;
    let mine = Account::furnish(&house, MINE, "plain", receiver.url("/plain/")).await;
    let secrets = theirs.secrets(&house).await;
    assert!(secrets.len() > 20, "ids, the account's name and the word in its texts: {secrets:?}");
    let before = theirs.read_back(&house).await;
    let delivered = theirs_delivered(&receiver);
    let stage = Stage { house, contract: Contract::read(), theirs, mine, secrets };

    let mut tally = Tally::default();
    for row in rows() {
        for listener in Listener::ALL {
            for (place, caller) in row.lets_in(listener).unwrap_or_default().iter().enumerate() {
                let call = Call { stage: &stage, row, listener, caller: *caller };
                Box::pin(call.judge(place == 0, &mut tally)).await;
            }
        }
    }
    let Tally { own, foreign, deleted, malformed, faults, .. } = tally;
    println!(
        "tenancy on {backend:?}: {} rows; {own} own, {foreign} foreign, {deleted} deleted, {malformed} malformed; {} differ",
        rows().count(),
        faults.len()
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let Stage { house, theirs, .. } = stage;
    assert_eq!(theirs.read_back(&house).await, before, "the other account is as it was");
    assert_eq!(theirs_delivered(&receiver), delivered, "and nothing was sent for it");
    house.close().await;
}

fn theirs_delivered(receiver: &Receiver) -> usize {
    receiver.hits().iter().filter(|hit| hit.path().contains(CANARY)).count()
}
