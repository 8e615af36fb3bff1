//! Certificates, authorities, keys and tokens that are replaced while the processes work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proto::evaluator::v1::IngestEventRequest;
use proto::evaluator::v1::event_service_client::EventServiceClient;
use sluice_auth::{Principal, Role, Scope, Signer, generate_ed25519};
use sluice_domain::Span;
use sluice_runtime::{Clock, Current};
use sluice_testkit::{Authority, Receiver};
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{ACCOUNT, Backend, Badge, PARENT, Service, on_each_backend, until};
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::Channel;

use super::secured::{NAMES, Secured, showing};

/// The two keys that tokens may be signed with: the one that is, and the one that is to be.
const TWO_KEYS: &str = r#"process.tokens.keys=[{ kid = "main", ed25519_file = "token-key.pub.pem" }, { kid = "next", ed25519_file = "next.pub.pem" }]"#;

on_each_backend!(everything_is_replaced_under_traffic_without_a_restart_or_a_call_that_fails);

/// Somebody who sends events, one after another, as long as the test lets them.
struct Traffic {
    token: Current<String>,
    sent: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    sending: JoinHandle<Vec<String>>,
}

impl Traffic {
    fn start(evaluator: Channel, token: String) -> Self {
        let (token, sent) = (Current::new(token), Arc::new(AtomicUsize::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (current, count, stopped) = (token.clone(), Arc::clone(&sent), Arc::clone(&stop));
        let sending = tokio::spawn(async move {
            let mut failed = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let number = count.load(Ordering::SeqCst);
                let badge = Badge::of(&current.get());
                let mut events = EventServiceClient::with_interceptor(evaluator.clone(), badge);
                let event = Some(won(&format!("t-{number}")));
                let request = IngestEventRequest { parent: PARENT.to_owned(), event };
                if let Err(refused) = events.ingest_event(request).await {
                    failed.push(format!("{number}: {refused:?}"));
                }
                count.store(number + 1, Ordering::SeqCst);
            }
            failed
        });
        Self { token, sent, stop, sending }
    }

    /// Waits until some more were sent.
    async fn goes_on(&self) {
        let from = self.sent.load(Ordering::SeqCst);
        until("more events are sent", async || (self.sent.load(Ordering::SeqCst) > from + 10).then_some(()))
            .await;
    }

    /// How many were sent, none in vain.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let failed = self.sending.await.unwrap();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        self.sent.load(Ordering::SeqCst)
    }
}

async fn everything_is_replaced_under_traffic_without_a_restart_or_a_call_that_fails(backend: Backend) {
    use Service::{Dispatcher, Evaluator, Registry};
    const SERVER: &str = "process.internal_tls.client_ca_file";
    const KEYS: &str = "process.tokens.keys: key next";
    let users: [(Service, &str); 5] = [
        (Registry, SERVER),
        (Dispatcher, SERVER),
        (Evaluator, "registry.ca_file"),
        (Evaluator, "dispatcher.ca_file"),
        (Dispatcher, "registry.ca_file"),
    ];
    let mut secured = Secured::empty(backend).await;
    let file = |secured: &Secured, name: &str| secured.house.folder().join(name);
    let (first_key, public) = generate_ed25519().unwrap();
    drop(first_key);
    std::fs::write(file(&secured, "next.pub.pem"), &public).unwrap();
    for service in Service::ALL {
        secured.launch(service, &[TWO_KEYS]);
    }
    for service in Service::ALL {
        secured.serves(service).await;
    }
    secured.house.put_plan("advanced").await;
    let receiver = Receiver::start().await;
    let (webhook, _) = secured.house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    secured.house.automation(automation("Tell the shop", [post(&webhook, "1")])).await;
    let traffic = Traffic::start(
        secured.house.channels(Evaluator).remove(0),
        secured.house.token("crm", &[], &[Scope::EventsWrite]),
    );
    traffic.goes_on().await;

    // Both authorities are believed, then the new one's certificates are shown, then the old one is forgotten.
    let new = Authority::new();
    let (old_own, new_own) = (secured.authority.certify(&NAMES), new.certify(&NAMES));
    let both = format!("{}{}", secured.authority.pem(), new.pem());
    for (step, (own, authorities)) in
        [(&old_own, &both), (&new_own, &both), (&new_own, &new.pem())].into_iter().enumerate()
    {
        secured.lay(own, authorities);
        for (service, setting) in users {
            secured.renews(service, setting, step + 1).await;
        }
        traffic.goes_on().await;
    }
    let (left, come) = (showing(&new, Some(&old_own)), showing(&new, Some(&new_own)));
    for service in [Registry, Dispatcher] {
        assert!(!secured.way(service, left.clone(), None).serves().await, "the old authority's are refused");
        assert!(!secured.way(service, showing(&secured.authority, Some(&new_own)), None).serves().await);
        assert!(secured.way(service, come.clone(), None).serves().await);
    }

    // The key that nobody signs with is replaced, then everybody signs with it, then the old one goes.
    let (key, public) = generate_ed25519().unwrap();
    let signer = Signer::from_ed25519_pkcs8_pem("sluice", "next", &key).unwrap();
    let mint = |who: &Principal| signer.mint(who, Clock::system().now(), Span::from_secs(600)).unwrap();
    std::fs::write(file(&secured, "next.pub.pem"), &public).unwrap();
    for service in Service::ALL {
        secured.renews(service, KEYS, 1).await;
    }
    for service in [Evaluator, Dispatcher] {
        let token = mint(&Principal::service(service.name().parse().unwrap()));
        std::fs::write(file(&secured, &format!("{}.token", service.name())), token).unwrap();
        secured.renews(service, "registry.token_file", 1).await;
    }
    secured.renews(Evaluator, "dispatcher.token_file", 1).await;
    let producer = Principal::new(
        Some(ACCOUNT.parse().unwrap()),
        "crm".parse().unwrap(),
        std::iter::empty::<Role>(),
        [Scope::EventsWrite],
    );
    traffic.token.replace(mint(&producer));
    traffic.goes_on().await;
    let old_token = secured.house.token("crm", &[], &[Scope::EventsWrite]);
    let (_, nobodys) = generate_ed25519().unwrap();
    std::fs::write(file(&secured, "token-key.pub.pem"), nobodys).unwrap();
    for service in Service::ALL {
        secured.renews(service, KEYS, 2).await;
    }
    traffic.goes_on().await;
    let evaluator = secured.house.channels(Evaluator).remove(0);
    let mut late = EventServiceClient::with_interceptor(evaluator, Badge::of(&old_token));
    let request = IngestEventRequest { parent: PARENT.to_owned(), event: Some(won("late")) };
    assert_eq!(late.ingest_event(request).await.unwrap_err().code(), Code::Unauthenticated);

    let sent = traffic.end().await;
    until("every event is delivered", async || (receiver.hits().len() >= sent).then_some(())).await;
    assert_eq!(receiver.hits().len(), sent);

    // Those who were not restarted come back to one who was, with what they have now.
    secured.kill(Registry);
    secured.launch(Registry, &[TWO_KEYS]);
    secured.serves(Registry).await;
    for service in [Evaluator, Dispatcher] {
        until("the service finds the registry again", async || {
            let channel = secured.house.channels(service).remove(0);
            let asked = tonic_health::pb::HealthCheckRequest { service: "registry".to_owned() };
            let answer = tonic_health::pb::health_client::HealthClient::new(channel).check(asked).await;
            (answer.ok()?.into_inner().status == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_keeps_the_old_in_force_and_is_named_and_not_repeated() {
    const CANARY: &str = "canary-7f3a9c";
    let mut secured = Secured::open(Backend::Sqlite, &[]).await;
    let own = secured.authority.certify(&NAMES);
    let other = secured.authority.certify(&NAMES);
    let broken = [
        ("process.internal_tls.cert_file: must be", CANARY, own.key.as_str()),
        ("process.internal_tls.key_file: must be", own.chain.as_str(), CANARY),
        ("process.internal_tls.key_file: is not the private key", own.chain.as_str(), other.key.as_str()),
    ];
    for (named, chain, key) in broken {
        let mixed = sluice_testkit::Certified { chain: chain.to_owned(), key: key.to_owned() };
        secured.lay(&mixed, &secured.authority.pem());
        until("the log names the setting", async || {
            let said = secured.process(Service::Registry).said();
            said.lines().any(|line| line.contains("stays in force") && line.contains(named)).then_some(())
        })
        .await;
        let way = secured.way(Service::Registry, showing(&secured.authority, Some(&own)), None);
        assert!(way.serves().await, "{named}: what was read before is shown");
    }
    std::fs::remove_file(secured.house.folder().join("token-key.pub.pem")).unwrap();
    until("the log names the key", async || {
        let said = secured.process(Service::Registry).said();
        said.lines().any(|line| line.contains("stays in force") && line.contains("key main")).then_some(())
    })
    .await;
    secured.house.put_plan("essential").await;
    secured.lay(&own, &secured.authority.pem());
    secured.renews(Service::Registry, "process.internal_tls.cert_file", 1).await;
    assert!(!secured.house.said().contains(CANARY) && secured.process(Service::Registry).status().is_none());
}
