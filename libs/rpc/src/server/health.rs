//! Health that is asked for: what the server stands on is looked at when somebody wants to know, at most once a second.

use std::collections::BTreeMap;
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

/// The name of the server as a whole.
const ALL: &str = "";

/// How long an answer holds.
const HOLDS: Span = Span::from_secs(1);
/// How long what is looked at may take to answer; silence is no.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks whether something is there.
pub(crate) type Look = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// Something that is looked at, and whose health follows from it.
pub(crate) struct Looked {
    pub(crate) look: Look,
    /// Under these names its health is told.
    pub(crate) names: Vec<&'static str>,
    /// Whether the server as a whole can't be healthy without it.
    pub(crate) needed: bool,
}

/// What the health of a server follows from.
pub(crate) struct Pulse {
    reporter: HealthReporter,
    services: Vec<&'static str>,
    looked: Vec<Looked>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    looked_at: Mutex<Option<Timestamp>>,
    stopping: AtomicBool,
}

impl Pulse {
    pub(crate) fn new(
        reporter: HealthReporter,
        services: Vec<&'static str>,
        looked: Vec<Looked>,
        now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        Self {
            reporter,
            services,
            looked,
            now,
            looked_at: Mutex::new(None),
            stopping: AtomicBool::new(false),
        }
    }

    /// Says no from now on, whatever is seen.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for name in self.services.iter().copied().chain([ALL]) {
            self.tell(name, false).await;
        }
    }

    /// Looks again, unless that was done a moment ago. Who asks meanwhile waits for the same answer.
    async fn look(&self) {
        if self.looked.is_empty() {
            return;
        }
        let mut looked_at = self.looked_at.lock().await;
        let now = (self.now)();
        if looked_at.is_some_and(|then| then <= now && now.since(then) < HOLDS) {
            return;
        }
        let looks = self.looked.iter().map(|looked| tokio::time::timeout(PATIENCE, (looked.look)()));
        let seen = join_all(looks).await.into_iter().map(|seen| seen.unwrap_or(false));
        for (name, well) in judged(&self.looked, seen) {
            self.tell(name, well).await;
        }
        if self.stopping.load(Ordering::SeqCst) {
            self.stop().await;
        }
        *looked_at = Some((self.now)());
    }

    async fn tell(&self, name: &'static str, well: bool) {
        let status = if well { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(name, status).await;
    }
}

/// What is told of each name: it is well while all that it follows from is.
fn judged(looked: &[Looked], seen: impl Iterator<Item = bool>) -> BTreeMap<&'static str, bool> {
    let mut told = BTreeMap::from([(ALL, true)]);
    for (looked, well) in looked.iter().zip(seen) {
        for name in looked.names.iter().copied().chain(looked.needed.then_some(ALL)) {
            *told.entry(name).or_insert(true) &= well;
        }
    }
    told
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn each_name_follows_from_its_own_and_the_whole_from_what_is_needed() {
        let looked = |names: &[&'static str], needed| Looked {
            look: Box::new(|| std::future::ready(true).boxed()),
            names: names.to_vec(),
            needed,
        };
        let looked = [looked(&["a", "b"], true), looked(&["c"], true), looked(&["registry", "c"], false)];
        let told = |seen: [bool; 3]| {
            let told = judged(&looked, seen.into_iter());
            ["", "a", "b", "c", "registry"].map(|name| told[name])
        };
        assert_eq!(told([true, true, true]), [true; 5]);
        assert_eq!(told([false, true, true]), [false, false, false, true, true]);
        assert_eq!(told([true, false, true]), [false, true, true, false, true]);
        assert_eq!(told([true, true, false]), [true, true, true, false, false]);
    }
}
