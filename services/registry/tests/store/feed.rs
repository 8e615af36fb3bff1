//! The feed: the present state, then every change once it is committed, in commit order, as the record is now.

use std::collections::HashMap;

use sluice_domain::Span;
use sluice_registry::error::Error;
use sluice_registry::feed::{Change as Told, Subject};
use sluice_registry::store::{Setup, Watch};
use sluice_registry::webhook::{Change, Kind, State};
use sluice_testkit::on_each_backend;

use super::makers::{account, admin, creation, open, open_with, put, setup, watching};

async fn until_synced(watch: &mut Watch) -> Vec<Told> {
    let mut told = Vec::new();
    loop {
        let change = watch.next().await.unwrap();
        if change.subject == Subject::Synced {
            return told;
        }
        told.push(change);
    }
}

fn word(told: &Told) -> String {
    match &told.subject {
        Subject::Account(account) => format!("{} {}", account.id, account.entitlements.plan),
        Subject::Webhook(webhook) => format!("{} {}", webhook.display_name, webhook.state().as_str()),
        Subject::Deleted(account, _) => format!("{account} lost one"),
        Subject::Synced => "synced".to_owned(),
    }
}

#[tokio::test]
async fn a_fresh_watcher_gets_the_present_state_then_what_happens() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        for name in ["c", "a", "b"] {
            store.put_entitlements(&account(name), &put("advanced", 1)).await.unwrap();
        }
        for name in ["a", "b", "c"] {
            store.create_webhook(&admin(), &creation(name, Kind::Event, name)).await.unwrap();
        }
        let mut watch = store.watch(0, watching(&db)).await.unwrap();
        let told = until_synced(&mut watch).await;
        let words: Vec<_> = told.iter().map(word).collect();
        let state = ["a advanced", "b advanced", "c advanced", "a ENABLED", "b ENABLED", "c ENABLED"];
        assert_eq!(words, state);
        assert!(told.iter().all(|change| change.revision == 6));

        store.put_entitlements(&account("a"), &put("essential", 2)).await.unwrap();
        let next = watch.next().await.unwrap();
        assert_eq!((next.revision, word(&next).as_str()), (7, "a essential"));
    })
    .await;
}

#[tokio::test]
async fn a_watcher_goes_on_from_its_cursor_and_is_told_what_is_now() {
    on_each_backend(|db| async move {
        let (store, acme) = (open(&db).await, account("acme"));
        store.put_entitlements(&acme, &put("advanced", 1)).await.unwrap();
        let kept =
            store.create_webhook(&admin(), &creation("acme", Kind::Event, "kept")).await.unwrap().webhook;
        let gone =
            store.create_webhook(&admin(), &creation("acme", Kind::Event, "gone")).await.unwrap().webhook;
        let off = Change { state: Some(State::Disabled), ..Change::default() };
        store.update_webhook(&admin(), &acme, kept.id, None, &off).await.unwrap();
        store.delete_webhook(&admin(), &acme, gone.id, None).await.unwrap();

        let mut watch = store.watch(1, watching(&db)).await.unwrap();
        let mut told = Vec::new();
        while told.last().is_none_or(|(revision, _)| *revision < 5) {
            let change = watch.next().await.unwrap();
            told.push((change.revision, word(&change)));
        }
        let expected =
            [(2, "kept DISABLED"), (3, "acme lost one"), (4, "kept DISABLED"), (5, "acme lost one")];
        assert_eq!(told, expected.map(|(revision, word)| (revision, word.to_owned())));
    })
    .await;
}

#[tokio::test]
async fn a_change_by_another_replica_is_seen_within_one_poll() {
    on_each_backend(|db| async move {
        let here = open(&db).await;
        let there = open_with(&db.reconnect().await, setup()).await;
        let mut watch = here.watch(0, watching(&db)).await.unwrap();
        until_synced(&mut watch).await;
        there.put_entitlements(&account("acme"), &put("advanced", 1)).await.unwrap();
        let next = tokio::spawn(async move { watch.next().await.unwrap() });
        while !next.is_finished() {
            db.time.advance(Span::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(word(&next.await.unwrap()), "acme advanced");
    })
    .await;
}

#[tokio::test]
async fn revisions_are_in_commit_order_and_no_watcher_skips_one() {
    on_each_backend(|db| async move {
        let here = open(&db).await;
        let there = open_with(&db.reconnect().await, setup()).await;
        let mut watch = here.watch(0, watching(&db)).await.unwrap();
        until_synced(&mut watch).await;
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let store = if writer % 2 == 0 { here.clone() } else { there.clone() };
                tokio::spawn(async move {
                    for version in 1..=10 {
                        let name = account(&format!("a{writer}"));
                        store.put_entitlements(&name, &put("advanced", version)).await.unwrap();
                    }
                })
            })
            .collect();
        let seen = tokio::spawn(async move {
            let (mut versions, mut last) = (HashMap::new(), 0);
            while versions.values().filter(|version| **version == 10).count() < 4 {
                let change = watch.next().await.unwrap();
                assert!(change.revision > last, "{} after {last}", change.revision);
                last = change.revision;
                if let Subject::Account(account) = change.subject {
                    let version = account.entitlements.version;
                    assert!(versions.insert(account.id, version).is_none_or(|held| held <= version));
                }
            }
        });
        for writer in writers {
            writer.await.unwrap();
        }
        while !seen.is_finished() {
            db.time.advance(Span::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
        seen.await.unwrap();
        assert_eq!(here.feed_place().await.unwrap().head, 40);
    })
    .await;
}

#[tokio::test]
async fn old_changes_are_pruned_and_a_cursor_among_them_is_refused() {
    on_each_backend(|db| async move {
        let store = open_with(db.database(), Setup { keep_changes: 3, ..setup() }).await;
        let mut slow = store.watch(0, watching(&db)).await.unwrap();
        until_synced(&mut slow).await;
        for version in 1..=10 {
            store.put_entitlements(&account("acme"), &put("advanced", version)).await.unwrap();
        }
        let place = store.feed_place().await.unwrap();
        assert_eq!((place.head, place.pruned), (10, 7));
        for cursor in [-1, 1, 6, 11, i64::MAX] {
            let refused = store.watch(cursor, watching(&db)).await;
            assert!(matches!(refused, Err(Error::CursorTooOld)), "{cursor}");
        }
        for cursor in [7, 8, 10] {
            assert!(store.watch(cursor, watching(&db)).await.is_ok(), "{cursor}");
        }
        assert!(matches!(slow.next().await, Err(Error::CursorTooOld)), "the slow watcher is told");
    })
    .await;
}
