//! Accounts and their entitlements.

use sluice_registry::error::Error;
use sluice_registry::store::Setup;
use sluice_registry::webhook::Kind;
use sluice_testkit::on_each_backend;

use super::makers::{account, admin, creation, open, open_with, put, setup};

#[tokio::test]
async fn entitlements_are_kept_as_they_were_put() {
    on_each_backend(|db| async move {
        let store = open(&db).await;
        let made = store.put_entitlements(&account("acme"), &put("advanced", 3)).await.unwrap();
        assert_eq!(made.entitlements.plan, "advanced");
        assert_eq!(made.updated_at, db.time.now());
        let again = open_with(&db.reconnect().await, setup()).await;
        assert_eq!(again.account(&account("acme")).await.unwrap(), made);
    })
    .await;
}

#[tokio::test]
async fn an_older_version_never_wins_and_the_same_must_say_the_same() {
    on_each_backend(|db| async move {
        let (store, acme) = (open(&db).await, account("acme"));
        let held = store.put_entitlements(&acme, &put("advanced", 7)).await.unwrap();
        db.time.advance(sluice_domain::Span::from_secs(5)).await;
        assert_eq!(store.put_entitlements(&acme, &put("advanced", 7)).await.unwrap(), held);
        let older = store.put_entitlements(&acme, &put("enterprise", 6)).await;
        assert!(matches!(older, Err(Error::VersionOutdated { held: 7 })));
        let other = store.put_entitlements(&acme, &put("enterprise", 7)).await;
        assert!(matches!(other, Err(Error::VersionReused)));
        assert_eq!(store.account(&acme).await.unwrap(), held);
        assert_eq!(store.feed_place().await.unwrap().head, 1, "what changed nothing tells nothing");
        let newer = store.put_entitlements(&acme, &put("essential", 8)).await.unwrap();
        assert_eq!(store.account(&acme).await.unwrap(), newer);
    })
    .await;
}

#[tokio::test]
async fn of_racing_versions_the_newest_stays() {
    on_each_backend(|db| async move {
        let (store, acme) = (open(&db).await, account("acme"));
        let puts = (1..=12).map(|version| {
            let (store, acme) = (store.clone(), acme.clone());
            tokio::spawn(async move { store.put_entitlements(&acme, &put("advanced", version)).await })
        });
        for ended in puts.collect::<Vec<_>>() {
            let ended = ended.await.unwrap();
            assert!(matches!(ended, Ok(_) | Err(Error::VersionOutdated { .. })), "{ended:?}");
        }
        assert_eq!(store.account(&acme).await.unwrap().entitlements.version, 12);
    })
    .await;
}

#[tokio::test]
async fn a_plan_outside_the_catalogue_is_refused_with_the_plans_there_are() {
    on_each_backend(|db| async move {
        let refused = open(&db).await.put_entitlements(&account("acme"), &put("gold", 1)).await.unwrap_err();
        assert!(refused.to_string().contains("essential, advanced, professional, enterprise"));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_account_is_refused_unless_there_is_a_default_plan() {
    on_each_backend(|db| async move {
        let (store, acme) = (open(&db).await, account("acme"));
        assert!(matches!(store.account(&acme).await, Err(Error::AccountUnknown(_))));
        let refused = store.create_webhook(&admin(), &creation("acme", Kind::Event, "w")).await;
        assert!(matches!(refused, Err(Error::AccountUnknown(_))));

        let lenient = Setup { default_plan: Some("essential".to_owned()), ..setup() };
        let store = open_with(db.database(), lenient).await;
        store.create_webhook(&admin(), &creation("acme", Kind::Event, "w")).await.unwrap();
        let made = store.account(&acme).await.unwrap();
        assert_eq!((made.entitlements.plan.as_str(), made.entitlements.version), ("essential", 0));
        assert_eq!(store.account(&account("by-reading")).await.unwrap().entitlements.version, 0);
        assert_eq!(store.feed_place().await.unwrap().head, 3, "two accounts and a webhook were told");
        let put = store.put_entitlements(&acme, &put("advanced", 1)).await.unwrap();
        assert_eq!(store.account(&acme).await.unwrap(), put);
    })
    .await;
}
