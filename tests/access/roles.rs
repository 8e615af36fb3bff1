//! Role × RPC: everybody there is calls every RPC on every listener. Who may stands in the rows, by hand; what came of it stands in
//! `roles.txt`, so that a change shows in review.

use std::fmt::Write as _;

use sluice_testkit::Receiver;
use sluice_tests::{Backend, on_each_backend};
use tonic::Code;

use super::accounts::{Account, Asked, MINE, THEIRS};
use super::callers::{Caller, Grant};
use super::contract::Contract;
use super::door::Listener;
use super::house::House;
use super::reply::Reply;
use super::rows::{Row, Stranger, rows};

on_each_backend!(every_caller_gets_what_the_table_says_of_every_rpc_at_every_listener);

/// The table as it was last looked at.
const GOLDEN: &str = include_str!("roles.txt");

/// What a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// What it asked for.
    Answered,
    /// That a token is needed, or another one.
    TokenNeeded,
    /// That its roles and scopes do not open this.
    RoleDenied,
    /// That a global admin may.
    AdminNeeded,
    /// That the token is not for this account.
    AccountDenied,
    /// That there is no such thing.
    NotFound,
    /// That there is no such RPC.
    NotServed,
}

impl Outcome {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Answered, "yes", "OK"),
        (Self::TokenNeeded, "tokn", "UNAUTHENTICATED"),
        (Self::RoleDenied, "role", "PERMISSION_DENIED, metadata `method`: roles and scopes do not open it"),
        (Self::AdminNeeded, "admn", "PERMISSION_DENIED, reason GLOBAL_ADMIN_REQUIRED"),
        (
            Self::AccountDenied,
            "acct",
            "PERMISSION_DENIED, metadata `account`: the token is for another account, or for none",
        ),
        (Self::NotFound, "404", "NOT_FOUND"),
        (Self::NotServed, "-", "UNIMPLEMENTED, reason METHOD_UNKNOWN"),
    ];

    /// By hand, from product.md and contracts.md.
    fn expected(row: &Row, listener: Listener, caller: Caller) -> Self {
        let Some(lets_in) = row.lets_in(listener) else { return Self::NotServed };
        match caller {
            _ if lets_in.contains(&caller) => Self::Answered,
            Caller::NoToken | Caller::Garbage | Caller::Expired => Self::TokenNeeded,
            // What tells of every account is for those who serve every account.
            Caller::Foreigner | Caller::Homeless if row.whose.is_empty() => Self::RoleDenied,
            Caller::Foreigner | Caller::Homeless if !lets_in.is_empty() => match row.stranger {
                Stranger::IsTold => Self::AccountDenied,
                Stranger::FindsNothing => Self::NotFound,
            },
            Caller::Of(Grant::Role(_)) | Caller::Any(Grant::Role(_))
                if row.admins_only && !lets_in.is_empty() =>
            {
                Self::AdminNeeded
            }
            _ => Self::RoleDenied,
        }
    }

    /// What a reply is; text when it is none of these.
    fn of(reply: &Reply) -> Result<Self, String> {
        let Some(refusal) = reply.refusal() else { return Ok(Self::Answered) };
        let keys: Vec<&str> = refusal.metadata.keys().map(String::as_str).collect();
        match (refusal.code, refusal.reason.as_str(), &keys[..]) {
            (Code::Unauthenticated, "UNAUTHENTICATED", []) => Ok(Self::TokenNeeded),
            (Code::PermissionDenied, "PERMISSION_DENIED", ["method"]) => Ok(Self::RoleDenied),
            (Code::PermissionDenied, "PERMISSION_DENIED", ["account"]) => Ok(Self::AccountDenied),
            (Code::PermissionDenied, "GLOBAL_ADMIN_REQUIRED", []) => Ok(Self::AdminNeeded),
            (Code::NotFound, "NOT_FOUND", ["resource_name", "resource_type"]) => Ok(Self::NotFound),
            (Code::Unimplemented, "METHOD_UNKNOWN", []) => Ok(Self::NotServed),
            _ => Err(reply.told()),
        }
    }

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(outcome, ..)| *outcome == self).map_or("?", |(_, word, _)| word)
    }
}

/// A house with an account that everybody calls about.
struct Stage {
    house: House,
    contract: Contract,
    account: Account,
}

impl Stage {
    /// What a request of the row is answered to this caller.
    async fn call(&self, row: &Row, listener: Listener, caller: Caller, request: Vec<u8>) -> Reply {
        let authorization = caller.authorization(&self.house.mint, MINE, THEIRS);
        self.house.door(listener).call(row.rpc, &authorization, request).await
    }

    /// A request that is in order, and uses nothing up.
    fn plain(&self, row: &Row) -> Vec<u8> {
        (row.request)(&Asked { account: &self.account, fresh: "" })
    }

    /// What of a request is looked at before it is known that the caller may not: as little as says whose it is.
    fn broken(&self, row: &Row, outcome: Outcome) -> Vec<Vec<u8>> {
        let whose = || self.contract.only(row.rpc, &self.plain(row), row.whose);
        match outcome {
            // Its handler asks for more than the door does, which the message passes first.
            Outcome::RoleDenied if row.whose.is_empty() => vec![Vec::new()],
            Outcome::TokenNeeded | Outcome::RoleDenied | Outcome::NotServed => {
                // Nothing, and what is no message.
                vec![Vec::new(), vec![0xff; 7]]
            }
            // The kind of the webhook decides.
            Outcome::AdminNeeded if !row.case.is_empty() => Vec::new(),
            Outcome::AdminNeeded => vec![Vec::new(), whose()],
            Outcome::AccountDenied | Outcome::NotFound => {
                let names = row.names.iter().filter(|name| name.field != row.whose && !name.ignored);
                let nonsense =
                    names.map(|name| self.contract.with(row.rpc, &self.plain(row), name.field, "!"));
                nonsense.chain([whose()]).collect()
            }
            Outcome::Answered => Vec::new(),
        }
    }
}

/// Rows and callers by listener, with what each got.
#[derive(Debug, Default)]
struct Table {
    lines: Vec<(String, Vec<&'static str>)>,
}

impl Table {
    fn write(&self) -> String {
        let mut text = String::new();
        let titles = self.lines.iter().map(|(title, _)| title.len()).max().unwrap_or_default();
        for place in 0..2 {
            let heads = Caller::ALL.iter().map(|caller| format!("{:>5}", caller.head()[place]));
            let _ = writeln!(text, "{:titles$}{}", "", heads.collect::<String>());
        }
        for (title, cells) in &self.lines {
            let cells: String = cells.iter().map(|cell| format!("{cell:>5}")).collect();
            let _ = writeln!(text, "{title:titles$}{cells}");
        }
        text.push('\n');
        for (_, word, meaning) in Outcome::ALL {
            let _ = writeln!(text, "{word:5} {meaning}");
        }
        text
    }
}

async fn every_caller_gets_what_the_table_says_of_every_rpc_at_every_listener(backend: Backend) {
    let receiver = Receiver::start().await;
    let house = House::open(backend).await;
    house.admit(THEIRS).await;
    let account = Account::furnish(&house, MINE, "plain", receiver.url("/plain/")).await;
    let stage = Stage { house, contract: Contract::read(), account };
    let before = stage.account.read_back(&stage.house).await;

    // First all who may not: nothing changes by them.
    let (mut faults, mut refused, mut answered) = (Vec::new(), 0, 0);
    for (row, listener, caller) in cells() {
        let expected = Outcome::expected(row, listener, caller);
        if expected == Outcome::Answered {
            continue;
        }
        for request in std::iter::once(stage.plain(row)).chain(stage.broken(row, expected)) {
            let size = request.len();
            let seen = Outcome::of(&stage.call(row, listener, caller, request).await);
            refused += 1;
            if seen != Ok(expected) {
                let title = row.title();
                faults.push(format!(
                    "{title} at {} by {caller:?}, {size} bytes: {expected:?} expected, {seen:?} seen",
                    listener.name()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(stage.account.read_back(&stage.house).await, before, "who is refused changes nothing");

    let mut table = Table::default();
    for listener in Listener::ALL {
        for row in rows() {
            let mut cells = Vec::new();
            for caller in Caller::ALL {
                let expected = Outcome::expected(row, listener, caller);
                let request = match expected {
                    Outcome::Answered => {
                        answered += 1;
                        let fresh = stage.account.fresh(&stage.house, row.needs).await;
                        (row.request)(&Asked { account: &stage.account, fresh: &fresh })
                    }
                    _ => stage.plain(row),
                };
                let reply = stage.call(row, listener, caller, request).await;
                let seen = Outcome::of(&reply);
                if expected == Outcome::Answered && seen != Ok(expected) {
                    faults.push(format!("{} at {} by {caller:?}: {seen:?}", row.title(), listener.name()));
                }
                cells.push(seen.map_or("?", Outcome::word));
            }
            if cells.iter().any(|cell| *cell != "-") {
                table.lines.push((format!("{} {}", listener.name(), row.title()), cells));
            }
        }
    }
    let text = table.write();
    println!("roles on {backend:?}: {answered} answered, {refused} refused, {} differ\n{text}", faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(text, GOLDEN, "tests/access/roles.txt is another table: is the change meant?");
    stage.house.close().await;
}

/// Every cell of the table.
fn cells() -> impl Iterator<Item = (&'static Row, Listener, Caller)> {
    Listener::ALL.into_iter().flat_map(|listener| {
        rows().flat_map(move |row| Caller::ALL.into_iter().map(move |caller| (row, listener, caller)))
    })
}
