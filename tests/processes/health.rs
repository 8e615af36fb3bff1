//! What each service says of its health while others are away, and what it says of them.

use sluice_tests::{Backend, Deployment, House, Service, until};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Waits until every listener of the service tells this of itself as a whole, of its services, and of what it stands on.
async fn tells(house: &House, service: Service, whole: i32, others: &[(&str, i32)]) {
    let own: &[&str] = match service {
        Service::Registry => &["sluice.registry.v1.WebhookService", "sluice.registry.v1.AccountService"],
        Service::Evaluator => &["sluice.evaluator.v1.EventService", "sluice.evaluator.v1.AutomationService"],
        Service::Dispatcher => &[],
    };
    for channel in house.channels(service) {
        let expected = [""].iter().chain(own).map(|name| (*name, whole)).chain(others.iter().copied());
        let expected: Vec<(&str, i32)> = expected.collect();
        let mut health = HealthClient::new(channel);
        let what = format!("{} tells {expected:?}", service.name());
        until(&what, async || {
            let mut told = Vec::new();
            for (name, _) in &expected {
                let asked = HealthCheckRequest { service: (*name).to_owned() };
                told.push((*name, health.check(asked).await.ok()?.into_inner().status));
            }
            (told == expected).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_away_is_told_by_name_and_only_what_a_service_cant_do_without_makes_it_ill() {
    use Service::{Dispatcher, Evaluator, Registry};
    let setup = House::setup(Deployment::three_processes(Backend::Postgres)).proxied();
    let mut house = setup.open().await;
    tells(&house, Registry, 1, &[("database", 1)]).await;
    tells(&house, Evaluator, 1, &[("database", 1), ("registry", 1), ("dispatcher", 1)]).await;
    tells(&house, Dispatcher, 1, &[("database", 1), ("registry", 1)]).await;

    house.kill(Registry);
    tells(&house, Evaluator, 1, &[("database", 1), ("registry", 2), ("dispatcher", 1)]).await;
    tells(&house, Dispatcher, 1, &[("database", 1), ("registry", 2)]).await;
    house.back(Registry).await;
    house.kill(Dispatcher);
    tells(&house, Evaluator, 1, &[("database", 1), ("registry", 1), ("dispatcher", 2)]).await;
    house.back(Dispatcher).await;

    house.database().expect("there is a proxy").cut();
    tells(&house, Registry, 2, &[("database", 2)]).await;
    tells(&house, Evaluator, 2, &[("database", 2), ("registry", 2), ("dispatcher", 2)]).await;
    tells(&house, Dispatcher, 2, &[("database", 2), ("registry", 2)]).await;
    house.database().expect("there is a proxy").mend();
    tells(&house, Evaluator, 1, &[("database", 1), ("registry", 1), ("dispatcher", 1)]).await;
    tells(&house, Dispatcher, 1, &[("database", 1), ("registry", 1)]).await;
}
