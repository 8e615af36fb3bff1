//! What every process of the house needs from the world around it, so that nothing else reaches for a global.
//!
//! Who is here:
//! - [`Clock`]: what time it is and when it is time; [`ManualClock`] moves it in tests;
//! - [`Entropy`]: random bytes, from the system or from a seed;
//! - [`Current`]: a value that may be replaced while it is in use;
//! - [`Renewal`]: such a value, made from files, again whenever they change;
//! - [`config`]: settings from a file, the environment and flags, in that order of weight;
//! - [`failpoint`]: places at which a suite holds the process and kills it; nothing in builds that are not the suites';
//! - [`HumanSpan`] and [`human_span`]: lengths of time as people write them, `250ms`, `15s`, `3d`;
//! - [`Supervisor`]: the tasks of the process; one that fails takes the whole process down, visibly;
//! - [`Shutdown`]: the one signal that it is time to stop.

mod clock;
pub mod config;
mod current;
mod entropy;
pub mod failpoint;
pub mod human_span;
mod renewal;
mod shutdown;
mod tasks;

pub use clock::{Clock, ManualClock};
pub use current::Current;
pub use entropy::Entropy;
pub use human_span::{HumanSpan, HumanSpanError};
pub use renewal::{Renewal, RenewalError, SettingFile};
pub use shutdown::Shutdown;
pub use tasks::{BoxError, DrainError, Ending, Supervisor, TaskError};
