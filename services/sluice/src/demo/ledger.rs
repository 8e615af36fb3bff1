//! What the demo's receiver saw, and how it behaves: pure, so that its counting can be tested.

use serde::{Deserialize, Serialize};

/// One request that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The method.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// `webhook-id`, empty when it was absent; so are the other headers.
    pub webhook_id: String,
    /// `sluice-execution`.
    pub execution: String,
    /// `sluice-attempt`; 0 when it was absent or no number.
    pub attempt: u32,
    /// The status that was answered.
    pub status: u16,
    /// Whether the signature verified under one of the secrets known at that time.
    pub verified: bool,
    /// SHA-256 of the body, in hexadecimal digits.
    pub body_sha256: String,
}

impl Hit {
    /// Whether the receiver answered 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A path that answers with a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// What paths begin with.
    pub prefix: String,
    /// What they answer.
    pub status: u16,
}

/// All requests in the order of their arrival.
#[derive(Debug, Default)]
pub struct Ledger {
    hits: Vec<Hit>,
    broken: Option<Broken>,
    forget_next_success: bool,
}

impl Ledger {
    /// An empty ledger; with `forget_one` it leaves out the first request that is answered well.
    pub fn new(forget_one: bool) -> Self {
        Self { forget_next_success: forget_one, ..Self::default() }
    }

    /// What a request to `path` is to be answered, given whether it proved itself.
    pub fn status_for(&self, path: &str, verified: bool) -> u16 {
        match &self.broken {
            Some(broken) if path.starts_with(&broken.prefix) => broken.status,
            _ if verified => 200,
            _ => 401,
        }
    }

    /// Notes a request.
    pub fn record(&mut self, hit: Hit) {
        if self.forget_next_success && hit.is_success() {
            self.forget_next_success = false;
            return;
        }
        self.hits.push(hit);
    }

    /// Breaks the paths, or mends all with `None`.
    pub fn set_broken(&mut self, broken: Option<Broken>) {
        self.broken = broken;
    }

    /// What arrived so far.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(id: &str, status: u16) -> Hit {
        Hit {
            method: "POST".to_owned(),
            path: "/crm/".to_owned(),
            webhook_id: id.to_owned(),
            execution: "ex_1".to_owned(),
            attempt: 1,
            status,
            verified: true,
            body_sha256: String::new(),
        }
    }

    #[test]
    fn a_forgetful_ledger_forgets_the_first_success_and_nothing_else() {
        let mut ledger = Ledger::new(true);
        for (id, status) in [("dl_1", 503), ("dl_1", 200), ("dl_2", 200)] {
            ledger.record(hit(id, status));
        }
        let kept: Vec<_> = ledger.hits().iter().map(|hit| (hit.webhook_id.as_str(), hit.status)).collect();
        assert_eq!(kept, [("dl_1", 503), ("dl_2", 200)]);
    }

    #[test]
    fn a_broken_path_fails_until_it_is_mended_and_strangers_are_not_believed() {
        let mut ledger = Ledger::new(false);
        ledger.set_broken(Some(Broken { prefix: "/crm/".to_owned(), status: 503 }));
        assert_eq!(ledger.status_for("/crm/deals/1", true), 503);
        assert_eq!(ledger.status_for("/other", true), 200);
        ledger.set_broken(None);
        assert_eq!(ledger.status_for("/crm/deals/1", true), 200);
        assert_eq!(ledger.status_for("/crm/deals/1", false), 401);
    }
}
