//! Webhooks: made once, listed in order, changed under their etag, their secrets sealed.

use sluice_domain::{Secret, Span};
use sluice_registry::authentication::Authentication;
use sluice_registry::error::Error;
use sluice_registry::limits::Limits;
use sluice_registry::seal::MasterKeys;
use sluice_registry::store::{Creation, Filter, Setup, Store};
use sluice_registry::webhook::{Change, Kind, State};
use sluice_storage::{Query as _, Row};
use sluice_testkit::{TestDatabase, on_each_backend};

use super::makers::{account, admin, creation, draft, member, open, open_with, put, setup};

async fn advanced(db: &TestDatabase) -> Store {
    let store = open(db).await;
    for name in ["acme", "other"] {
        store.put_entitlements(&account(name), &put("advanced", 1)).await.unwrap();
    }
    store
}

fn with_id(display_name: &str, request_id: &str) -> Creation {
    Creation {
        request_id: Some(request_id.parse().unwrap()),
        ..creation("acme", Kind::Automation, display_name)
    }
}

#[tokio::test]
async fn a_webhook_reads_back_as_it_was_made() {
    on_each_backend(|db| async move {
        let store = advanced(&db).await;
        for (kind, name) in [(Kind::Automation, "Won"), (Kind::Event, "All")] {
            let made = store.create_webhook(&admin(), &creation("acme", kind, name)).await.unwrap().webhook;
            assert_eq!(store.webhook(&account("acme"), made.id, &admin()).await.unwrap(), made);
            assert_eq!((made.version, made.owner_is_admin, made.created_at), (1, true, db.time.now()));
        }
    })
    .await;
}

#[tokio::test]
async fn a_foreign_webhook_is_refused_as_one_that_never_was() {
    on_each_backend(|db| async move {
        let (store, other) = (advanced(&db).await, account("other"));
        let foreign =
            store.create_webhook(&admin(), &creation("acme", Kind::Event, "w")).await.unwrap().webhook;
        let never = sluice_domain::WebhookId::mint(db.time.now(), [9; 10]);
        let mut said = Vec::new();
        for id in [foreign.id, never] {
            let refusals = [
                store.webhook(&other, id, &admin()).await.unwrap_err(),
                store.update_webhook(&admin(), &other, id, None, &Change::default()).await.unwrap_err(),
                store.delete_webhook(&admin(), &other, id, None).await.unwrap_err(),
                store.target(&other, id).await.unwrap_err(),
            ];
            said.push(
                refusals.map(|error| (error.reason(), error.to_string().replace(&id.to_string(), "ID"))),
            );
        }
        assert_eq!(said[0], said[1]);
    })
    .await;
}

#[tokio::test]
async fn names_are_unique_in_an_account_and_free_in_the_next() {
    on_each_backend(|db| async move {
        let store = advanced(&db).await;
        let first = creation("acme", Kind::Automation, "Won");
        let made = store.create_webhook(&admin(), &first).await.unwrap().webhook;
        let taken = store.create_webhook(&admin(), &creation("acme", Kind::Event, "Won")).await;
        assert!(matches!(taken, Err(Error::NameTaken(name)) if name == "Won"));
        store.create_webhook(&admin(), &creation("other", Kind::Event, "Won")).await.unwrap();

        let second =
            store.create_webhook(&admin(), &creation("acme", Kind::Event, "won")).await.unwrap().webhook;
        let rename = Change { display_name: Some("Won".parse().unwrap()), ..Change::default() };
        let taken = store.update_webhook(&admin(), &account("acme"), second.id, None, &rename).await;
        assert!(matches!(taken, Err(Error::NameTaken(_))));
        store.update_webhook(&admin(), &account("acme"), made.id, None, &rename).await.unwrap();
        store.delete_webhook(&admin(), &account("acme"), made.id, None).await.unwrap();
        store.update_webhook(&admin(), &account("acme"), second.id, None, &rename).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn pages_are_by_key_oldest_first_and_show_what_the_caller_may_see() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let mut ids = Vec::new();
        for at in 0..5 {
            db.time.advance(Span::from_secs(1)).await;
            let (caller, kind) =
                if at % 2 == 0 { (admin(), Kind::Automation) } else { (member("ann"), Kind::Event) };
            let made = store.create_webhook(&caller, &creation("acme", kind, &format!("w{at}"))).await;
            ids.push(made.unwrap().webhook.id);
        }
        let list = async |caller, filter: Filter, last, limit| {
            let page = store.webhooks(&acme, &caller, &filter, last, limit).await.unwrap();
            page.into_iter().map(|webhook| webhook.id).collect::<Vec<_>>()
        };
        assert_eq!(list(admin(), Filter::default(), None, 3).await, ids[..3]);
        assert_eq!(list(admin(), Filter::default(), Some(ids[2]), 3).await, ids[3..]);
        assert_eq!(list(member("bob"), Filter::default(), None, 9).await, [ids[0], ids[2], ids[4]]);
        assert_eq!(list(member("ann"), Filter::default(), None, 9).await, ids);
        let events = Filter { kind: Some(Kind::Event), display_name: None };
        assert_eq!(list(admin(), events, None, 9).await, [ids[1], ids[3]]);
        let named = Filter { kind: None, display_name: Some("w4".parse().unwrap()) };
        assert_eq!(list(member("bob"), named, None, 9).await, [ids[4]]);
        let hidden = Filter { kind: None, display_name: Some("w3".parse().unwrap()) };
        assert!(list(member("bob"), hidden, None, 9).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_update_under_an_old_etag_changes_nothing() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let made = store.create_webhook(&admin(), &creation("acme", Kind::Event, "w")).await.unwrap().webhook;
        let off = Change { state: Some(State::Disabled), ..Change::default() };
        let etag = made.etag();
        let changed = store.update_webhook(&admin(), &acme, made.id, Some(&etag), &off).await.unwrap();
        assert_eq!((changed.state(), changed.version), (State::Disabled, 2));
        let late = store.update_webhook(&admin(), &acme, made.id, Some(&etag), &off).await;
        assert!(matches!(late, Err(Error::EtagMismatch)));
        let late = store.delete_webhook(&admin(), &acme, made.id, Some(&etag)).await;
        assert!(matches!(late, Err(Error::EtagMismatch)));
        assert_eq!(store.webhook(&acme, made.id, &admin()).await.unwrap(), changed);
    })
    .await;
}

#[tokio::test]
async fn of_racing_updates_under_one_etag_exactly_one_wins() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let made = store.create_webhook(&admin(), &creation("acme", Kind::Event, "w")).await.unwrap().webhook;
        let updates = (0..8).map(|at| {
            let (store, acme, made) = (store.clone(), acme.clone(), made.clone());
            tokio::spawn(async move {
                let name = format!("w{at}");
                let change = Change { display_name: Some(name.parse().unwrap()), ..Change::default() };
                store.update_webhook(&admin(), &acme, made.id, Some(&made.etag()), &change).await.is_ok()
            })
        });
        let mut won = 0;
        for ended in updates.collect::<Vec<_>>() {
            won += usize::from(ended.await.unwrap());
        }
        assert_eq!(won, 1);
        assert_eq!(store.webhook(&acme, made.id, &admin()).await.unwrap().version, 2);
    })
    .await;
}

#[tokio::test]
async fn a_target_has_its_secrets_in_clear_and_keeps_them_through_other_changes() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let created = store.create_webhook(&admin(), &creation("acme", Kind::Event, "w")).await.unwrap();
        let (id, secret) = (created.webhook.id, created.signing.reveal());
        let off = Change { state: Some(State::Disabled), ..Change::default() };
        store.update_webhook(&admin(), &acme, id, None, &off).await.unwrap();
        let target = store.target(&acme, id).await.unwrap();
        let (header, value) = target.header.unwrap();
        assert_eq!((header.as_str(), value.expose()), ("Authorization", "Bearer token-1"));
        assert_eq!(target.signing_secrets, [Secret::new(secret.as_str())]);
        assert_eq!((target.webhook.state(), target.webhook.version), (State::Disabled, 2));

        let none = Change { authentication: Some(Authentication::none()), ..Change::default() };
        store.update_webhook(&admin(), &acme, id, None, &none).await.unwrap();
        assert!(store.target(&acme, id).await.unwrap().header.is_none());
        store.delete_webhook(&admin(), &acme, id, None).await.unwrap();
        assert!(matches!(store.target(&acme, id).await, Err(Error::NotFound { .. })));
    })
    .await;
}

#[tokio::test]
async fn what_an_old_key_sealed_opens_while_that_key_is_configured() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let id =
            store.create_webhook(&admin(), &creation("acme", Kind::Event, "w")).await.unwrap().webhook.id;
        let key = |id, fill| MasterKeys::encode(id, &[fill; 32]).expose().to_owned();
        let keys = |text: String| Setup { keys: MasterKeys::parse(&Secret::new(text)).unwrap(), ..setup() };

        let both = open_with(db.database(), keys(format!("{}\n{}", key(1, 7), key(2, 8)))).await;
        assert!(both.target(&acme, id).await.unwrap().header.is_some());
        let fresh =
            both.create_webhook(&admin(), &creation("acme", Kind::Event, "x")).await.unwrap().webhook.id;

        let newest = open_with(db.database(), keys(key(2, 8))).await;
        assert!(newest.target(&acme, fresh).await.is_ok());
        assert!(matches!(newest.target(&acme, id).await, Err(Error::CredentialsUnreadable(_))));
    })
    .await;
}

#[tokio::test]
async fn a_sealed_secret_moved_to_another_row_does_not_open() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let one =
            store.create_webhook(&admin(), &creation("acme", Kind::Event, "1")).await.unwrap().webhook.id;
        let two =
            store.create_webhook(&admin(), &creation("acme", Kind::Event, "2")).await.unwrap().webhook.id;
        let transaction = db.database().write("test").await.unwrap();
        let moved =
            "UPDATE webhooks SET credential = (SELECT credential FROM webhooks WHERE id = $1) WHERE id = $2";
        let ids = vec![one.to_bytes().to_vec().into(), two.to_bytes().to_vec().into()];
        assert_eq!(transaction.execute(moved, ids).await.unwrap(), 1);
        transaction.commit().await.unwrap();
        assert!(store.target(&acme, one).await.is_ok());
        assert!(matches!(store.target(&acme, two).await, Err(Error::CredentialsUnreadable(_))));
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_gets_its_first_answer_for_a_day() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let first = store.create_webhook(&admin(), &with_id("w", "r1")).await.unwrap();
        db.time.advance(Span::from_secs(24 * 60 * 60 - 1)).await;
        let again = store.create_webhook(&admin(), &with_id("w", "r1")).await.unwrap();
        assert_eq!(again.webhook, first.webhook);
        assert_eq!(again.signing.bytes(), first.signing.bytes());

        let other = store.create_webhook(&admin(), &with_id("v", "r1")).await;
        assert!(matches!(other, Err(Error::RequestIdReused)));
        let somebody = sluice_registry::access::Caller::Admin("else".parse().unwrap());
        let other = store.create_webhook(&somebody, &with_id("w", "r1")).await;
        assert!(matches!(other, Err(Error::RequestIdReused)));

        store.delete_webhook(&admin(), &acme, first.webhook.id, None).await.unwrap();
        let gone = store.create_webhook(&admin(), &with_id("w", "r1")).await;
        assert!(matches!(gone, Err(Error::NotFound { .. })));
        db.time.advance(Span::from_secs(2)).await;
        let fresh = store.create_webhook(&admin(), &with_id("w", "r1")).await.unwrap();
        assert_ne!(fresh.webhook.id, first.webhook.id);
    })
    .await;
}

#[tokio::test]
async fn forgotten_request_ids_are_taken_away() {
    on_each_backend(|db| async move {
        let store = advanced(&db).await;
        for at in 0..3 {
            store.create_webhook(&admin(), &with_id(&format!("w{at}"), &format!("r{at}"))).await.unwrap();
        }
        db.time.advance(Span::from_secs(24 * 60 * 60)).await;
        store.create_webhook(&admin(), &with_id("last", "r9")).await.unwrap();
        let rows = db.database().read().all("SELECT request_id FROM requests", vec![]).await.unwrap();
        let left: Vec<String> = rows.iter().map(|row: &Row| row.at(0).unwrap()).collect();
        assert_eq!(left, ["r9"]);
    })
    .await;
}

#[tokio::test]
async fn a_given_signing_secret_is_the_one_that_signs() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let given = Creation {
            signing: Some(sluice_signing::Secret::parse(text).unwrap()),
            draft: draft(Kind::Event, "w"),
            ..creation("acme", Kind::Event, "w")
        };
        let id = store.create_webhook(&admin(), &given).await.unwrap().webhook.id;
        assert_eq!(store.target(&acme, id).await.unwrap().signing_secrets, [Secret::new(text)]);
    })
    .await;
}

#[tokio::test]
async fn an_admin_who_became_a_member_loses_sight_with_the_next_write() {
    on_each_backend(|db| async move {
        let (store, acme) = (advanced(&db).await, account("acme"));
        let made = store.create_webhook(&admin(), &creation("acme", Kind::Event, "w")).await.unwrap().webhook;
        let by_another = Change { state: Some(State::Disabled), ..Change::default() };
        let other_admin = sluice_registry::access::Caller::Admin("else".parse().unwrap());
        let held = store.update_webhook(&other_admin, &acme, made.id, None, &by_another).await.unwrap();
        assert!(held.owner_is_admin);

        let demoted = member("root");
        let held = store.update_webhook(&demoted, &acme, made.id, None, &by_another).await.unwrap();
        assert!(!held.owner_is_admin);
        assert_eq!(store.webhook(&acme, made.id, &demoted).await.unwrap(), held);
    })
    .await;
}

#[tokio::test]
async fn as_many_webhooks_are_made_as_the_limits_allow() {
    on_each_backend(|db| async move {
        let limits = Limits { event_webhooks: 3, event_webhooks_per_member: 2, automation_webhooks: 1 };
        let store = open_with(db.database(), Setup { limits, ..setup() }).await;
        let acme = account("acme");
        for name in ["acme", "other"] {
            store.put_entitlements(&account(name), &put("advanced", 1)).await.unwrap();
        }
        let (ann, bob, root) = (member("ann"), member("bob"), admin());
        let make = async |caller, kind, name: &str| {
            store.create_webhook(caller, &creation("acme", kind, name)).await.map(|made| made.webhook.id)
        };
        let reached = |made: Result<_, Error>| match made {
            Err(Error::LimitReached(reached)) => (reached.limit, reached.used, reached.of),
            Err(error) => panic!("{error:?}"),
            Ok(_) => panic!("made beyond the limit"),
        };
        let first = make(&ann, Kind::Event, "1").await.unwrap();
        make(&ann, Kind::Event, "2").await.unwrap();
        let refused = reached(make(&ann, Kind::Event, "3").await);
        assert_eq!(refused, ("event_webhooks_per_member", 2, 2));
        make(&bob, Kind::Event, "3").await.unwrap();
        assert_eq!(reached(make(&bob, Kind::Event, "4").await), ("event_webhooks", 3, 3));
        assert_eq!(reached(make(&root, Kind::Event, "4").await), ("event_webhooks", 3, 3));
        make(&root, Kind::Automation, "5").await.unwrap();
        assert_eq!(reached(make(&root, Kind::Automation, "6").await), ("automation_webhooks", 1, 1));

        store.delete_webhook(&ann, &acme, first, None).await.unwrap();
        make(&ann, Kind::Event, "4").await.unwrap();
        store.create_webhook(&ann, &creation("other", Kind::Event, "1")).await.unwrap();
    })
    .await;
}
