//! What a receiver answered, and how much of its body is taken.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

/// What a receiver answered: a complete head, and a body that was read to its end or to the cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code, 200 to 999 (informational answers are passed over).
    pub status: u16,
    /// The header fields, values as they came.
    pub headers: HeaderMap,
    /// The first bytes of the body as they came on the wire, never inflated; at most [`BodyCaps::keep`].
    pub body: Bytes,
    /// Whether the body was longer than what is kept.
    pub body_truncated: bool,
    /// Whom the connection was with. For operators only.
    pub remote: SocketAddr,
}

/// How much of an answer's body is taken, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyCaps {
    /// Most that is kept.
    pub keep: usize,
    /// Most that is read, where each piece counts 64 bytes at least; a connection whose body goes on is dropped.
    pub read: usize,
}

impl Default for BodyCaps {
    /// 64 KiB kept, 1 MiB read.
    fn default() -> Self {
        Self { keep: 64 * 1024, read: 1024 * 1024 }
    }
}

/// What a piece of a body counts at least, however small: that much it costs on the wire and here.
const LEAST_PIECE: usize = 64;

/// A body that is coming in.
pub(crate) struct Intake {
    caps: BodyCaps,
    kept: BytesMut,
    seen: usize,
    /// What was read as [`BodyCaps::read`] counts it.
    counted: usize,
}

impl Intake {
    pub(crate) fn new(caps: BodyCaps) -> Self {
        Self { caps, kept: BytesMut::new(), seen: 0, counted: 0 }
    }

    /// Takes the next piece and says whether more is wanted.
    pub(crate) fn take(&mut self, piece: &[u8]) -> bool {
        let room = self.caps.keep.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(piece.get(..room).unwrap_or(piece));
        self.seen = self.seen.saturating_add(piece.len());
        self.counted = self.counted.saturating_add(piece.len().max(LEAST_PIECE));
        self.counted < self.caps.read
    }

    /// What is kept, and whether the body was longer. `ended`: the body came to its own end.
    pub(crate) fn finish(self, ended: bool) -> (Bytes, bool) {
        let truncated = !ended || self.seen > self.kept.len();
        (self.kept.freeze(), truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyCaps, Intake};

    #[test]
    fn what_is_kept_ends_at_the_first_cap_and_reading_at_the_second() {
        let mut intake = Intake::new(BodyCaps { keep: 4, read: 200 });
        assert!(intake.take(b"abc"));
        assert!(intake.take(b"def"));
        assert!(!intake.take(&[b'g'; 100]));
        assert_eq!(intake.finish(false), ("abcd".into(), true));
    }

    #[test]
    fn a_body_of_tiny_pieces_ends_long_before_a_million_of_them() {
        let mut intake = Intake::new(BodyCaps::default());
        let pieces = (1..).take_while(|_| intake.take(b"x")).count();
        assert_eq!(pieces, 1024 * 1024 / 64 - 1);
    }

    #[test]
    fn a_body_that_just_fits_is_not_truncated() {
        let mut intake = Intake::new(BodyCaps { keep: 4, read: 80 });
        assert!(intake.take(b"abcd"));
        assert_eq!(intake.finish(true), ("abcd".into(), false));
        assert_eq!(Intake::new(BodyCaps::default()).finish(true), ("".into(), false));
    }
}
