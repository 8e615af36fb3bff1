//! The settings of k8s/base, as the pods have them: the files of the ConfigMaps, what is secret in the environment or in mounted
//! folders. Only addresses and the place of the folders are this machine's.

use std::path::Path;
use std::process::Command;

use proto::dispatcher::v1::ExecutionState;
use sluice_testkit::{Authority, Certified, Receiver, TestDatabase};
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Backend, Deployment, House, Process, Service, until};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// What the services that have internal listeners are called in the cluster, with the ports there.
const INSIDE: [(Service, &str); 2] = [
    (Service::Registry, "sluice-registry-internal:7171"),
    (Service::Dispatcher, "sluice-dispatcher-internal:7173"),
];

/// The settings of a service in the cluster, for this machine.
fn settings(house: &House, service: Service, etc: &Path) -> String {
    let file = format!("{}/../k8s/base/sluice/{}.toml", env!("CARGO_MANIFEST_DIR"), service.name());
    let text = std::fs::read_to_string(file).unwrap();
    let number = service as usize + 7_071;
    let mut text = text
        .replace("/etc/sluice", &etc.display().to_string())
        .replace(&format!("0.0.0.0:{number}"), &format!("0.0.0.0:{}", house.outside(service).port()))
        .replace(&format!("0.0.0.0:{}", number + 100), &format!("0.0.0.0:{}", house.inside(service).port()));
    for (upstream, name) in INSIDE {
        text = text.replace(name, &house.inside(upstream).to_string());
    }
    assert!(!text.contains("-internal:") && !text.contains(&format!("0.0.0.0:{number}")), "{text}");
    text
}

/// Lays what a pod mounts, and starts its service as the pod does.
fn pod(
    house: &House,
    service: Service,
    database: &TestDatabase,
    (own, authority): (&Certified, &Authority),
) -> Process {
    let etc = house.folder().join("etc").join(service.name());
    let lay = |path: &str, text: &str| {
        let path = etc.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let own_file = |name: &str| std::fs::read_to_string(house.folder().join(name)).unwrap();
    lay("token-keys/issuer.pub.pem", &own_file("token-key.pub.pem"));
    lay("internal-tls/tls.crt", &own.chain);
    lay("internal-tls/tls.key", &own.key);
    lay("internal-tls/ca.crt", &authority.pem());
    match service {
        Service::Registry => lay("sealing-keys/keys", &own_file("sealing-keys")),
        _ => lay("internal-token/token", &own_file(&format!("{}.token", service.name()))),
    }
    lay("config/sluice.toml", &settings(house, service, &etc));

    let mut command = Command::new(house.command(service).get_program());
    command.current_dir("/").env_clear().arg("--config").arg(etc.join("config/sluice.toml"));
    let address = database.address().expect("it is on the server");
    let and = if address.contains('?') { '&' } else { '?' };
    command.env("SLUICE_PROCESS__DATABASE", format!("{address}{and}schema={}", service.name()));
    let key = etc.join("token-keys/issuer.pub.pem");
    command.env(
        "SLUICE_PROCESS__TOKENS__KEYS",
        format!(r#"[{{ kid = "main", ed25519_file = "{}" }}]"#, key.display()),
    );
    // The receiver of this test is no public one.
    if service != Service::Evaluator {
        let name = service.name().to_uppercase();
        command.env(format!("SLUICE_{name}__EGRESS__ALLOW"), r#"["127.0.0.0/8"]"#);
        command.env(format!("SLUICE_{name}__EGRESS__ALLOW_HTTP"), "true");
    }
    Process::start(service.name(), command, &house.folder().join(format!("{}.log", service.name())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_of_the_base_set_all_three_to_work() {
    let database = sluice_testkit::postgres().await;
    let house = House::setup(Deployment::three_processes(Backend::Sqlite)).empty().await;
    let authority = Authority::new();
    let own = authority.certify(&["127.0.0.1"]);
    let mut processes = Service::ALL.map(|service| pod(&house, service, &database, (&own, &authority)));
    for service in Service::ALL {
        let channel = house.channels(service).remove(0);
        until("the service serves", async || {
            let process = &mut processes[service as usize];
            assert_eq!(process.status(), None, "{}", process.said());
            let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
            (answer.ok()?.into_inner().status == 1).then_some(())
        })
        .await;
    }
    let receiver = Receiver::start().await;
    house.put_plan("advanced").await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "1")])).await;
    let name = house.fires(won("e-1")).await;
    house.shows(&name, ExecutionState::Succeeded).await;
    assert_eq!(receiver.hits().len(), 1);
}
