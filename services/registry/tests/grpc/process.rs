//! The process: two listeners from one file of settings, ended by the signal.

use proto::registry::v1 as wire;
use proto::registry::v1::feed_service_client::FeedServiceClient;
use sluice_auth::{Principal, Signer};
use sluice_domain::{Secret, Span};
use sluice_registry::process::{RunError, Settings, run};
use sluice_registry::seal::MasterKeys;
use sluice_rpc::Transport;
use sluice_runtime::{Clock, Shutdown, config};
use tokio::sync::oneshot;

use super::house::TOKEN_SECRET;

fn settings(folder: &std::path::Path, more: &str) -> Settings {
    let keys = folder.join("keys");
    std::fs::write(&keys, MasterKeys::encode(1, &[7; 32]).expose()).unwrap();
    let text = format!(
        "listen = \"127.0.0.1:0\"\ninternal_listen = \"127.0.0.1:0\"\ndatabase = \"sqlite:{}\"\n{more}\n\
         [sealing]\nkeys_file = \"{}\"\n\
         [tokens]\nissuer = \"test\"\nkeys = [{{ kid = \"k\", secret = \"{TOKEN_SECRET}\" }}]\n",
        folder.join("registry.db").display(),
        keys.display(),
    );
    let file = folder.join("registry.toml");
    std::fs::write(&file, text).unwrap();
    config::load(Some(&file), "SLUICE_TEST_REGISTRY_", &[]).unwrap()
}

#[tokio::test]
async fn it_serves_both_listeners_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), "");
    let (shutdown, (up, is_up)) = (Shutdown::new(), oneshot::channel());
    let process = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { run(&settings, shutdown, |public, internal| up.send((public, internal)).unwrap()).await }
    });
    let (_, internal) = is_up.await.unwrap();

    let signer = Signer::from_hs256("test", "k", &Secret::new(TOKEN_SECRET)).unwrap();
    let service = Principal::service("dispatcher".parse().unwrap());
    let token = signer.mint(&service, Clock::system().now(), Span::from_secs(60)).unwrap();
    let transport = Transport::connect(&format!("http://{internal}"), Some(&Secret::new(token))).unwrap();
    let mut feed = FeedServiceClient::new(transport);
    let mut stream = feed.watch_changes(wire::WatchChangesRequest { cursor: 0 }).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.change, Some(wire::watch_changes_response::Change::Synced(wire::Synced {})));

    shutdown.trigger();
    process.await.unwrap().unwrap();
    assert!(matches!(stream.message().await, Ok(None) | Err(_)), "the watch ends with the process");
}

#[tokio::test]
async fn it_does_not_start_with_its_internal_listener_on_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), "");
    settings.internal_listen = "0.0.0.0:0".parse().unwrap();
    let ended = run(&settings, Shutdown::new(), |_, _| {}).await;
    assert!(matches!(ended, Err(RunError::Settings(_))));
    assert!(!folder.path().join("registry.db").exists(), "nothing was opened before");
}
