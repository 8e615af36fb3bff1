//! Many producers at once, each with a mind of its own: one event or a batch, repeats, another event under an id that is taken, and
//! now and then one that gives up. What each was told is one ledger.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proto::errors::v1::ItemError;
use proto::evaluator::v1::batch_ingest_events_result::Answer as ItemAnswer;
use proto::evaluator::v1::{IngestEventResponse, IngestOutcome};
use proto::event::v1::Event;
use sluice_runtime::Entropy;
use tokio::task::JoinHandle;
use tonic::Code;

use crate::ledgers::Asked;
use crate::people::Person;

/// Events of a batch.
const BATCH: usize = 16;
/// Of so many acknowledged events one is sent again.
const REPEATED: u64 = 16;
/// Of so many one is followed by another event under its id.
const REUSED: u64 = 24;
/// Of so many calls that brought no answer one is not made again.
const GIVEN_UP: u64 = 20;
/// Before what was not taken is sent again.
const REST: Duration = Duration::from_millis(50);

/// One producer's account, and what it sends there.
#[derive(Debug, Clone)]
pub struct Client {
    /// Who it is.
    pub person: Person,
    /// `accounts/{account}`.
    pub parent: String,
    /// What it sends, in order.
    pub events: Vec<Event>,
    /// How many of them in its first batch.
    pub at_once: usize,
    /// What decides its moods.
    pub seed: u64,
}

/// What a crowd was told.
#[derive(Debug, Default)]
pub struct Heard {
    /// What it asked for.
    pub asked: Asked,
    /// Events it was to send.
    pub planned: usize,
    /// Answers that were the stored ones of a call before.
    pub repeated: usize,
    /// Other events under an id that was taken, and refused for it.
    pub reuses_refused: usize,
    /// Calls that brought no answer, or that it was asked to make later.
    pub unanswered: usize,
    /// Answers that contradict another one, or what was sent: each breaks a promise.
    pub contradictions: Vec<String>,
}

/// Clients at work.
#[derive(Debug)]
pub struct Crowd {
    acknowledged: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Heard>>,
}

impl Crowd {
    /// Sets them to work, all at once.
    pub fn start(clients: Vec<Client>) -> Self {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let clients = clients.into_iter().map(|client| {
            let one = One {
                moods: Entropy::seeded(client.seed),
                waiting: client.events.iter().cloned().collect(),
                heard: Heard { planned: client.events.len(), ..Heard::default() },
                person: client.person,
                parent: client.parent,
                at_once: client.at_once,
                acknowledged: Arc::clone(&acknowledged),
            };
            tokio::spawn(one.work())
        });
        let clients = clients.collect();
        Self { acknowledged, clients }
    }

    /// How many events were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Whether all have sent what they had.
    pub fn is_done(&self) -> bool {
        self.clients.iter().all(JoinHandle::is_finished)
    }

    /// Waits until all have sent what they had; what each was told.
    pub async fn done(self) -> Vec<Heard> {
        let mut all = Vec::new();
        for client in self.clients {
            all.push(client.await.expect("a client should not panic"));
        }
        all
    }
}

impl Heard {
    /// Adds what another one of the same account was told.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.asked.acknowledged.extend(other.asked.acknowledged);
        self.asked.doubtful.extend(other.asked.doubtful);
        self.asked.refused.extend(other.asked.refused);
        self.planned += other.planned;
        self.repeated += other.repeated;
        self.reuses_refused += other.reuses_refused;
        self.unanswered += other.unanswered;
        self.contradictions.extend(other.contradictions);
        self
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} events acknowledged, {} given up in doubt; {} repeats answered alike, {} reuses of an id refused, {} calls \
             without an answer",
            self.asked.acknowledged.len(),
            self.planned,
            self.asked.doubtful.len(),
            self.repeated,
            self.reuses_refused,
            self.unanswered
        )
    }
}

/// One client at work.
struct One {
    person: Person,
    parent: String,
    moods: Entropy,
    waiting: VecDeque<Event>,
    at_once: usize,
    heard: Heard,
    acknowledged: Arc<AtomicUsize>,
}

impl One {
    async fn work(mut self) -> Heard {
        while !self.waiting.is_empty() {
            let count = match std::mem::take(&mut self.at_once) {
                0 if self.moods.u64().is_multiple_of(BATCH as u64) => BATCH,
                at_once => at_once.max(1),
            };
            let events: Vec<Event> = self.waiting.drain(..count.min(self.waiting.len())).collect();
            let answers = self.send(&events).await;
            let mut rests = false;
            for (event, answer) in events.into_iter().zip(answers) {
                match answer {
                    Taken::Yes(answer) => self.took(&event, &answer).await,
                    Taken::No(why) => {
                        self.heard.contradictions.push(format!("I3: {} was refused: {why}", event.id));
                    }
                    Taken::Later { in_doubt } => {
                        self.heard.unanswered += 1;
                        rests = true;
                        if in_doubt && self.moods.u64().is_multiple_of(GIVEN_UP) {
                            self.heard.asked.doubtful.insert(event.id);
                        } else {
                            self.waiting.push_back(event);
                        }
                    }
                }
            }
            if rests {
                tokio::time::sleep(REST).await;
            }
        }
        self.heard
    }

    /// An event was acknowledged: notes it, and now and then sees whether it is remembered.
    async fn took(&mut self, event: &Event, answer: &IngestEventResponse) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.note(&event.id, answer);
        if self.moods.u64().is_multiple_of(REPEATED)
            && let [Taken::Yes(again)] = &self.send(std::slice::from_ref(event)).await[..]
        {
            if again.outcome() != IngestOutcome::Repeated {
                let outcome = again.outcome().as_str_name();
                self.heard.contradictions.push(format!("I3: {} again was answered {outcome}", event.id));
            }
            self.note(&event.id, again);
        }
        if self.moods.u64().is_multiple_of(REUSED) {
            let other = Event { record_id: format!("not-{}", event.record_id), ..event.clone() };
            match &self.send(&[other]).await[..] {
                [Taken::No(reason)] if reason == "EVENT_ID_REUSED" => self.heard.reuses_refused += 1,
                [Taken::Later { .. }] => {}
                other => {
                    let line = format!("I3: another event under the id {} was answered {other:?}", event.id);
                    self.heard.contradictions.push(line);
                }
            }
        }
    }

    /// Notes an acknowledgement, which has to be the same as any before.
    fn note(&mut self, event: &str, answer: &IngestEventResponse) {
        if !matches!(answer.outcome(), IngestOutcome::Accepted | IngestOutcome::Repeated) {
            let outcome = answer.outcome().as_str_name();
            self.heard.contradictions.push(format!("I12: {event} was answered {outcome}"));
            return;
        }
        self.heard.repeated += usize::from(answer.outcome() == IngestOutcome::Repeated);
        let before = self.heard.asked.acknowledged.insert(event.to_owned(), answer.executions.clone());
        if before.is_some_and(|before| before != answer.executions) {
            self.heard.contradictions.push(format!("I3: {event} was answered with two sets of executions"));
        }
    }

    async fn send(&self, events: &[Event]) -> Vec<Taken> {
        if let [event] = events {
            return vec![match self.person.ingest(&self.parent, event.clone()).await {
                Ok(answer) => Taken::Yes(answer),
                Err(refusal) => Taken::refused(refusal.code, &refusal.reason),
            }];
        }
        match self.person.ingest_batch(&self.parent, events.to_vec()).await {
            Ok(results) => results
                .into_iter()
                .map(|result| match result.answer {
                    Some(ItemAnswer::Response(answer)) => Taken::Yes(answer),
                    Some(ItemAnswer::Error(error)) => {
                        Taken::refused(Code::from(error.code), reason_of(&error))
                    }
                    None => Taken::No("nothing was said of it".to_owned()),
                })
                .collect(),
            Err(refusal) => events.iter().map(|_| Taken::refused(refusal.code, &refusal.reason)).collect(),
        }
    }
}

/// How an event was taken.
#[derive(Debug)]
enum Taken {
    Yes(IngestEventResponse),
    /// For this reason, which no repeat changes.
    No(String),
    /// It is to be sent again; in doubt, it may have been accepted.
    Later {
        in_doubt: bool,
    },
}

/// The reason as `google.rpc.ErrorInfo` has it.
fn reason_of(error: &ItemError) -> &'static str {
    let name = error.reason().as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

impl Taken {
    fn refused(code: Code, reason: &str) -> Self {
        match code {
            Code::ResourceExhausted => Self::Later { in_doubt: false },
            Code::Unavailable => Self::Later { in_doubt: true },
            // The transport's own words: somebody went away over the call.
            Code::Unknown | Code::Cancelled | Code::Internal | Code::DeadlineExceeded
                if reason.is_empty() =>
            {
                Self::Later { in_doubt: true }
            }
            _ => Self::No(reason.to_owned()),
        }
    }
}
