//! Health that is asked for: what the server stands on is looked at when somebody wants to know, at most once a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response};
use sluice_domain::{Span, Timestamp};
use tokio::sync::Mutex;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::{Service, ServiceExt as _};

/// How long an answer holds.
const HOLDS: Span = Span::from_secs(1);
/// How long what is looked at may take to answer; silence is no.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks whether something that the server needs is there.
pub(crate) type Look = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// What the health of a server follows from.
pub(crate) struct Pulse {
    reporter: HealthReporter,
    services: Vec<&'static str>,
    looks: Vec<Look>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    looked_at: Mutex<Option<Timestamp>>,
    stopping: AtomicBool,
}

impl Pulse {
    pub(crate) fn new(
        reporter: HealthReporter,
        services: Vec<&'static str>,
        looks: Vec<Look>,
        now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        Self { reporter, services, looks, now, looked_at: Mutex::new(None), stopping: AtomicBool::new(false) }
    }

    /// Says no from now on, whatever is seen.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.tell(ServingStatus::NotServing).await;
    }

    /// Looks again, unless that was done a moment ago. Who asks meanwhile waits for the same answer.
    async fn look(&self) {
        if self.looks.is_empty() {
            return;
        }
        let mut looked_at = self.looked_at.lock().await;
        let now = (self.now)();
        if looked_at.is_some_and(|then| then <= now && now.since(then) < HOLDS) {
            return;
        }
        let all = join_all(self.looks.iter().map(|look| look()));
        let seen =
            tokio::time::timeout(PATIENCE, all).await.is_ok_and(|seen| seen.into_iter().all(|well| well));
        self.tell(if seen { ServingStatus::Serving } else { ServingStatus::NotServing }).await;
        if self.stopping.load(Ordering::SeqCst) {
            self.tell(ServingStatus::NotServing).await;
        }
        *looked_at = Some((self.now)());
    }

    async fn tell(&self, status: ServingStatus) {
        for service in self.services.iter().copied().chain([""]) {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

/// The health service, behind a look.
#[derive(Clone)]
pub(crate) struct Watched<S> {
    inner: S,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    pub(crate) const fn new(inner: S, pulse: Arc<Pulse>) -> Self {
        Self { inner, pulse }
    }
}

impl<S: NamedService> NamedService for Watched<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (inner, pulse) = (self.inner.clone(), Arc::clone(&self.pulse));
        Box::pin(async move {
            pulse.look().await;
            inner.oneshot(request).await
        })
    }
}
