//! The operating system's resolver, shared so that nobody's names keep others' from being looked up.
//!
//! The system's look-up holds a thread for as long as a name's servers take, and can't be given up. So a name is looked up once
//! at a time, whoever asks; a domain has few threads at once; and who finds none free waits for a while and is told.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::resolver::Lookup;

/// Look-ups at once: half of what the runtime has threads for, so that names whose servers hang leave the other
/// half to the rest of the house.
const LOOKUPS_AT_ONCE: usize = 256;
/// Of these, for names of one domain, by its last two labels.
const LOOKUPS_OF_A_DOMAIN: usize = 16;
/// How long a look-up waits for a thread: as long as a connection may take by default. A caller with less time goes earlier.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a look-up came to, for all who wait for it.
type Found = Result<Vec<IpAddr>, Arc<io::Error>>;

/// The operating system's resolver.
///
/// Names are looked up absolute, so that no search list of the machine or the cluster completes them.
#[derive(Clone)]
pub struct SystemLookup(Arc<Desk>);

/// Asks the system for the addresses of an absolute name; holds its thread meanwhile.
type Ask = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// What is under way.
struct Desk {
    ask: Box<Ask>,
    threads: Arc<Semaphore>,
    of_a_domain: usize,
    patience: Duration,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    names: HashMap<String, watch::Receiver<Option<Found>>>,
    domains: HashMap<String, Arc<Semaphore>>,
}

impl Default for SystemLookup {
    fn default() -> Self {
        let ask = |absolute: &str| {
            (absolute, 0).to_socket_addrs().map(|found| found.map(|socket| socket.ip()).collect())
        };
        Self::with(ask, LOOKUPS_AT_ONCE, LOOKUPS_OF_A_DOMAIN, PATIENCE)
    }
}

impl SystemLookup {
    fn with(
        ask: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
        threads: usize,
        of_a_domain: usize,
        patience: Duration,
    ) -> Self {
        let threads = Arc::new(Semaphore::new(threads));
        let ask = Box::new(ask);
        Self(Arc::new(Desk { ask, threads, of_a_domain, patience, under_way: Mutex::default() }))
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (desk, host) = (Arc::clone(&self.0), host.to_owned());
        async move {
            let mut told = desk.join(host);
            let found = told.wait_for(Option::is_some).await.map_err(io::Error::other)?;
            match &*found {
                Some(Ok(addresses)) => Ok(addresses.clone()),
                Some(Err(error)) => Err(io::Error::new(error.kind(), Arc::clone(error))),
                None => Err(io::Error::other("a look-up ended without an answer")),
            }
        }
        .boxed()
    }
}

impl Desk {
    /// Waits with those who look the name up already, or begins.
    fn join(self: &Arc<Self>, host: String) -> watch::Receiver<Option<Found>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = under_way.names.get(&host) {
            return told.clone();
        }
        let places = under_way.domains.entry(domain_of(&host).to_owned());
        let places = Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(self.of_a_domain))));
        let (tell, told) = watch::channel(None);
        under_way.names.insert(host.clone(), told.clone());
        // A task of its own: it goes on for the others when the caller that began gives up.
        tokio::spawn(Arc::clone(self).look(host, places, tell));
        told
    }

    async fn look(self: Arc<Self>, host: String, places: Arc<Semaphore>, tell: watch::Sender<Option<Found>>) {
        let found = self.found(&host, places).await.map_err(Arc::new);
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.names.remove(&host);
        let domain = domain_of(&host);
        if under_way.domains.get(domain).is_some_and(|places| Arc::strong_count(places) == 1) {
            under_way.domains.remove(domain);
        }
        drop(under_way);
        tell.send_replace(Some(found));
    }

    async fn found(self: &Arc<Self>, host: &str, places: Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
        let permits = tokio::time::timeout(self.patience, self.permits(places)).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, "as many look-ups are under way as there may be")
        })??;
        let (desk, absolute) = (Arc::clone(self), format!("{host}."));
        let found = tokio::task::spawn_blocking(move || {
            // With the thread, which ends when the system has answered and not when the callers have gone.
            let _permits = permits;
            (desk.ask)(&absolute)
        });
        found.await.map_err(io::Error::other)?
    }

    /// A place of the domain first, so that who waits for that holds no thread.
    async fn permits(&self, places: Arc<Semaphore>) -> io::Result<[OwnedSemaphorePermit; 2]> {
        let place = places.acquire_owned().await.map_err(io::Error::other)?;
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(io::Error::other)?;
        Ok([place, thread])
    }
}

/// The last two labels of a name: what one owner has, except below public suffixes of two labels, which share.
fn domain_of(host: &str) -> &str {
    host.rmatch_indices('.').nth(1).map_or(host, |(at, _)| &host[at + 1..])
}

impl fmt::Debug for SystemLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemLookup")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PUBLIC: &str = "93.184.215.14";

    /// A resolver whose names in `hang.example` hang until the sender is dropped, with all that it was asked.
    fn system(
        threads: usize,
        patience: Duration,
    ) -> (SystemLookup, mpsc::Sender<()>, Arc<Mutex<Vec<String>>>) {
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let ask = move |absolute: &str| {
            noted.lock().unwrap().push(absolute.to_owned());
            if absolute.ends_with("hang.example.") {
                let _ = gate.lock().unwrap().recv();
            }
            Ok(vec![PUBLIC.parse().unwrap()])
        };
        (SystemLookup::with(ask, threads, LOOKUPS_OF_A_DOMAIN, patience), open, asked)
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_who_ask_and_anew_afterwards() {
        let (system, open, asked) = system(8, PATIENCE);
        let mut waiting: Vec<_> = (0..5).map(|_| system.lookup("a.hang.example")).collect();
        assert!(waiting.iter_mut().all(|lookup| lookup.now_or_never().is_none()));
        // The one that began gives up; the others get their answer all the same.
        drop(waiting.remove(0));
        drop(open);
        for lookup in waiting {
            assert_eq!(lookup.await.unwrap(), [PUBLIC.parse::<IpAddr>().unwrap()]);
        }
        assert_eq!(*asked.lock().unwrap(), ["a.hang.example."]);
        system.lookup("a.hang.example").await.unwrap();
        assert_eq!(asked.lock().unwrap().len(), 2);
        assert!(system.0.under_way.lock().unwrap().names.is_empty());
        assert!(system.0.under_way.lock().unwrap().domains.is_empty());
    }

    #[tokio::test]
    async fn a_domain_whose_names_hang_leaves_threads_to_the_others() {
        let (system, open, asked) = system(LOOKUPS_OF_A_DOMAIN + 1, PATIENCE);
        let mut hanging: Vec<_> = (0..100).map(|at| system.lookup(&format!("n{at}.hang.example"))).collect();
        assert!(hanging.iter_mut().all(|lookup| lookup.now_or_never().is_none()));
        assert!(system.lookup("hooks.example.org").await.is_ok());
        let of_the_domain =
            |asked: &[String]| asked.iter().filter(|name| name.ends_with("hang.example.")).count();
        assert!(of_the_domain(&asked.lock().unwrap()) <= LOOKUPS_OF_A_DOMAIN);
        drop(open);
        for lookup in hanging {
            assert!(lookup.await.is_ok());
        }
    }

    #[tokio::test]
    async fn who_finds_no_thread_free_is_told_and_does_not_wait_for_ever() {
        let (system, open, _) = system(1, Duration::from_millis(1));
        let mut hanging = system.lookup("a.hang.example");
        while system.0.threads.available_permits() > 0 {
            assert!((&mut hanging).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        let refused = system.lookup("hooks.example.org").await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        drop(open);
        assert!(hanging.await.is_ok());
        assert!(system.lookup("hooks.example.org").await.is_ok());
    }

    #[test]
    fn a_domain_is_the_last_two_labels() {
        for (host, domain) in
            [("a.b.example.com", "example.com"), ("example.com", "example.com"), ("com", "com")]
        {
            assert_eq!(domain_of(host), domain);
        }
    }
}
