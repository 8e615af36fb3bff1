//! The client's resolver: what is judged is what is dialled.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::name::{NameKind, decide_name, without_root};
use crate::target::decide_all;
use crate::{Policy, Refusal};

/// Where the addresses of a name are looked up.
pub trait Lookup: Send + Sync + 'static {
    /// Gives all addresses of `host`, a name of several labels without a dot at its end.
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The client's resolver: gives only addresses it has judged, so what is judged is what is dialled.
pub(crate) struct PinnedResolver {
    policy: Arc<Policy>,
    lookup: Arc<dyn Lookup>,
}

impl PinnedResolver {
    pub(crate) fn new(policy: Arc<Policy>, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }

    /// Looks a name up and judges it and every address it has.
    fn addresses(&self, name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, ResolveError>> {
        let policy = Arc::clone(&self.policy);
        match decide_name(name, &policy) {
            Err(refusal) => std::future::ready(Err(refusal.into())).boxed(),
            Ok(NameKind::Loopback) => {
                std::future::ready(decide_all(policy.loopback(), &policy).map_err(ResolveError::from)).boxed()
            }
            Ok(NameKind::Ordinary) => {
                let looking = self.lookup.lookup(without_root(name));
                async move {
                    let addresses = decide_all(looking.await?, &policy)?;
                    if addresses.is_empty() { Err(ResolveError::NoAddress) } else { Ok(addresses) }
                }
                .boxed()
            }
        }
    }
}

impl Resolve for PinnedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.addresses(name.as_str());
        Box::pin(async move {
            // Port 0 stands for the URL's own.
            let sockets = addresses.await?.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

/// Why a name gave nothing to dial.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The name or one of its addresses is forbidden.
    #[error("the name may not be called")]
    Forbidden(#[from] Refusal),
    /// The name exists without an address.
    #[error("the name has no address")]
    NoAddress,
    /// The look-up failed.
    #[error("the look-up failed")]
    Lookup(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::net::IpAddr;
    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::{Lookup, PinnedResolver, ResolveError};
    use crate::{Policy, Refusal};

    /// Answers look-ups in turn and keeps what was asked.
    #[derive(Default)]
    struct Script {
        answers: Mutex<VecDeque<Vec<&'static str>>>,
        asked: Mutex<Vec<String>>,
    }

    impl Script {
        fn of<const N: usize>(answers: [&[&'static str]; N]) -> Arc<Self> {
            let answers = answers.iter().map(|answer| answer.to_vec()).collect();
            Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default() })
        }
    }

    impl Lookup for Script {
        fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            self.asked.lock().unwrap().push(host.to_owned());
            let answer = self.answers.lock().unwrap().pop_front();
            let answer = answer.ok_or_else(|| io::Error::other("no such name"));
            std::future::ready(answer.map(|list| list.iter().map(|text| text.parse().unwrap()).collect()))
                .boxed()
        }
    }

    async fn resolve(script: &Arc<Script>, policy: Policy, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let lookup: Arc<dyn Lookup> = Arc::<Script>::clone(script);
        PinnedResolver::new(Arc::new(policy), lookup).addresses(name).await
    }

    #[tokio::test]
    async fn a_name_that_turns_private_is_refused_the_second_time() {
        let script = Script::of([&["93.184.215.14"], &["10.0.0.1"]]);
        let public: IpAddr = "93.184.215.14".parse().unwrap();
        assert_eq!(resolve(&script, Policy::default(), "example.com").await.unwrap(), [public]);
        let second = resolve(&script, Policy::default(), "example.com").await;
        assert!(matches!(second, Err(ResolveError::Forbidden(Refusal::Address { .. }))));
    }

    #[tokio::test]
    async fn one_forbidden_address_forbids_all() {
        for answer in [["93.184.215.14", "10.0.0.1"], ["::1", "93.184.215.14"], ["1.1.1.1", "::ffff:1.1.1.1"]]
        {
            let script = Script::of([&answer]);
            let refused = resolve(&script, Policy::default(), "example.com").await;
            assert!(matches!(refused, Err(ResolveError::Forbidden(_))), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn forbidden_names_and_localhost_are_never_looked_up() {
        let script = Script::of([]);
        for name in ["localhost", "printer.local", "metadata.google.internal", "api"] {
            let refused = resolve(&script, Policy::default(), name).await;
            assert!(matches!(refused, Err(ResolveError::Forbidden(Refusal::Name { .. }))), "{name}");
        }
        assert_eq!(resolve(&script, Policy::development(), "localhost").await.unwrap().len(), 2);
        assert!(script.asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_name_without_addresses_and_a_failed_look_up_dial_nothing() {
        let script = Script::of([&[]]);
        let empty = resolve(&script, Policy::default(), "example.com.").await;
        assert!(matches!(empty, Err(ResolveError::NoAddress)));
        let failed = resolve(&script, Policy::default(), "example.com").await;
        assert!(matches!(failed, Err(ResolveError::Lookup(_))));
        assert_eq!(*script.asked.lock().unwrap(), ["example.com", "example.com"]);
    }
}
