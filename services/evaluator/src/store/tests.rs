//! The store's cases, each on both backends.

use sluice_domain::{AccountId, AutomationId, Span, WebhookId};
use sluice_storage::Database;
use sluice_testkit::{TestDatabase, on_each_backend};

use super::*;
use crate::automation::tests::definition;
use crate::automation::{Definition, Stop};

const MANY: u32 = 1_000;

fn acme() -> AccountId {
    "acme".parse().unwrap()
}

async fn open(db: &TestDatabase) -> Store {
    Store::open(db.database().clone()).await.unwrap()
}

fn new(number: u8, db: &TestDatabase) -> Automation {
    let owner = "u1".parse().unwrap();
    Automation::create(AutomationId::from_bytes([number; 16]), acme(), definition(), owner, db.time.now())
}

fn change<'a>(before: &'a Automation, after: Option<&'a Automation>) -> Change<'a> {
    Change { before, after, stop: None, most_active: None }
}

async fn activated(store: &Store, before: &Automation, most: u32) -> (Automation, Changed) {
    let after = before.clone().activated(before.updated_at);
    let change = Change { most_active: Some(most), ..change(before, Some(&after)) };
    let changed = store.change(change).await.unwrap();
    (after, changed)
}

fn request(id: &str, digest: u8) -> CreateRequest {
    CreateRequest { id: id.to_owned(), digest: [digest; 32] }
}

#[tokio::test]
async fn what_was_stored_is_read_back_by_its_account_only() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        let automation = new(1, &db);
        assert_eq!(store.create(&automation, None, MANY).await.unwrap(), Created::Done(1));
        assert_eq!(store.get(&acme(), automation.id).await.unwrap(), Some(automation.clone()));
        assert_eq!(store.get(&"other".parse().unwrap(), automation.id).await.unwrap(), None);
        assert_eq!(Store::open(Database::clone(db.database())).await.unwrap().revision().await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn pages_go_on_after_the_key_and_filters_hold() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        let other_webhook = WebhookId::from_bytes([9; 16]);
        for number in 1..=5 {
            let mut automation = new(number, &db);
            if number == 4 {
                let text = serde_json::to_string(&definition()).unwrap();
                let text = text.replace("wh_01h455vb4pex5vsknk084sn02q", &other_webhook.to_string());
                automation.definition = serde_json::from_str::<Definition>(&text).unwrap();
            }
            store.create(&automation, None, MANY).await.unwrap();
        }
        activated(&store, &new(2, &db), 50).await;
        let list = async |filter, after, limit| -> Vec<u8> {
            let found = store.list(&acme(), filter, after, limit).await.unwrap();
            found.automations.iter().map(|automation| automation.id.to_bytes()[0]).collect()
        };
        assert_eq!(list(Filter::default(), None, 3).await, [1, 2, 3]);
        assert_eq!(list(Filter::default(), Some(AutomationId::from_bytes([3; 16])), 3).await, [4, 5]);
        let active = Filter { state: Some(AutomationState::Active), webhook: None };
        assert_eq!(list(active, None, 10).await, [2]);
        let naming = Filter { state: None, webhook: Some(other_webhook) };
        assert_eq!(list(naming, None, 10).await, [4]);
        store
            .change(change(
                &store.get(&acme(), AutomationId::from_bytes([4; 16])).await.unwrap().unwrap(),
                None,
            ))
            .await
            .unwrap();
        assert_eq!(list(naming, None, 10).await, [0; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_change_that_was_overtaken_does_nothing() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        let first = new(1, &db);
        store.create(&first, None, MANY).await.unwrap();
        let edited = first.clone().edited(definition(), db.time.now());
        assert_eq!(store.change(change(&first, Some(&edited))).await.unwrap(), Changed::Done(2));
        assert_eq!(store.change(change(&first, Some(&edited))).await.unwrap(), Changed::Overtaken);
        assert_eq!(store.change(change(&first, None)).await.unwrap(), Changed::Overtaken);
        assert_eq!(store.change(change(&edited, None)).await.unwrap(), Changed::Done(3));
        assert_eq!(store.get(&acme(), first.id).await.unwrap(), None);
        assert_eq!(store.revision().await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn activations_at_the_same_time_never_exceed_the_plan() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        for number in 1..=4 {
            store.create(&new(number, &db), None, MANY).await.unwrap();
        }
        let automations: Vec<Automation> = (1..=4).map(|number| new(number, &db)).collect();
        let all = automations.iter().map(|automation| activated(&store, automation, 2));
        let outcomes = futures_util::future::join_all(all).await;
        let done = outcomes.iter().filter(|(_, changed)| matches!(changed, Changed::Done(_))).count();
        let refused = outcomes.iter().filter(|(_, changed)| *changed == Changed::LimitReached(2)).count();
        assert_eq!((done, refused), (2, 2));
        assert_eq!(store.active(&acme()).await.unwrap().1.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_request_id_makes_one_automation_within_its_life() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        let first = new(1, &db);
        let made = request("r1", 7);
        assert_eq!(store.created_before(&acme(), &made, db.time.now()).await.unwrap(), None);
        assert!(matches!(store.create(&first, Some(&made), MANY).await.unwrap(), Created::Done(_)));
        let before = Created::Before(first.id, first.owner.clone(), first.created_at);
        assert_eq!(store.create(&new(2, &db), Some(&made), MANY).await.unwrap(), before);
        assert_eq!(store.created_before(&acme(), &made, db.time.now()).await.unwrap(), Some(before));
        assert_eq!(
            store.create(&new(2, &db), Some(&request("r1", 8)), MANY).await.unwrap(),
            Created::RequestIdReused
        );
        assert_eq!(store.get(&acme(), new(2, &db).id).await.unwrap(), None);
        db.time.advance(Span::from_secs(24 * 60 * 60)).await;
        assert!(matches!(
            store.create(&new(2, &db), Some(&request("r1", 8)), MANY).await.unwrap(),
            Created::Done(_)
        ));
    })
    .await;
}

#[tokio::test]
async fn every_change_moves_the_revision_of_its_account_alone() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        store.create(&new(1, &db), None, MANY).await.unwrap();
        let other = Automation { account: "other".parse().unwrap(), ..new(2, &db) };
        store.create(&other, None, MANY).await.unwrap();
        assert_eq!(store.changed_since(1).await.unwrap(), [(other.account.clone(), 2)]);
        let (_, changed) = activated(&store, &new(1, &db), 50).await;
        assert_eq!(changed, Changed::Done(3));
        assert_eq!(store.changed_since(2).await.unwrap(), [(acme(), 3)]);
        let (revision, active) = store.active(&acme()).await.unwrap();
        assert_eq!((revision, active.len(), active[0].generation), (3, 1, 1));
        assert_eq!(store.active(&"nobody".parse().unwrap()).await.unwrap(), (0, vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_stop_waits_until_it_arrived_and_not_longer() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        store.create(&new(1, &db), None, MANY).await.unwrap();
        let (active, _) = activated(&store, &new(1, &db), 50).await;
        let stop = active.stop().unwrap();
        let inactive = active.clone().deactivated(db.time.now());
        let deactivation = Change { stop: Some(&stop), ..change(&active, Some(&inactive)) };
        store.change(deactivation).await.unwrap();
        assert_eq!(store.stops(None, 10).await.unwrap(), std::slice::from_ref(&stop));
        assert_eq!(store.stops(Some(&stop), 10).await.unwrap(), []);

        let (again, _) = activated(&store, &inactive, 50).await;
        let later = again.stop().unwrap();
        store.change(Change { stop: Some(&later), ..change(&again, None) }).await.unwrap();
        store.stop_arrived(&stop).await.unwrap();
        assert_eq!(store.stops(None, 10).await.unwrap(), std::slice::from_ref(&later));
        assert_eq!(later.generation, 2);
        store.stop_arrived(&later).await.unwrap();
        assert_eq!(store.stops(None, 10).await.unwrap(), Vec::<Stop>::new());
    })
    .await;
}

#[tokio::test]
async fn a_stop_is_lost_with_the_change_that_failed() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        let never_stored = new(1, &db).activated(db.time.now());
        let stop = never_stored.stop().unwrap();
        let outcome =
            store.change(Change { stop: Some(&stop), ..change(&never_stored, None) }).await.unwrap();
        assert_eq!(outcome, Changed::Overtaken);
        assert_eq!(store.stops(None, 10).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_page_ends_at_three_mebibytes_and_the_next_one_goes_on() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        let bytes = 200 * 1024;
        for number in 1..=40 {
            let mut automation = new(number, &db);
            automation.definition.display_name = "x".repeat(bytes);
            store.create(&automation, None, MANY).await.unwrap();
        }
        let mut seen = Vec::new();
        loop {
            let after = seen.last().map(|automation: &Automation| automation.id);
            let page = store.list(&acme(), Filter::default(), after, 1_000).await.unwrap();
            assert!(!page.automations.is_empty() && page.automations.len() * bytes <= 3 * 1024 * 1024);
            seen.extend(page.automations);
            if !page.more {
                break;
            }
        }
        let numbers: Vec<u8> = seen.iter().map(|automation| automation.id.to_bytes()[0]).collect();
        assert_eq!(numbers, (1..=40).collect::<Vec<u8>>());
        let page = store.list(&acme(), Filter::default(), None, 2).await.unwrap();
        assert!(page.more && page.automations.len() == 2);
    })
    .await;
}

#[tokio::test]
async fn creations_at_the_same_time_never_exceed_the_accounts_number() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        let automations: Vec<Automation> = (1..=4).map(|number| new(number, &db)).collect();
        let made = request("r1", 7);
        store.create(&automations[0], Some(&made), 2).await.unwrap();
        let all = automations[1..].iter().map(|automation| store.create(automation, None, 2));
        let outcomes = futures_util::future::join_all(all).await;
        let done = outcomes.iter().filter(|made| matches!(made, Ok(Created::Done(_)))).count();
        let refused = outcomes.iter().filter(|made| matches!(made, Ok(Created::LimitReached(2)))).count();
        assert_eq!((done, refused), (1, 2));
        assert!(matches!(store.create(&new(5, &db), Some(&made), 2).await.unwrap(), Created::Before(..)));
        let other = Automation { account: "other".parse().unwrap(), ..new(6, &db) };
        assert!(matches!(store.create(&other, None, 2).await.unwrap(), Created::Done(_)));
    })
    .await;
}
