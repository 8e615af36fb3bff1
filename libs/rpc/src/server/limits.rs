//! What a server takes at most.

use std::time::Duration;

/// The largest ordinary message, in bytes; services set it with `max_decoding_message_size`.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// The largest message of RPCs that take a batch, in bytes.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The largest message between our own services, in bytes.
pub const MAX_INTERNAL_BYTES: usize = 16 * 1024 * 1024;

/// How much of one call may be on its way before the server has read any, in bytes: a whole ordinary message.
pub(crate) const STREAM_WINDOW: u32 = 1024 * 1024;

/// The same for all calls of a connection together.
pub(crate) const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// What a server takes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls under way at once, watches and open RPCs aside; beyond it they are shed. One account may have a quarter of them.
    pub max_in_flight: usize,
    /// Watches (RPCs whose answer is a stream) open at once; beyond it they are shed. One account may have a quarter of them.
    pub max_watches: usize,
    /// Streams open at once that need no token (health watches, reflection), places of their own; beyond it they are shed.
    pub max_open_streams: usize,
    /// How long a stream that needs no token may last; then it ends, and whoever still wants it asks again.
    pub open_stream_age: Duration,
    /// The longest a call may take; a client may ask for less. Watches have only the client's.
    pub deadline: Duration,
    /// Headers of one request, in bytes, counted as HTTP/2 does (32 more for each).
    pub max_header_bytes: u32,
    /// Streams of one connection at once.
    pub streams_per_connection: u32,
    /// How long a connection may be silent before the server asks whether it lives.
    pub keepalive_interval: Duration,
    /// How long the answer may take.
    pub keepalive_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// TLS handshakes under way at once on one listener; beyond it the oldest is given up.
    pub max_handshakes: usize,
    /// After this time a connection takes no further calls, so that clients spread over all replicas.
    pub max_connection_age: Duration,
    /// How long calls under way may take to end once the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_in_flight: 1_024,
            max_watches: 1_024,
            max_open_streams: 64,
            open_stream_age: Duration::from_secs(10 * 60),
            deadline: Duration::from_secs(30),
            max_header_bytes: 16 * 1024,
            streams_per_connection: 256,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            handshake: Duration::from_secs(5),
            max_handshakes: 256,
            max_connection_age: Duration::from_secs(30 * 60),
            drain: Duration::from_secs(20),
        }
    }
}
