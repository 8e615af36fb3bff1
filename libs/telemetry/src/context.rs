//! The ids that travel in a `traceparent` header, as W3C Trace Context (section 3.2) defines them.

use std::fmt;
use std::str::FromStr;

use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use thiserror::Error;

/// The flags we know and hand on: sampled, and that the trace id is random (level 2 of the specification).
const KNOWN_FLAGS: u8 = 0b11;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The text is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a traceparent must be `version-trace_id-span_id-flags` in lower-case hexadecimal, with ids that are not all zero"
)]
pub struct TraceContextError;

/// One span of one trace: whom the next span has as its parent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// The context of these ids; `None` when one of them is all zero.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<Self> {
        let valid = trace_id != [0; 16] && span_id != [0; 8];
        valid.then_some(Self { trace_id, span_id, flags: flags & KNOWN_FLAGS })
    }

    /// The trace's id, 16 bytes.
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span's id, 8 bytes.
    pub const fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The trace flags, as far as they have a meaning.
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the caller records the trace.
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The trace's id as 32 lower-case hexadecimal digits, as histories keep and find it.
    pub fn trace_id_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace_id))
    }

    /// The span's id as 16 lower-case hexadecimal digits.
    pub fn span_id_hex(&self) -> String {
        format!("{:016x}", u64::from_be_bytes(self.span_id))
    }

    /// The same, recorded or not.
    pub(crate) const fn with_sampled(self, sampled: bool) -> Self {
        Self { flags: self.flags & !1 | sampled as u8, ..self }
    }

    /// The first span of a new trace.
    pub fn root(sampled: bool) -> Self {
        let mut trace_id = RandomIdGenerator::default().new_trace_id().to_bytes();
        if trace_id == [0; 16] {
            trace_id[15] = 1;
        }
        Self { trace_id, span_id: [0; 8], flags: u8::from(sampled) }.random_child()
    }

    /// A new span below this one, in the same trace.
    pub fn random_child(&self) -> Self {
        self.child(RandomIdGenerator::default().new_span_id().to_bytes())
    }

    /// A span below this one, in the same trace, with these bytes as its id (the last is made 1 if all are 0).
    pub fn child(&self, mut random: [u8; 8]) -> Self {
        if random == [0; 8] {
            random[7] = 1;
        }
        Self { span_id: random, ..*self }
    }

    /// The work, with this as the current context whenever it is at it. Tasks that it spawns begin without.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self, work)
    }

    /// Does something with this as the current context.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }
}

impl FromStr for TraceContext {
    type Err = TraceContextError;

    /// Reads version 00 exactly, and of later versions the part that version 00 has.
    fn from_str(text: &str) -> Result<Self, TraceContextError> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(TraceContextError);
        let [version] = bytes(next()?)?;
        let trace_id = bytes(next()?)?;
        let span_id = bytes(next()?)?;
        let [flags] = bytes(next()?)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return Err(TraceContextError);
        }
        Self::new(trace_id, span_id, flags).ok_or(TraceContextError)
    }
}

fn bytes<const N: usize>(hex: &str) -> Result<[u8; N], TraceContextError> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(TraceContextError),
    };
    let mut bytes = [0; N];
    if hex.len() != 2 * N {
        return Err(TraceContextError);
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for TraceContext {
    /// The value of a `traceparent` header, version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let (trace, rest) = text[3..].split_at_mut(33);
        let (span, flags) = rest.split_at_mut(17);
        let written = [(trace, &self.trace_id[..]), (span, &self.span_id[..]), (flags, &[self.flags][..])];
        for (places, bytes) in written {
            for (place, byte) in places.chunks_exact_mut(2).zip(bytes) {
                place[0] = HEX[usize::from(byte >> 4)];
                place[1] = HEX[usize::from(byte & 15)];
            }
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The context of the call or attempt that is at work here; `None` outside of them.
pub fn current_trace_context() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIMEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_survives_a_round_trip() {
        let context: TraceContext = SPECIMEN.parse().unwrap();
        assert_eq!(context.to_string(), SPECIMEN);
        assert_eq!(context.trace_id_hex(), "0af7651916cd43dd8448eb211c80319c");
        assert!(context.is_sampled());
    }

    #[test]
    fn a_later_version_is_read_as_far_as_version_00_goes() {
        let later = SPECIMEN.replacen("00", "cc", 1) + "-what-the-future-brings";
        assert_eq!(later.parse::<TraceContext>().unwrap().to_string(), SPECIMEN);
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033é-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(TraceContextError), "{bad}");
        }
    }

    #[test]
    fn a_child_keeps_the_trace_and_is_never_zero() {
        let parent: TraceContext = SPECIMEN.parse().unwrap();
        let child = parent.child([7; 8]);
        assert_eq!((child.trace_id(), child.span_id(), child.flags()), (parent.trace_id(), [7; 8], 1));
        assert_eq!(parent.child([0; 8]).span_id(), [0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn flags_without_a_meaning_are_not_handed_on() {
        let odd = SPECIMEN.replace("3331-01", "3331-ff").parse::<TraceContext>().unwrap();
        assert_eq!((odd.flags(), odd.is_sampled()), (3, true));
    }

    #[tokio::test]
    async fn the_current_context_is_that_of_the_innermost_work() {
        assert_eq!(current_trace_context(), None);
        let outer = TraceContext::root(true);
        let inner = outer.random_child();
        let seen = outer.scope(async {
            let before = current_trace_context();
            inner.scope(tokio::task::yield_now()).await;
            (before, inner.within(current_trace_context), current_trace_context())
        });
        assert_eq!(seen.await, (Some(outer), Some(inner), Some(outer)));
        assert_eq!(current_trace_context(), None);
        assert!(inner.trace_id() == outer.trace_id() && inner.span_id() != outer.span_id());
    }
}
