//! Who is let in at the internal listeners of processes that speak mutual TLS, and whom the services believe.

use proto::dispatcher::v1::dispatch_service_client::DispatchServiceClient;
use proto::dispatcher::v1::{EnqueueExecutionsRequest, ExecutionState};
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::feed_service_client::FeedServiceClient;
use proto::registry::v1::{PutEntitlementsRequest, ResolveTargetRequest, WatchChangesRequest};
use sluice_auth::{Principal, Role, Scope, generate_ed25519};
use sluice_domain::{Secret, Span};
use sluice_rpc::Transport;
use sluice_runtime::Clock;
use sluice_testkit::{Authority, Certified, Receiver};
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Backend, PARENT, Service, on_each_backend, signer, until};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::secured::{NAMES, Secured, showing, way};

on_each_backend!(an_event_is_delivered_over_mutual_tls);

async fn an_event_is_delivered_over_mutual_tls(backend: Backend) {
    let secured = Secured::open(backend, &[]).await;
    let receiver = Receiver::start().await;
    let house = &secured.house;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "1")])).await;
    let name = house.fires(won("e-1")).await;
    house.shows(&name, ExecutionState::Succeeded).await;
    assert_eq!(receiver.hits().len(), 1);
}

/// What internal calls come to over this way: one at the registry that watches, one that does not, one at the dispatcher.
async fn codes(registry: Transport, dispatcher: Transport) -> [Code; 3] {
    let mut feed = FeedServiceClient::new(registry);
    let mut dispatch = DispatchServiceClient::new(dispatcher);
    let target = ResolveTargetRequest { name: "accounts/acme/webhooks/x".to_owned() };
    [
        feed.watch_changes(WatchChangesRequest { cursor: 0 }).await.err().map_or(Code::Ok, |e| e.code()),
        feed.resolve_target(target).await.err().map_or(Code::Ok, |e| e.code()),
        dispatch
            .enqueue_executions(EnqueueExecutionsRequest { items: Vec::new() })
            .await
            .err()
            .map_or(Code::Ok, |e| e.code()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_inside_without_our_certificate_and_our_token() {
    let secured = Secured::open(Backend::Sqlite, &[]).await;
    let (ours, other) = (&secured.authority, Authority::new());
    let token = secured.house.token("probe", &[], &[Scope::Internal, Scope::AccountsAny]);
    let at = |own: Option<&Certified>, token: Option<&str>| {
        let way = |service| secured.way(service, showing(ours, own), token);
        Box::pin(codes(way(Service::Registry), way(Service::Dispatcher)))
    };
    let (certified, stranger) = (ours.certify(&["whoever"]), other.certify(&NAMES));
    let past = ours.certify_for_the_past(&NAMES);
    let let_in = [Code::Ok, Code::InvalidArgument, Code::Ok];
    assert_eq!(at(Some(&certified), Some(&token)).await, let_in);
    for shown in [None, Some(&stranger), Some(&past)] {
        assert_eq!(at(shown, Some(&token)).await, [Code::Unavailable; 3]);
    }
    let plain = |service| {
        let address = format!("http://{}", secured.house.inside(service));
        Transport::connect(&address, Some(&Secret::new(token.as_str()))).unwrap()
    };
    for code in codes(plain(Service::Registry), plain(Service::Dispatcher)).await {
        // What TLS answers to those who do not speak it is no HTTP/2.
        assert!(matches!(code, Code::Unavailable | Code::Internal), "{code:?}");
    }

    let (another_key, _) = generate_ed25519().unwrap();
    let pretender = Principal::service("dispatcher".parse().unwrap());
    let forged = signer(&another_key).mint(&pretender, Clock::system().now(), Span::from_secs(60)).unwrap();
    for token in [None, Some(forged.as_str())] {
        assert_eq!(at(Some(&certified), token).await, [Code::Unauthenticated; 3]);
    }
    for token in [
        secured.house.token("ada", &[Role::GlobalAdmin], &[]),
        secured.house.token("crm", &[], &[Scope::EventsWrite, Scope::AccountsAny]),
    ] {
        assert_eq!(at(Some(&certified), Some(&token)).await, [Code::PermissionDenied; 3]);
    }
    // Nobody who was refused has hurt it.
    assert!(secured.way(Service::Registry, showing(ours, Some(&certified)), None).serves().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_believes_no_server_of_another_name_authority_or_time() {
    let mut secured = Secured::empty(Backend::Sqlite).await;
    secured.launch(Service::Registry, &[]);
    secured.serves(Service::Registry).await;
    let by_name =
        format!("registry.address=https://localhost:{}", secured.house.inside(Service::Registry).port());
    let (past, other) = (secured.authority.certify_for_the_past(&NAMES), Authority::new());
    for (settings, named) in [
        (vec![by_name.as_str()], "not valid for name"),
        (Vec::new(), "invalid peer certificate"),
        (Vec::new(), "expired"),
    ] {
        match named {
            "expired" => secured.lay(&past, &secured.authority.pem()),
            "invalid peer certificate" => secured.lay(&other.certify(&NAMES), &secured.authority.pem()),
            _ => {}
        }
        if settings.is_empty() {
            secured
                .renews(
                    Service::Registry,
                    "process.internal_tls.cert_file",
                    if named == "expired" { 2 } else { 1 },
                )
                .await;
        }
        secured.launch(Service::Evaluator, &settings);
        until("the evaluator says why it has no feed", async || {
            let said = secured.process(Service::Evaluator).said();
            (said.contains("no TLS with") && said.contains(named)).then_some(())
        })
        .await;
        let channel = secured.house.channels(Service::Evaluator).remove(0);
        let mut health = HealthClient::new(channel);
        for (name, expected) in [("", 2), ("registry", 2), ("database", 1)] {
            let status = until("the evaluator tells of its health", async || {
                let asked = HealthCheckRequest { service: name.to_owned() };
                Some(health.check(asked).await.ok()?.into_inner().status)
            })
            .await;
            assert_eq!(status, expected, "{name}");
        }
        secured.kill(Service::Evaluator);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_listener_speaks_tls_when_told_and_asks_for_no_certificate() {
    let mut secured = Secured::empty(Backend::Sqlite).await;
    // Where nobody is: the evaluator serves nothing inside.
    let probed = secured.house.inside(Service::Evaluator);
    let probes = format!("process.probe_listen={probed}");
    secured.launch(
        Service::Registry,
        &[&probes, "process.tls.cert_file=tls/tls.crt", "process.tls.key_file=tls/tls.key"],
    );
    let address = secured.house.outside(Service::Registry);
    let token = secured.house.token("billing", &[], &[Scope::EntitlementsWrite, Scope::AccountsAny]);
    let over_tls = way(&format!("https://{address}"), showing(&secured.authority, None), Some(&token));
    until("the registry serves over TLS", async || over_tls.serves().await.then_some(())).await;
    let put = || PutEntitlementsRequest {
        name: PARENT.to_owned(),
        plan: "advanced".to_owned(),
        version: 1,
        period_anchor: None,
    };
    AccountServiceClient::new(over_tls).put_entitlements(put()).await.unwrap();

    for stranger in ["http", "https"] {
        let way = Transport::connect(&format!("{stranger}://{address}"), None).unwrap();
        assert!(!way.serves().await, "{stranger}, and by the system's authorities");
    }
    // Kubelets speak no TLS, and see nothing but health.
    let plain = Transport::connect(&format!("http://{probed}"), Some(&Secret::new(token.as_str()))).unwrap();
    assert!(plain.serves().await);
    let refused = AccountServiceClient::new(plain).put_entitlements(put()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}
