//! Puts a server together and checks that its parts fit.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Method, Request};
use prost_types::FileDescriptorSet;
use sluice_auth::{Access, AccessTable, Verifier};
use sluice_domain::Timestamp;
use sluice_runtime::Current;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::Service;
use tower_http::cors::{Any, CorsLayer};

use super::admission::Rules;
use super::descriptors::{decode, methods, restricted};
use super::health::{Looked, Pulse, Watched};
use super::limits::Limits;
use super::{Server, ServerError};

/// What everybody may call, with whether the answer is a stream.
const HEALTH: [(&str, bool); 2] =
    [("/grpc.health.v1.Health/Check", false), ("/grpc.health.v1.Health/Watch", true)];
const REFLECTION: [(&str, bool); 2] = [
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true),
];

/// The largest question about health, in bytes: a service's name. Anybody may ask.
const MAX_HEALTH_BYTES: usize = 4 * 1024;

/// Headers that a browser may send, and those that it may read.
const SENT: [&str; 7] = [
    "authorization",
    "content-type",
    "grpc-timeout",
    "traceparent",
    "tracestate",
    "x-grpc-web",
    "x-user-agent",
];
const READ: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// A server in the making.
pub struct ServerBuilder {
    name: &'static str,
    routes: RoutesBuilder,
    services: Vec<&'static str>,
    tables: Vec<AccessTable>,
    descriptors: FileDescriptorSet,
    broken: Option<ServerError>,
    reflection: bool,
    origins: Vec<String>,
    limits: Limits,
    looked: Vec<Looked>,
}

impl ServerBuilder {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            routes: RoutesBuilder::default(),
            services: Vec::new(),
            tables: Vec::new(),
            descriptors: FileDescriptorSet::default(),
            broken: None,
            reflection: true,
            origins: Vec::new(),
            limits: Limits::default(),
            looked: Vec::new(),
        }
    }

    /// Adds a generated service; its message sizes are set on itself.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.routes.add_service(service);
        self
    }

    /// Adds rows to the access table; health and reflection have theirs already.
    #[must_use]
    pub fn access(mut self, table: AccessTable) -> Self {
        self.tables.push(table);
        self
    }

    /// The contracts: an encoded `FileDescriptorSet` that has at least the services added.
    #[must_use]
    pub fn descriptors(mut self, encoded: &[u8]) -> Self {
        match decode(encoded) {
            Ok(set) => self.descriptors.file.extend(set.file),
            Err(error) => self.broken = Some(error),
        }
        self
    }

    /// Whether the server tells its contracts to whoever asks (it does unless told not to).
    #[must_use]
    pub fn reflection(mut self, on: bool) -> Self {
        self.reflection = on;
        self
    }

    /// Origins whose pages may call the server from a browser, such as `https://app.example.com`, or `*` for all.
    /// Without any, none may.
    #[must_use]
    pub fn origins(mut self, origins: Vec<String>) -> Self {
        self.origins = origins;
        self
    }

    /// What the server takes at most.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the services that were added since the last such call healthy only while this answers true, and the server as a
    /// whole only while all are. It is asked when somebody asks for health, at most once a second, and may take a second.
    #[must_use]
    pub fn healthy_while<F>(mut self, look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let told: Vec<&str> = self.looked.iter().flat_map(|looked| looked.names.iter().copied()).collect();
        let names = self.services.iter().copied().filter(|name| !told.contains(name)).collect();
        self.looked.push(Looked { look: Box::new(move || look().boxed()), names, needed: true });
        self
    }

    /// Tells whoever asks for health under this name, such as `database`, whether something is there that the server stands on.
    /// Its own health does not follow from it.
    #[must_use]
    pub fn tells_of<F>(mut self, name: &'static str, look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let look = Looked { look: Box::new(move || look().boxed()), names: vec![name], needed: false };
        self.looked.push(look);
        self
    }

    /// The server, if its access table has a row for each of its RPCs and no other. A verifier that is replaced judges from the next
    /// call on.
    ///
    /// # Errors
    /// What does not fit.
    pub fn build(
        self,
        verifier: impl Into<Current<Verifier>>,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Server, ServerError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let cors = cors(&self.origins)?;
        let methods = methods(&self.descriptors, &self.services)?;
        let mut access = AccessTable::default();
        for table in self.tables {
            access = access.merge(table)?;
        }
        access.check(methods.iter().map(|method| &method.path))?;

        let open: Vec<(&str, bool)> =
            HEALTH.into_iter().chain(REFLECTION.into_iter().filter(|_| self.reflection)).collect();
        access = access.merge(AccessTable::new(open.iter().map(|(path, _)| (*path, Access::Open)))?)?;
        let declared = methods.into_iter().map(|method| (method.path, method.watch));
        let all = declared.chain(open.iter().map(|(path, watch)| ((*path).to_owned(), *watch)));
        let watches = all.filter(|(_, watch)| *watch).map(|(path, _)| path).collect();

        let mut routes = self.routes;
        let health = HealthReporter::new();
        for service in &self.services {
            // The lock is nobody else's yet, so this is done at once.
            let _ = health.set_service_status(service, ServingStatus::Serving).now_or_never();
        }
        let now = Arc::new(now);
        let clock = Arc::clone(&now);
        let pulse = Arc::new(Pulse::new(
            health.clone(),
            self.services.clone(),
            self.looked,
            Box::new(move || clock()),
        ));
        let told = HealthServer::new(HealthService::from_health_reporter(health.clone()))
            .max_decoding_message_size(MAX_HEALTH_BYTES);
        let told = Watched::new(told, Arc::clone(&pulse));
        let probes = Routes::new(told.clone()).prepare();
        routes.add_service(told);
        if self.reflection {
            let told = restricted(&self.descriptors, &self.services);
            let reflection = || {
                tonic_reflection::server::Builder::configure()
                    .register_file_descriptor_set(told.clone())
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            };
            let refused =
                |error: tonic_reflection::server::Error| ServerError::Descriptors(error.to_string());
            routes.add_service(reflection().build_v1().map_err(refused)?);
            routes.add_service(reflection().build_v1alpha().map_err(refused)?);
        }
        let rules = Rules::new(verifier.into(), access, watches, Box::new(move || now()), &self.limits);
        Ok(Server {
            name: self.name,
            routes: routes.routes().prepare(),
            rules: rules.into(),
            limits: self.limits,
            cors,
            probes,
            health,
            pulse,
            services: self.services,
            tls: None,
        })
    }
}

/// Cross-origin rules for gRPC-Web.
fn cors(origins: &[String]) -> Result<CorsLayer, ServerError> {
    let layer = CorsLayer::new()
        .allow_methods([Method::POST])
        .allow_headers(SENT.map(HeaderName::from_static))
        .expose_headers(READ.map(HeaderName::from_static))
        .max_age(Duration::from_secs(3_600));
    if origins.iter().any(|origin| origin == "*") {
        return Ok(layer.allow_origin(Any));
    }
    let origins = origins.iter().map(|origin| {
        let plausible = origin.contains("://") && !origin.ends_with('/');
        HeaderValue::from_str(origin)
            .ok()
            .filter(|_| plausible)
            .ok_or_else(|| ServerError::Origin(origin.clone()))
    });
    Ok(layer.allow_origin(origins.collect::<Result<Vec<_>, _>>()?))
}
