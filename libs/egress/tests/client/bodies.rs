//! Bodies: what is kept, what is read, and when it ends.

use std::time::Duration;

use sluice_egress::{BodyCaps, Phase, SendError};

use sluice_testkit::{Act, RawReceiver as Receiver};

use crate::{egress, get, ok};

const CAPS: BodyCaps = BodyCaps { keep: 1000, read: 20_000 };

#[tokio::test]
async fn a_body_under_the_read_cap_is_read_out_and_the_connection_used_again() {
    for (length, truncated) in [(0, false), (1000, false), (1001, true), (19_999, true)] {
        let receiver = Receiver::start(Act::Reply(ok(&"x".repeat(length)))).await;
        let egress = egress(CAPS);
        for _ in 0..2 {
            let answer = egress.send(get(&receiver.url("/"))).await.unwrap();
            assert_eq!((answer.body.len(), answer.body_truncated), (length.min(1000), truncated), "{length}");
        }
        assert_eq!(receiver.connections(), 1, "{length}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_read_cap_is_cut_and_its_connection_dropped() {
    let piece = b"400\r\n".iter().copied().chain([b'x'; 1024]).chain(*b"\r\n").collect::<Vec<_>>();
    for (head, again) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", piece),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n", vec![b'x'; 1024]),
        ("HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 1024]),
    ] {
        let receiver = Receiver::start(Act::Endless(head.into(), again, Duration::ZERO)).await;
        let answer = egress(CAPS).send(get(&receiver.url("/"))).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (200, [b'x'; 1000].as_slice()), "{head}");
        assert!(answer.body_truncated, "{head}");
        receiver.connection_ended().await;
    }
}

#[tokio::test]
async fn a_body_that_stalls_ends_at_the_total_timeout_whatever_the_status() {
    let stalled = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfirst bytes".to_vec();
    let receiver = Receiver::start(Act::ReplyAndHang(stalled)).await;
    let mut request = get(&receiver.url("/"));
    request.total = Some(Duration::from_millis(200));
    assert_eq!(egress(CAPS).send(request).await, Err(SendError::Timeout(Phase::Total)));
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_reset_and_no_answer() {
    for broken in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfirst bytes",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    ] {
        let receiver = Receiver::start(Act::ReplyAndClose(broken.into())).await;
        assert_eq!(egress(CAPS).send(get(&receiver.url("/"))).await, Err(SendError::Reset), "{broken}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_kept_as_it_came() {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0, 0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0];
    let mut reply = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 21\r\n\r\n".to_vec();
    reply.extend(gzip);
    let receiver = Receiver::start(Act::Reply(reply)).await;
    let answer = egress(CAPS).send(get(&receiver.url("/"))).await.unwrap();
    assert_eq!(answer.body.as_ref(), gzip);
    assert_eq!(answer.headers["content-encoding"], "gzip");
    assert!(receiver.requests()[0].contains("accept-encoding: identity\r\n"));
}
