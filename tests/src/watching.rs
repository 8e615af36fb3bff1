//! A watch of executions, and who keeps what it tells.

use std::collections::BTreeMap;

use proto::dispatcher::v1::watch_executions_request::Start;
use proto::dispatcher::v1::watch_executions_response::Event;
use proto::dispatcher::v1::{
    Execution, ExecutionChange, ExecutionChangeKind, ExecutionState, GateChange, Pause,
    WatchExecutionsRequest, WatchExecutionsResponse, gate_change,
};
use tonic::Streaming;

use crate::people::{PARENT, Person};
use crate::refusal::{Answer, Refusal};
use crate::wait::within;

/// How long a watch may take to tell what has happened, on a machine that does other things besides.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A stream of answers.
#[derive(Debug)]
pub struct Watching(Streaming<WatchExecutionsResponse>);

impl Watching {
    pub(crate) const fn new(stream: Streaming<WatchExecutionsResponse>) -> Self {
        Self(stream)
    }

    /// The next answer; `None` when the stream has ended in order.
    pub async fn next(&mut self) -> Answer<Option<WatchExecutionsResponse>> {
        let answer = tokio::time::timeout(PATIENCE, self.0.message()).await;
        answer.expect("a watch says something now and then").map_err(|status| Box::new(Refusal::from(status)))
    }
}

/// Who applies what a watch tells, wherever and however often it begins again.
#[derive(Debug, Default)]
pub struct Mirror {
    cursor: Option<String>,
    /// The executions as they were told last, by name.
    pub executions: BTreeMap<String, Execution>,
    /// The changes of each, oldest first: what, and the attempt's delivery and number.
    pub changes: BTreeMap<String, Vec<(ExecutionChangeKind, String, i32)>>,
    /// The gates that are closed: before what, by its name, and why.
    pub closed: BTreeMap<String, Pause>,
    /// How often it began to watch.
    pub begun: usize,
}

impl Mirror {
    /// Nobody has told it anything; it begins with the oldest change that is kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where it would go on.
    pub fn start(&self) -> WatchExecutionsRequest {
        let start = self.cursor.clone().map_or(Start::Oldest(true), Start::Cursor);
        WatchExecutionsRequest { parent: PARENT.to_owned(), start: Some(start) }
    }

    /// Watches on from where it was, until it has seen enough or the watch is refused or broken off.
    pub async fn follow(&mut self, person: &Person, enough: impl Fn(&Self) -> bool) -> Answer<()> {
        let mut watching = person.watch(self.start()).await?;
        self.begun += 1;
        // The gates are told anew to whoever begins.
        self.closed.clear();
        let mut synced = false;
        while !synced || !enough(self) {
            let Some(answer) = watching.next().await? else { return Ok(()) };
            synced |= matches!(answer.event, Some(Event::Progress(_)));
            self.take(answer);
        }
        Ok(())
    }

    /// Watches, again and again if it has to, until it has seen enough.
    pub async fn see(&mut self, person: &Person, enough: impl Fn(&Self) -> bool) {
        within(PATIENCE, "the watch tells everything", async || {
            // Broken off: it goes on from where it was.
            let _ = self.follow(person, &enough).await;
            enough(self).then_some(())
        })
        .await;
    }

    /// How many are in this state.
    pub fn count(&self, state: ExecutionState) -> usize {
        self.executions.values().filter(|execution| execution.state() == state).count()
    }

    fn take(&mut self, answer: WatchExecutionsResponse) {
        assert!(!answer.cursor.is_empty(), "every answer has a cursor");
        match answer.event.expect("every answer says something") {
            Event::Change(change) => self.apply(change),
            Event::Gate(gate) => self.gate(gate),
            Event::Progress(_) => {}
        }
        self.cursor = Some(answer.cursor);
    }

    fn apply(&mut self, change: ExecutionChange) {
        let kind = change.kind();
        let execution = change.execution.expect("a change is of an execution");
        let told = (kind, change.delivery, change.attempt_number);
        if let Some(attempt) = change.attempt {
            assert_eq!((kind, attempt.number), (ExecutionChangeKind::AttemptEnded, change.attempt_number));
        }
        self.changes.entry(execution.name.clone()).or_default().push(told);
        self.executions.insert(execution.name.clone(), execution);
    }

    fn gate(&mut self, gate: GateChange) {
        let before = match gate.before.expect("a gate stands before something") {
            gate_change::Before::Account(_) => "account".to_owned(),
            gate_change::Before::Automations(_) => "automations".to_owned(),
            gate_change::Before::Notifications(_) => "notifications".to_owned(),
            gate_change::Before::Webhook(name) => name,
        };
        match gate.pause {
            Some(pause) => self.closed.insert(before, pause),
            None => self.closed.remove(&before),
        };
    }
}
