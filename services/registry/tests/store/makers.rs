//! What the cases are made of.

use sluice_domain::{AccountId, Secret, Span, Subscription, Timestamp, UserId};
use sluice_registry::access::Caller;
use sluice_registry::authentication::Authentication;
use sluice_registry::endpoint::Endpoint;
use sluice_registry::entitlements::Put;
use sluice_registry::limits::Limits;
use sluice_registry::plans;
use sluice_registry::seal::MasterKeys;
use sluice_registry::store::{Creation, Setup, Store, Watching};
use sluice_registry::webhook::{Draft, Kind, Ordering, State};
use sluice_runtime::Entropy;
use sluice_storage::Database;
use sluice_testkit::TestDatabase;

pub(crate) fn setup() -> Setup {
    Setup {
        catalogue: plans::shipped().unwrap(),
        default_plan: None,
        keys: MasterKeys::parse(&MasterKeys::encode(1, &[7; 32])).unwrap(),
        entropy: Entropy::system(),
        keep_changes: 100_000,
        limits: Limits::default(),
    }
}

pub(crate) async fn open(db: &TestDatabase) -> Store {
    open_with(db.database(), setup()).await
}

pub(crate) async fn open_with(database: &Database, setup: Setup) -> Store {
    Store::open(database.clone(), setup).await.unwrap()
}

pub(crate) fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub(crate) fn admin() -> Caller {
    Caller::Admin(user("root"))
}

pub(crate) fn member(name: &str) -> Caller {
    Caller::Member(user(name))
}

pub(crate) fn put(plan: &str, version: i64) -> Put {
    Put { plan: plan.to_owned(), version, anchor: Timestamp::EPOCH }
}

pub(crate) fn draft(kind: Kind, display_name: &str) -> Draft {
    Draft {
        kind,
        display_name: display_name.parse().unwrap(),
        endpoint: Endpoint::stored("https://hooks.example.com/in".to_owned()),
        authentication: Authentication::bearer(Secret::new("token-1")).unwrap(),
        subscription: (kind == Kind::Event).then(|| Subscription { object: None, actions: vec![] }),
        state: State::Enabled,
        limits: sluice_domain::ReceiverLimits::default(),
        ordering: Ordering::None,
    }
}

pub(crate) fn creation(name: &str, kind: Kind, display_name: &str) -> Creation {
    Creation { account: account(name), draft: draft(kind, display_name), signing: None, request_id: None }
}

pub(crate) fn watching(db: &TestDatabase) -> Watching {
    Watching { clock: db.time.clock(), poll: Span::from_secs(1), page: 2 }
}
