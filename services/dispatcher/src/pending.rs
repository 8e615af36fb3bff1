//! An execution that is not over: it waits, or one of its deliveries is under way. What becomes of it then says
//! [`crate::transition`].

use sluice_domain::{AutomationId, Timestamp};

use crate::change::{Change, Then, What};
use crate::execution::End;
use crate::line::IN_LINE;
use crate::transition::Ending;
use crate::turn::Turn;

/// Whether it ever started: what its next claim costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Not yet; its first claim costs an execution.
    Execution,
    /// Not yet; its first claim costs a notification.
    Notification,
    /// Then, and it was charged.
    At(Timestamp),
}

/// What marks it as claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// What every later write must show.
    pub token: i64,
    /// Since when.
    pub claimed_at: Timestamp,
    /// Until when.
    pub lease_until: Timestamp,
    /// When the execution first started.
    pub started_at: Timestamp,
    /// Whether somebody asked to cancel it meanwhile.
    pub cancel: bool,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits. A claim takes it onward once it is due and gates, quota and room allow; a cancellation or a stop marker ends it.
    Waiting {
        /// What its claim costs.
        start: Start,
        /// When it is due; `None` is ready, [`IN_LINE`] that those before it in a record's line are not over.
        due_at: Option<Timestamp>,
    },
    /// An attempt is under way. Its owner's report takes it onward, or a rescue once the lease is over.
    Held(Hold),
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its place in the order of acceptance.
    pub seq: i64,
    /// The account.
    pub account: String,
    /// The number of its lane.
    pub lane_number: i64,
    /// Which delivery of the plan is under way or comes next.
    pub step: usize,
    /// The number of the attempt that is under way or comes next.
    pub attempt: i64,
    /// Retries of the delivery that were used.
    pub retries: u32,
    /// How often in a row its attempts were interrupted.
    pub interruptions: u32,
    /// How often it ended before it was opened again.
    pub ends: i64,
    /// Where it stands.
    pub stage: Stage,
}

impl Start {
    /// What the first claim of an execution of this automation costs, or of a notification.
    pub const fn owed(automation: Option<AutomationId>) -> Self {
        match automation {
            Some(_) => Self::Execution,
            None => Self::Notification,
        }
    }

    /// The queue it waits in.
    pub const fn turn(self) -> Turn {
        match self {
            Self::Execution => Turn::Execution,
            Self::Notification => Turn::Notification,
            Self::At(_) => Turn::Continuing,
        }
    }

    /// When it started.
    pub const fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Execution | Self::Notification => None,
        }
    }
}

/// A stage as the columns of a row have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flat {
    /// The queue: the number of a [`Turn`].
    pub turn: i64,
    /// When it is due, in microseconds; 0 is ready.
    pub due_at: i64,
    /// When it first started, in microseconds.
    pub started_at: Option<i64>,
    /// Whether it is to be cancelled.
    pub cancel: i64,
    /// The claim's token.
    pub token: Option<i64>,
    /// Since when it is claimed, in microseconds.
    pub claimed_at: Option<i64>,
    /// Until when, in microseconds.
    pub lease_until: Option<i64>,
}

impl Stage {
    /// The columns of a row at this stage.
    pub fn flat(&self) -> Flat {
        let micros = Timestamp::as_micros;
        match *self {
            Self::Waiting { start, due_at } => Flat {
                turn: start.turn().code(),
                due_at: due_at.map_or(0, micros),
                started_at: start.at().map(micros),
                cancel: 0,
                token: None,
                claimed_at: None,
                lease_until: None,
            },
            Self::Held(hold) => Flat {
                turn: Turn::Continuing.code(),
                due_at: 0,
                started_at: Some(micros(hold.started_at)),
                cancel: i64::from(hold.cancel),
                token: Some(hold.token),
                claimed_at: Some(micros(hold.claimed_at)),
                lease_until: Some(micros(hold.lease_until)),
            },
        }
    }

    /// The stage that these columns mean. They mean one exactly where the tables let the row stand.
    pub fn read(flat: &Flat) -> Option<Self> {
        let at = Timestamp::from_micros;
        let Flat { turn, due_at, started_at, cancel, token, claimed_at, lease_until } = *flat;
        let start = match (Turn::from_code(turn)?, started_at) {
            (Turn::Continuing, Some(started_at)) => Start::At(at(started_at)),
            (Turn::Execution, None) => Start::Execution,
            (Turn::Notification, None) => Start::Notification,
            (Turn::Continuing, None) | (Turn::Execution | Turn::Notification, Some(_)) => return None,
        };
        match (token, claimed_at, lease_until, start, cancel) {
            (None, None, None, start, 0) if due_at >= 0 => {
                Some(Self::Waiting { start, due_at: (due_at > 0).then(|| at(due_at)) })
            }
            (Some(token), Some(claimed_at), Some(lease_until), Start::At(started_at), 0 | 1)
                if due_at == 0 =>
            {
                let (claimed_at, lease_until) = (at(claimed_at), at(lease_until));
                Some(Self::Held(Hold { token, claimed_at, lease_until, started_at, cancel: cancel == 1 }))
            }
            _ => None,
        }
    }
}

impl Pending {
    /// A new one, before its first delivery: due after its delay.
    pub fn accepted(
        seq: i64,
        account: String,
        lane_number: i64,
        start: Start,
        due_at: Option<Timestamp>,
    ) -> Self {
        let stage = Stage::Waiting { start, due_at };
        Self { seq, account, lane_number, step: 0, attempt: 1, retries: 0, interruptions: 0, ends: 0, stage }
    }

    /// What its next claim costs, or that it has started.
    pub const fn start(&self) -> Start {
        match self.stage {
            Stage::Waiting { start, .. } => start,
            Stage::Held(hold) => Start::At(hold.started_at),
        }
    }

    /// The queue it waits in; what is held goes on.
    pub const fn turn(&self) -> Turn {
        self.start().turn()
    }

    /// When it is due; `None` is ready, or held.
    pub const fn due_at(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Waiting { due_at, .. } => due_at,
            Stage::Held(_) => None,
        }
    }

    /// Whether it waits for its turn in a record's line: it is called when those before it are over.
    pub fn is_in_line(&self) -> bool {
        self.due_at() == Some(IN_LINE)
    }

    /// Puts off when it is due, to the time at which the line that it joins lets it go on; what is held stays so.
    pub const fn put_off(&mut self, until: Option<Timestamp>) {
        if let Stage::Waiting { due_at, .. } = &mut self.stage {
            *due_at = until;
        }
    }

    /// The claim it is under.
    pub const fn hold(&self) -> Option<Hold> {
        match self.stage {
            Stage::Held(hold) => Some(hold),
            Stage::Waiting { .. } => None,
        }
    }

    /// Takes it under a claim; what is held stays under the one it has.
    pub const fn claim(&mut self, token: i64, now: Timestamp, lease_until: Timestamp) {
        if let Stage::Waiting { start, .. } = self.stage {
            let started_at = match start {
                Start::At(at) => at,
                Start::Execution | Start::Notification => now,
            };
            self.stage = Stage::Held(Hold { token, claimed_at: now, lease_until, started_at, cancel: false });
        }
    }

    /// How it ends.
    pub fn ending(&self, end: End, at: Timestamp) -> Ending {
        let started_at = self.start().at();
        Ending { seq: self.seq, number: self.ends + 1, end, step: self.step, started_at, at }
    }

    /// What happens when it ends without an attempt.
    pub const fn ended(&self) -> Change {
        let then = Then::Ended(self.ends + 1);
        Change { seq: self.seq, what: What::Ended, step: self.step, attempt: 0, then }
    }
}
