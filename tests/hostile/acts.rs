//! What hostile receivers do, and how the history has to show each attempt.

use std::time::Duration;

use proto::dispatcher::v1::Attempt;
use sluice_testkit::Act;

/// How an attempt comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// An answer with this status is kept, and whether its body went on beyond what is kept.
    Answered(u32, bool),
    /// None, with an error.
    Unanswered,
    /// An answer with this status, or none: where it hangs on whether a connection is used again, or on the machine's pace.
    Perhaps(u32),
}

/// One kind of them.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) act: Act,
    pub(crate) shown: Shown,
}

impl Shown {
    /// Whether the attempt is shown so.
    pub(crate) fn fits(self, attempt: &Attempt) -> bool {
        match (self, &attempt.answer) {
            (Self::Answered(status, truncated), Some(answer)) => {
                (answer.status, answer.body_truncated) == (status, truncated)
                    && answer.body.is_empty() != truncated
            }
            (Self::Unanswered | Self::Perhaps(_), None) => !attempt.error.is_empty(),
            (Self::Perhaps(status), Some(answer)) => answer.status == status,
            _ => false,
        }
    }
}

/// All there are.
pub(crate) fn all() -> Vec<Hostile> {
    let plain = |name, act, shown| Hostile { name, scheme: "http", act, shown };
    let (at_once, slowly) = (Duration::ZERO, Duration::from_millis(100));
    let text = |text: &str| text.as_bytes().to_vec();
    let piece = vec![b'x'; 16 * 1024];
    let chunk = [text("4000\r\n"), piece.clone(), text("\r\n")].concat();
    let chunked = text("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let (cut, none) = (Shown::Answered(200, true), Shown::Unanswered);
    vec![
        plain("slow head", Act::Endless(text("HTTP/1.1 200 OK\r\nx-slow: "), text("x"), slowly), none),
        plain("slow lines", Act::Endless(text("HTTP/1.1 200 OK\r\n"), text("x-a: 1\r\n"), slowly), none),
        plain("slow body", Act::Endless(chunked.clone(), text("1\r\nx\r\n"), slowly), none),
        plain("endless body", Act::Endless(chunked.clone(), chunk, at_once), cut),
        plain(
            "endless body by bytes",
            Act::Endless(chunked, text("1\r\nx\r\n").repeat(1_000), at_once),
            Shown::Perhaps(200),
        ),
        plain(
            "10 GiB",
            Act::Endless(
                text("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n"),
                piece.clone(),
                at_once,
            ),
            cut,
        ),
        plain(
            "10 GiB that never come",
            Act::ReplyAndHang(text("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n")),
            none,
        ),
        plain("huge header", Act::Endless(text("HTTP/1.1 200 OK\r\nx-huge: "), piece.clone(), at_once), none),
        plain(
            "many headers",
            Act::Endless(text("HTTP/1.1 200 OK\r\n"), text("x: 1\r\n").repeat(500), at_once),
            none,
        ),
        plain(
            "huge chunk extension",
            Act::Endless(
                text("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x="),
                piece.clone(),
                at_once,
            ),
            none,
        ),
        plain("bomb", Act::Reply(bomb()), cut),
        plain("reset at once", Act::Reset, none),
        plain("reset after the request", Act::ReplyAndReset(Vec::new()), none),
        plain("reset in the head", Act::ReplyAndReset(text("HTTP/1.1 200 OK\r\nx-a: ")), none),
        plain(
            "reset in the body",
            Act::ReplyAndReset(text("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfirst")),
            none,
        ),
        plain(
            "close in the body",
            Act::ReplyAndClose(text("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1")),
            none,
        ),
        Hostile {
            name: "no TLS",
            scheme: "https",
            act: Act::ReplyAndHang(text("220 hello\r\n")),
            shown: none,
        },
        Hostile { name: "silent TLS", scheme: "https", act: Act::Silent, shown: none },
        plain(
            "redirect",
            Act::Reply(text(
                "HTTP/1.1 302 Go\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
            )),
            Shown::Answered(302, false),
        ),
        // With rests: one without keeps hyper's connection task reading for so long that it holds its thread (libs/egress).
        plain(
            "1xx flood",
            Act::Endless(Vec::new(), text("HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"), Duration::from_millis(1)),
            none,
        ),
        plain(
            "before the request's end",
            Act::ReplyEarly(text("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")),
            Shown::Perhaps(413),
        ),
        plain("garbage", Act::ReplyAndClose((0..=255).cycle().take(5_000).collect()), none),
        plain(
            "two lengths",
            Act::Reply(text("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx")),
            none,
        ),
        plain("silent", Act::Silent, none),
    ]
}

/// An answer of 900 KB that says that it is compressed, and would be some 145 MB: one zero, and it again and again.
fn bomb() -> Vec<u8> {
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut bits = Bits(&mut stream, 0);
    // A block with fixed codes: a zero, then "258 bytes from one byte before".
    [1, 1, 0].into_iter().for_each(|bit| bits.push(bit));
    [0, 0, 1, 1, 0, 0, 0, 0].into_iter().for_each(|bit| bits.push(bit));
    for _ in 0..560_000 {
        [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0].into_iter().for_each(|bit| bits.push(bit));
    }
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", stream.len());
    [head.into_bytes(), stream].concat()
}

/// Bits as deflate has them, the lowest of each byte first.
struct Bits<'a>(&'a mut Vec<u8>, u8);

impl Bits<'_> {
    fn push(&mut self, bit: u8) {
        if self.1 == 0 {
            self.0.push(0);
        }
        if let Some(last) = self.0.last_mut() {
            *last |= bit << self.1;
        }
        self.1 = (self.1 + 1) % 8;
    }
}
