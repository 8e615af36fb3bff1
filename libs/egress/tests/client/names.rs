//! Names: what a look-up says decides before anything is dialled.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sluice_egress::{BodyCaps, Egress, Lookup, Phase, Policy, Refusal, SendError, Timeouts};

use sluice_testkit::{Act, RawReceiver as Receiver};

use crate::{get, ok};

/// Answers look-ups in turn, then hangs.
struct Script(Mutex<VecDeque<io::Result<Vec<&'static str>>>>);

impl Lookup for Script {
    fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        match self.0.lock().unwrap().pop_front() {
            None => std::future::pending().boxed(),
            Some(answer) => {
                let addresses = answer.map(|list| list.iter().map(|text| text.parse().unwrap()).collect());
                std::future::ready(addresses).boxed()
            }
        }
    }
}

fn egress<const N: usize>(policy: Policy, answers: [io::Result<Vec<&'static str>>; N]) -> Egress {
    let timeouts = Timeouts { connect: Duration::from_millis(200), ..Timeouts::default() };
    let script = Arc::new(Script(Mutex::new(answers.into())));
    Egress::with_lookup(policy, timeouts, BodyCaps::default(), script).unwrap()
}

#[tokio::test]
async fn a_name_is_dialled_at_the_address_that_was_judged() {
    let receiver = Receiver::start(Act::Reply(ok("hi"))).await;
    let port = receiver.address().port();
    let egress = egress(Policy::development(), [Ok(vec!["127.0.0.1"])]);
    let answer = egress.send(get(&format!("http://hooks.example.com:{port}/"))).await.unwrap();
    assert_eq!(answer.remote, receiver.address());
    assert!(receiver.requests()[0].contains(&format!("host: hooks.example.com:{port}\r\n")));
}

#[tokio::test]
async fn one_forbidden_address_keeps_all_from_being_dialled() {
    let receiver = Receiver::start(Act::Reply(ok("hi"))).await;
    let port = receiver.address().port();
    let egress = egress(
        Policy::development(),
        [Ok(vec!["127.0.0.1", "10.0.0.1"]), Ok(vec!["::ffff:127.0.0.1", "127.0.0.1"])],
    );
    for _ in 0..2 {
        let refused = egress.send(get(&format!("http://hooks.example.com:{port}/"))).await;
        assert!(matches!(refused, Err(SendError::Forbidden(Refusal::Address { .. }))), "{refused:?}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_that_turns_forbidden_is_refused_at_its_next_connection() {
    let receiver = Receiver::start(Act::ReplyAndClose(ok("hi"))).await;
    let url = format!("http://hooks.example.com:{}/", receiver.address().port());
    let egress = egress(Policy::development(), [Ok(vec!["127.0.0.1"]), Ok(vec!["169.254.169.254"])]);
    let closing = |receiver: Receiver| async move {
        receiver.connection_ended().await;
        receiver
    };
    assert_eq!(egress.send(get(&url)).await.unwrap().status, 200);
    let receiver = closing(receiver).await;
    let refused = egress.send(get(&url)).await;
    assert!(matches!(refused, Err(SendError::Forbidden(Refusal::Address { .. }))), "{refused:?}");
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn localhost_is_dialled_without_a_look_up_where_loopback_is_allowed() {
    let receiver = Receiver::start(Act::Reply(ok("hi"))).await;
    let url = format!("http://localhost:{}/", receiver.address().port());
    let allowed = egress(Policy::development(), []);
    assert_eq!(allowed.send(get(&url)).await.unwrap().remote, receiver.address());

    let strict = egress(Policy { allow_http: true, ..Policy::default() }, [Ok(vec!["127.0.0.1"])]);
    let refused = strict.send(get(&url)).await;
    assert!(matches!(refused, Err(SendError::Forbidden(Refusal::Name { .. }))), "{refused:?}");
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_look_up_that_fails_is_dns_and_one_that_hangs_a_connect_timeout() {
    let egress = egress(Policy::default(), [Err(io::Error::other("no such name")), Ok(vec![])]);
    let url = "https://hooks.example.com/";
    assert_eq!(egress.send(get(url)).await, Err(SendError::Dns));
    assert_eq!(egress.send(get(url)).await, Err(SendError::Dns));
    assert_eq!(egress.send(get(url)).await, Err(SendError::Timeout(Phase::Connect)));
}
