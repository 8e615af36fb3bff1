//! Wrong settings: the process does not start, says which one it is, and tells no secret.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;

use proto::dispatcher::v1::ExecutionState;
use sluice_runtime::Clock;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Backend, Deployment, House, Process, Service, micros, until};

/// A value that nobody may see again.
const CANARY: &str = "canary-7f3a9c";

#[tokio::test]
async fn a_wrong_setting_is_named_and_no_secret_is_told() {
    use Service::{Dispatcher, Evaluator, Registry};
    let house = House::setup(Deployment::three_processes(Backend::Sqlite)).empty().await;
    let write = |name: &str, text: &str| std::fs::write(house.folder().join(name), text).unwrap();
    write("canary", &format!("{CANARY} {CANARY}\n{CANARY}"));
    write("short", &format!("{CANARY}\n"));
    let with_password = format!("process.database=postgres://u:{CANARY}@127.0.0.1:1/x?schema=s");
    let two_keys = format!("registry.sealing.keys=1:{CANARY}");
    let hs256 = r#"process.tokens.keys=[{ kid = "main", hs256_file = "./short" }]"#;
    let no_key_file = r#"process.tokens.keys=[{ kid = "main", ed25519_file = "./nowhere.pem" }]"#;
    let not_a_key = r#"process.tokens.keys=[{ kid = "main", ed25519_file = "./canary" }]"#;
    let both = r#"process.tokens.keys=[{ kid = "odd", ed25519_file = "./a", hs256_file = "./b" }]"#;
    let all = |setting: &'static str, named: &'static [&'static str]| {
        Service::ALL.map(|service| (service, setting.to_owned(), named)).to_vec()
    };
    let one =
        |service, setting: &str, named: &'static [&'static str]| vec![(service, setting.to_owned(), named)];
    let cases = [
        all("colour=canary-7f3a9c", &["colour"]),
        all("process.colour=canary-7f3a9c", &["process", "colour"]),
        all("process.log.colour=canary-7f3a9c", &["process.log", "colour"]),
        all("process.listen=canary-7f3a9c", &["process.listen"]),
        all("process.drain_within=30", &["process.drain_within"]),
        all("process.internal_listen=0.0.0.0:0", &["process.internal_listen", "loopback"]),
        all("process.internal_listen=192.0.2.1:0", &["process.internal_listen", "loopback"]),
        all("process.database=mysql://u:canary-7f3a9c@host/x", &["process.database"]),
        all(no_key_file, &["process.tokens.keys", "./nowhere.pem"]),
        all(not_a_key, &["process.tokens.keys"]),
        all(hs256, &["process.tokens.keys"]),
        all(both, &["process.tokens.keys", "odd"]),
        one(Registry, &two_keys, &["registry.sealing", "sealing.keys_file"]),
        one(Registry, "registry.sealing.keys_file=./nowhere", &["registry.sealing.keys_file", "./nowhere"]),
        one(Registry, "registry.sealing.keys_file=./canary", &["registry.sealing.keys_file"]),
        one(Registry, "registry.plans_file=./nowhere", &["registry.plans_file", "./nowhere"]),
        one(Registry, "registry.feed.colour=1", &["registry.feed", "colour"]),
        one(Registry, "registry.egress.allow=[\"nowhere\"]", &["registry.egress.allow"]),
        one(Evaluator, "registry.token_file=./nowhere", &["registry.token_file", "./nowhere"]),
        one(Evaluator, "dispatcher.token_file=./nowhere", &["dispatcher.token_file", "./nowhere"]),
        one(Evaluator, "dispatcher.token_file=./canary", &["dispatcher.token_file"]),
        one(Evaluator, "dispatcher.address=127.0.0.1:1", &["dispatcher.address"]),
        one(Evaluator, "evaluator.catch_up=1h", &["evaluator.catch_up"]),
        one(Dispatcher, "registry.token_file=./nowhere", &["registry.token_file", "./nowhere"]),
        one(Dispatcher, "registry.address=https://127.0.0.1:1", &["registry.ca_file"]),
        one(Dispatcher, "dispatcher.delivery.in_flight=0", &["dispatcher.delivery.in_flight"]),
        one(Dispatcher, "dispatcher.retry.colour=1", &["dispatcher.retry", "colour"]),
    ];
    let one_by_one = async {
        let mut wrong = Vec::new();
        for (service, setting, named) in cases.concat() {
            wrong.extend(fault(&house, service, &setting, named).await);
        }
        wrong
    };
    // This one knocks for some seconds before it gives up.
    let nobody_there = fault(&house, Registry, &with_password, &["process.database"]);
    let (mut wrong, one_more) = tokio::join!(one_by_one, nobody_there);
    wrong.extend(one_more);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with how a service refuses a setting: a secret told, or the setting not named in the last line.
async fn fault(house: &House, service: Service, setting: &str, named: &[&str]) -> Option<String> {
    let told = refused(house, service, setting).await;
    let mut secrets = house.secrets().iter().map(|secret| secret.expose().trim()).chain([CANARY]);
    if let Some(secret) = secrets.find(|secret| told.contains(secret)) {
        return Some(format!("{} --set {setting} tells {secret}: {told}", service.name()));
    }
    let last = told.lines().last().unwrap_or_default();
    let names_it = last.starts_with(service.binary()) && named.iter().all(|name| last.contains(name));
    (!names_it).then(|| format!("{} --set {setting} should name {named:?}: {told}", service.name()))
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let house = House::setup(Deployment::three_processes(Backend::Sqlite)).empty().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for service in Service::ALL {
        let told = refused(&house, service, &format!("process.listen={address}")).await;
        assert!(told.lines().last().unwrap().contains(&address.to_string()), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatcher_that_can_not_serve_sends_nothing() {
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(503), Answer::status(200)]);
    // The kill has to come before the retry.
    let setup = House::setup(Deployment::three_processes(Backend::Sqlite))
        .with("dispatcher.retry.first=3s")
        .with("dispatcher.retry.longest=3s");
    let mut house = setup.open().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "1")])).await;
    let name = house.fires(won("e-1")).await;
    let due = micros(house.shows(&name, ExecutionState::Waiting).await.wait_until);
    house.kill(Service::Dispatcher);
    assert_eq!(receiver.hits().len(), 1, "the kill came before the retry");
    until("the retry is due", async || (Clock::system().now().as_micros() >= due).then_some(())).await;

    let no_key_file = r#"process.tokens.keys=[{ kid = "main", ed25519_file = "./nowhere.pem" }]"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("process.internal_listen={}", listener.local_addr().unwrap());
    for setting in [no_key_file, &taken] {
        let told = refused(&house, Service::Dispatcher, setting).await;
        assert!(!told.contains("delivery.attempted"), "{told}");
    }
    assert_eq!(receiver.hits().len(), 1);
    house.back(Service::Dispatcher).await;
    let shown = house.shows(&name, ExecutionState::Succeeded).await;
    assert_eq!((shown.attempt_count, receiver.hits().len()), (2, 2), "{shown:?}");
}

/// What every other test of this suite relies on.
#[tokio::test]
async fn a_process_does_not_outlive_the_suite() {
    let mut house = House::setup(Deployment::three_processes(Backend::Sqlite)).empty().await;
    house.launch(Service::Registry);
    house.serves(Service::Registry).await;
    house.process(Service::Registry).lose_the_suite();
    let status = house.process(Service::Registry).end_of().await;
    assert_eq!(status.signal(), Some(9));
}

/// Starts a service with one setting more, which it has to refuse; all that it said.
async fn refused(house: &House, service: Service, setting: &str) -> String {
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut command = house.command(service);
    command.args(["--set", setting]);
    let mut process = Process::start(service.binary(), command, said.path());
    let status = process.end_of().await;
    assert_eq!(status.code(), Some(1), "{} --set {setting}: {}", service.name(), process.said());
    process.said()
}
