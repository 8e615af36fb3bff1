//! A registry on a file of its own, with clients for whoever may call.

use std::path::Path;

use proto::event::v1::Subscription;
use proto::registry::v1 as wire;
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::feed_service_client::FeedServiceClient;
use proto::registry::v1::webhook_service_client::WebhookServiceClient;
use sluice_auth::{Key, Principal, Role, Scope, Signer, Verifier};
use sluice_domain::{Secret, Span};
use sluice_registry::config::Config;
use sluice_registry::seal::MasterKeys;
use sluice_registry::service::{Deps, Registry};
use sluice_rpc::{Refusal, Server, Transport, fault_of};
use sluice_runtime::{Clock, Entropy, Shutdown};
use sluice_storage::{Database, DatabaseUrl, Options};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::Status;

pub(crate) const TOKEN_SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct House {
    address: String,
    internal: Transport,
    signer: Signer,
    folder: TempDir,
    database: Database,
    shutdown: Shutdown,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(Config::default()).await
    }

    pub(crate) async fn open_with(mut config: Config) -> Self {
        config.sealing.keys = Some(MasterKeys::encode(1, &[7; 32]));
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::sqlite(folder.path().join("registry.db"));
        let (clock, shutdown) = (Clock::system(), Shutdown::new());
        let database = Database::connect(&url, clock.clone(), &Options::default()).await.unwrap();
        let deps = Deps {
            database: database.clone(),
            clock: clock.clone(),
            entropy: Entropy::system(),
            shutdown: shutdown.clone(),
        };
        let registry = Registry::start(&config, deps).await.unwrap();

        let secret = Secret::new(TOKEN_SECRET);
        let verifier = Verifier::new("test", vec![Key::hs256("k", &secret).unwrap()]).unwrap();
        let signer = Signer::from_hs256("test", "k", &secret).unwrap();
        let server = |name| Server::builder(name).descriptors(proto::DESCRIPTORS);
        let public = registry.add_public(server("public")).unwrap();
        let public = public.build(verifier.clone(), || Clock::system().now()).unwrap();
        let internal = registry.add_internal(server("internal")).unwrap();
        let internal = internal.build(verifier, || Clock::system().now()).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = shutdown.clone();
        tokio::spawn(async move { public.serve(listener, stop.triggered()).await.unwrap() });
        let internal = internal.in_process("dispatcher".parse().unwrap());
        Self { address, internal, signer, folder, database, shutdown }
    }

    /// With this account on this plan.
    pub(crate) async fn with(self, account: &str, plan: &str) -> Self {
        self.put(account, plan, 1).await.unwrap();
        self
    }

    pub(crate) async fn put(&self, account: &str, plan: &str, version: i64) -> Result<wire::Account, Status> {
        let request = wire::PutEntitlementsRequest {
            name: format!("accounts/{account}"),
            plan: plan.to_owned(),
            version,
            period_anchor: None,
        };
        Ok(self.billing().put_entitlements(request).await?.into_inner().account.unwrap())
    }

    fn as_principal(&self, principal: &Principal) -> Transport {
        let token = self.signer.mint(principal, Clock::system().now(), Span::from_secs(600)).unwrap();
        Transport::connect(&self.address, Some(&Secret::new(token))).unwrap()
    }

    pub(crate) fn anonymous(&self) -> Transport {
        Transport::connect(&self.address, None).unwrap()
    }

    fn user(&self, account: &str, user: &str, role: Role) -> Transport {
        let account = Some(account.parse().unwrap());
        self.as_principal(&Principal::new(account, user.parse().unwrap(), [role], []))
    }

    pub(crate) fn admin(&self, account: &str) -> WebhookServiceClient<Transport> {
        WebhookServiceClient::new(self.user(account, "root", Role::GlobalAdmin))
    }

    pub(crate) fn member(&self, account: &str, user: &str) -> WebhookServiceClient<Transport> {
        WebhookServiceClient::new(self.user(account, user, Role::Member))
    }

    pub(crate) fn accounts_as_member(&self, account: &str) -> AccountServiceClient<Transport> {
        AccountServiceClient::new(self.user(account, "ann", Role::Member))
    }

    pub(crate) fn billing(&self) -> AccountServiceClient<Transport> {
        let scopes = [Scope::EntitlementsWrite, Scope::AccountsAny];
        let principal = Principal::new(None, "billing".parse().unwrap(), [], scopes);
        AccountServiceClient::new(self.as_principal(&principal))
    }

    pub(crate) fn feed(&self) -> FeedServiceClient<Transport> {
        FeedServiceClient::new(self.internal.clone())
    }

    pub(crate) fn internal(&self) -> Transport {
        self.internal.clone()
    }

    /// Does something to the registry's database behind its back.
    pub(crate) async fn execute(&self, statement: &str) {
        let transaction = self.database.write("test").await.unwrap();
        transaction.execute(statement, Vec::new()).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

pub(crate) fn webhook(kind: wire::WebhookKind, display_name: &str) -> wire::Webhook {
    let wants = Subscription { object: "deal".to_owned(), actions: vec![] };
    wire::Webhook {
        display_name: display_name.to_owned(),
        kind: kind.into(),
        endpoint_url: "https://hooks.example.com/in".to_owned(),
        subscription: (kind == wire::WebhookKind::Event).then_some(wants),
        ..wire::Webhook::default()
    }
}

pub(crate) fn create(account: &str, webhook: wire::Webhook) -> wire::CreateWebhookRequest {
    wire::CreateWebhookRequest {
        parent: format!("accounts/{account}"),
        webhook: Some(webhook),
        ..wire::CreateWebhookRequest::default()
    }
}

pub(crate) async fn created(
    client: &mut WebhookServiceClient<Transport>,
    account: &str,
    webhook: wire::Webhook,
) -> wire::Webhook {
    client.create_webhook(create(account, webhook)).await.unwrap().into_inner().webhook.unwrap()
}

pub(crate) fn update(webhook: wire::Webhook, paths: &[&str]) -> wire::UpdateWebhookRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    wire::UpdateWebhookRequest { webhook: Some(webhook), update_mask: Some(prost_types::FieldMask { paths }) }
}

/// The refusal, with its reason for comparison.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> Refusal {
    let status = answer.expect_err("the call should be refused");
    fault_of(&status).unwrap_or_else(|| panic!("no refusal of ours: {status:?}"))
}
