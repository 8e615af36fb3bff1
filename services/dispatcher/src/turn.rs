//! What a waiting execution's next start costs: the three queues of an account, each in order of acceptance.

/// Which of an account's gates a waiting execution must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Turn {
    /// It started before: retries and further steps are free.
    Continuing,
    /// An automation's execution that has not started: one unit of rate and allowance.
    Execution,
    /// An event webhook's notification that has not started: one unit of its own rate.
    Notification,
}

impl Turn {
    /// All of them, in the order in which a claim serves them.
    pub const ALL: [Self; 3] = [Self::Continuing, Self::Execution, Self::Notification];

    /// The number in the `turn` column.
    pub const fn code(self) -> i64 {
        match self {
            Self::Continuing => 0,
            Self::Execution => 1,
            Self::Notification => 2,
        }
    }

    /// The turn with this number.
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Continuing),
            1 => Some(Self::Execution),
            2 => Some(Self::Notification),
            _ => None,
        }
    }
}
