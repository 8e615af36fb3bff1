//! A producer as product.md wants them: it repeats what it has no answer for under the same id, and keeps its ledger.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use proto::evaluator::v1::batch_ingest_events_result::Answer as ItemAnswer;
use proto::evaluator::v1::{IngestEventResponse, IngestOutcome};
use proto::event::v1::Event;
use sluice_runtime::Shutdown;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus::Serving;
use tonic_health::pb::health_client::HealthClient;

use crate::people::{PARENT, Person};
use crate::refusal::Refusal;

/// Between two events of a producer that goes on by itself.
const PACE: Duration = Duration::from_millis(10);
/// How long a server may be away.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before a call is repeated when its refusal does not say.
const REST: Duration = Duration::from_millis(50);
/// The longest rest before a call is repeated.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// What a producer was told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The executions of each event that was acknowledged.
    pub acknowledged: BTreeMap<String, Vec<String>>,
    /// Acknowledged at the first call.
    pub at_once: usize,
    /// Acknowledged at the second.
    pub with_one_retry: usize,
    /// Acknowledged later than that.
    pub later: usize,
    /// Of all, those that had been accepted by a call whose answer was lost.
    pub repeated: usize,
    /// Calls that were answered `UNAVAILABLE` with a time to come back.
    pub unavailable: usize,
    /// Calls whose connection was refused or broke.
    pub broken: usize,
    /// Refusals of any other kind.
    pub refused: Vec<Refusal>,
}

impl Told {
    /// Sends a batch, of which each event has to be accepted.
    pub async fn batch(&mut self, person: &Person, events: Vec<Event>) {
        let ids: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
        let results = person.ingest_batch(PARENT, events).await.expect("the batch should be taken");
        for (id, result) in ids.into_iter().zip(results) {
            let Some(ItemAnswer::Response(response)) = result.answer else { panic!("{id}: {result:?}") };
            assert_eq!(response.outcome(), IngestOutcome::Accepted, "{id}");
            self.acknowledged.insert(id, response.executions);
            self.at_once += 1;
        }
    }

    /// Sends an event until it is acknowledged, or refused for a reason that no repeat would change. A repeat comes when the refusal
    /// says, and once all that is at `doors` serves.
    pub async fn insist(&mut self, person: &Person, doors: &[Channel], event: Event) {
        for call in 1.. {
            match person.ingest(PARENT, event.clone()).await {
                Ok(response) => return self.took(event.id, call, response),
                Err(refusal) => match self.rest(*refusal) {
                    Some(rest) => tokio::time::sleep(rest).await,
                    None => return,
                },
            }
            for door in doors {
                serves(door).await;
            }
        }
    }

    fn took(&mut self, id: String, call: u32, response: IngestEventResponse) {
        let counted = match call {
            1 => &mut self.at_once,
            2 => &mut self.with_one_retry,
            _ => &mut self.later,
        };
        *counted += 1;
        self.repeated += usize::from(response.outcome() == IngestOutcome::Repeated);
        self.acknowledged.insert(id, response.executions);
    }

    /// How long to wait before the call is repeated; `None` when that would change nothing.
    fn rest(&mut self, refusal: Refusal) -> Option<Duration> {
        match (refusal.code, refusal.retry_delay) {
            (Code::Unavailable, Some(delay)) => {
                self.unavailable += 1;
                Some(delay.min(LONGEST_REST))
            }
            // The transport's own words: no server of ours was reached, or it went away over the call.
            (Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal, None)
                if refusal.reason.is_empty() =>
            {
                self.broken += 1;
                Some(REST)
            }
            _ => {
                self.refused.push(refusal);
                None
            }
        }
    }

    /// Events that were acknowledged.
    pub fn accepted(&self) -> usize {
        self.acknowledged.len()
    }

    /// Adds what another producer was told.
    pub fn and(mut self, other: Self) -> Self {
        self.acknowledged.extend(other.acknowledged);
        self.at_once += other.at_once;
        self.with_one_retry += other.with_one_retry;
        self.later += other.later;
        self.repeated += other.repeated;
        self.unavailable += other.unavailable;
        self.broken += other.broken;
        self.refused.extend(other.refused);
        self
    }
}

/// Waits until the server says that it serves.
async fn serves(door: &Channel) {
    let serving = async {
        let mut health = HealthClient::new(door.clone());
        loop {
            match health.check(HealthCheckRequest::default()).await {
                Ok(answer) if answer.get_ref().status() == Serving => return,
                _ => tokio::time::sleep(PACE).await,
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, serving).await.is_ok(), "the server should serve again");
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_once, with_one_retry, later, repeated, unavailable, broken, refused, .. } = self;
        write!(
            f,
            "{} accepts: {at_once} at once, {with_one_retry} with one retry, {later} later, {} never; {repeated} of them had been \
             taken by a call whose answer was lost; calls answered UNAVAILABLE: {unavailable}, broken off: {broken}",
            self.accepted(),
            refused.len()
        )
    }
}

/// Producers that send one event after another until they are told to stop.
#[derive(Debug)]
pub struct Load {
    stop: Shutdown,
    producers: Vec<JoinHandle<Told>>,
}

impl Load {
    /// Starts so many producers; `event` makes the n-th event of one of them. They repeat a call again and again.
    pub fn start(person: &Person, producers: usize, event: fn(usize, usize) -> Event) -> Self {
        Self::start_at(Vec::new(), person, producers, event)
    }

    /// The same, with producers that repeat a call only once all that is at `doors` serves.
    pub fn start_at(
        doors: Vec<Channel>,
        person: &Person,
        producers: usize,
        event: fn(usize, usize) -> Event,
    ) -> Self {
        let stop = Shutdown::new();
        let produce = |producer: usize| {
            let (person, stop, doors) = (person.clone(), stop.clone(), doors.clone());
            tokio::spawn(async move {
                let mut told = Told::default();
                for number in 0.. {
                    if stop.is_triggered() {
                        break;
                    }
                    told.insist(&person, &doors, event(producer, number)).await;
                    tokio::time::sleep(PACE).await;
                }
                told
            })
        };
        let producers = (0..producers).map(produce).collect();
        Self { stop, producers }
    }

    /// Lets them end with the event they have in hand, acknowledged; what they were told, together.
    pub async fn stop(self) -> Told {
        self.stop.trigger();
        let mut all = Told::default();
        for producer in self.producers {
            all = all.and(producer.await.expect("a producer should not panic"));
        }
        all
    }
}
