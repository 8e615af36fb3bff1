//! Whether a call is let in: is the RPC served here, is there room, who calls, may they.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use sluice_auth::{AccessTable, Decision, Principal, Verifier};
use sluice_domain::{Reason, Span, Timestamp, Violations};
use sluice_runtime::Current;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::deadline::asked_for;
use super::door::InProcess;
use super::limits::Limits;
use super::places::{Place, Places};
use crate::caller::Caller;
use crate::fault::Fault;

/// When a shed call may be tried again.
const SHED_RETRY: Span = Span::from_millis(500);

/// The rules that calls are let in by; one for each server.
pub(crate) struct Rules {
    verifier: Current<Verifier>,
    access: AccessTable,
    watches: HashSet<String>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    deadline: Duration,
    max_header_bytes: u32,
    open_stream_age: Duration,
    calls: Places,
    watches_open: Places,
    strangers: Places,
    stopping: CancellationToken,
}

/// A call that was let in.
pub(crate) struct Admitted {
    /// Its place among those under way; free again when dropped.
    pub(crate) place: Option<Place>,
    /// Whether its answer is a stream.
    pub(crate) watch: bool,
    /// How long it may take until its answer begins.
    pub(crate) deadline: Option<Duration>,
    /// How long its streamed answer may go on; `None` means until the server stops.
    pub(crate) age: Option<Duration>,
}

impl Rules {
    pub(crate) fn new(
        verifier: Current<Verifier>,
        access: AccessTable,
        watches: HashSet<String>,
        now: Box<dyn Fn() -> Timestamp + Send + Sync>,
        limits: &Limits,
    ) -> Self {
        Self {
            verifier,
            access,
            watches,
            now,
            deadline: limits.deadline,
            max_header_bytes: limits.max_header_bytes,
            open_stream_age: limits.open_stream_age,
            calls: Places::new(limits.max_in_flight),
            watches_open: Places::new(limits.max_watches),
            strangers: Places::new(limits.max_open_streams),
            stopping: CancellationToken::new(),
        }
    }

    /// Cancelled once the server stops.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Whether there is such an RPC here.
    pub(crate) fn serves(&self, path: &str) -> bool {
        self.access.lists(path)
    }

    /// Whether its calls have spans: those to health and reflection, and to what is not served here, have none.
    pub(crate) fn traces(&self, path: &str) -> bool {
        self.serves(path) && self.access.decide(path, None) != Decision::Allow
    }

    /// What lines call an RPC: only names that the contracts have.
    pub(crate) fn name_of<'a>(&self, path: &'a str) -> &'a str {
        if self.serves(path) { path.trim_start_matches('/') } else { "unknown" }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Lets the call in, leaving the caller in its extensions, or says why not.
    ///
    /// Calls within the process take no place: they are part of one that has its own, or of a worker's bounded work.
    /// Nor do open calls, so that health is told under load, too; open streams have places of their own and end in time, since
    /// anybody can hold them.
    pub(crate) fn admit<B>(&self, request: &mut Request<B>) -> Result<Admitted, Status> {
        if header_bytes(request.headers()) > u64::from(self.max_header_bytes) {
            let rule = format!("may take {} bytes together", self.max_header_bytes);
            let mut violations = Violations::new();
            violations.add("headers", rule);
            return Err(Fault::invalid(violations).into());
        }
        let path = request.uri().path();
        if !self.serves(path) {
            return Err(Fault::of(Reason::MethodUnknown, "this server has no such method").into());
        }
        let watch = self.watches.contains(path);
        let open = self.access.decide(path, None) == Decision::Allow;
        let in_process = request.extensions_mut().remove::<InProcess>();
        let places = match (in_process.is_some(), open, watch) {
            (true, _, _) | (false, true, false) => None,
            (false, true, true) => Some(&self.strangers),
            (false, false, true) => Some(&self.watches_open),
            (false, false, false) => Some(&self.calls),
        };
        let mut place = places.map(|places| places.take().ok_or_else(full)).transpose()?;

        let caller = match in_process {
            Some(InProcess(principal)) => Some(principal),
            None if open => None,
            None => Some(Arc::new(self.verified(request.headers())?)),
        };
        self.decided(request.uri().path(), caller.as_deref())?;
        if let (Some(places), Some(place), Some(account)) =
            (places, &mut place, caller.as_ref().and_then(|caller| caller.account()))
            && !places.charge(place, account)
        {
            let message = "the account has as much under way as one account may have";
            return Err(Fault::overloaded(message, SHED_RETRY).with("account", account).into());
        }

        let asked = asked_for(request.headers());
        if let Some(principal) = caller {
            request.extensions_mut().insert(Caller(principal));
        }
        let deadline =
            if watch { asked } else { Some(asked.map_or(self.deadline, |asked| asked.min(self.deadline))) };
        let age = (open && watch && place.is_some()).then_some(self.open_stream_age);
        Ok(Admitted { place, watch, deadline, age })
    }

    fn verified(&self, headers: &HeaderMap) -> Result<Principal, Status> {
        let token = bearer(headers)?;
        self.verifier
            .get()
            .verify(token, self.now())
            .map_err(|error| Fault::unauthenticated(error.to_string()).into())
    }

    fn decided(&self, path: &str, caller: Option<&Principal>) -> Result<(), Status> {
        match self.access.decide(path, caller) {
            Decision::Allow => Ok(()),
            Decision::Unauthenticated => Err(Fault::unauthenticated("this call needs a token").into()),
            Decision::Denied => {
                let message = "the token's roles and scopes do not open this call";
                Err(Fault::permission_denied(message).with("method", path).into())
            }
        }
    }
}

fn full() -> Fault {
    Fault::overloaded("the server has as much under way as it takes", SHED_RETRY)
}

/// The token in the one `authorization` header.
fn bearer(headers: &HeaderMap) -> Result<&str, Status> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let missing = || Fault::unauthenticated("the call needs a token in its `authorization` metadata");
    let value = values.next().ok_or_else(missing)?;
    let malformed =
        || Fault::unauthenticated("the `authorization` metadata must be one `Bearer` and a token");
    if values.next().is_some() {
        return Err(malformed().into());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(malformed().into()) }
}

/// The size of the headers as HTTP/2 counts it (RFC 9113, section 6.5.2).
fn header_bytes(headers: &HeaderMap) -> u64 {
    let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX)
}
