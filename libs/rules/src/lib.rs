//! The condition language and the request templates: check, match, explain, render. Pure.
//!
//! Who is here:
//! - [`json`]: the event's values, numbers with their text; [`decimal`] compares them exactly.
//! - [`Records`]: an event as conditions and templates see it; [`path`] says where in it they read.
//! - [`Condition`]: what an author writes; [`check`] judges it when it is saved and makes a [`Compiled`], which
//!   matches events, and says of each comparison how it came out ([`Explanation`]). [`Operator`] is the list of what can
//!   be asked, [`Verdict`] what it answers.
//! - [`Step`], [`RequestTemplate`]: what an author wants sent; [`check_steps`] judges them when they are saved and
//!   makes [`CompiledSteps`], which make a plan of rendered requests for each event, or a [`Rejection`].
//! - [`template`]: text with placeholders, which the requests are made of.
//! - [`join_url`]: puts a rendered path and query behind the webhook's URL when the request is sent.
//!
//! Nothing here reads a clock, draws a random number or does I/O; the same event gives the same answer.

mod check;
pub mod condition;
mod context;
pub mod decimal;
mod explain;
mod fold;
mod join;
pub mod json;
mod matching;
mod operator;
pub mod path;
pub mod records;
mod rejection;
pub mod request;
mod scope;
mod steps;
pub mod template;
mod verdict;
mod violation;

pub use check::{MAX_COMPARISONS, MAX_GROUP_DEPTH, MAX_OPERAND_CHARS, check};
pub use condition::{Comparison, Condition, Operand};
pub use context::{Context, MAX_EFFORT};
pub use explain::{Explained, ExplainedComparison, Explanation, MAX_SHOWN_BYTES};
pub use join::join_url;
pub use json::{Json, Shown, ValueType};
pub use matching::Compiled;
pub use operator::{Arity, MAX_IN, OperandType, Operator, Rule};
pub use records::{Action, EventView, Records};
pub use rejection::{Reason, Rejection};
pub use request::{
    BodyTemplate, CompiledRequest, Encoding, Method, PairValue, RenderedRequest, RequestTemplate,
};
pub use scope::Scope;
pub use steps::{CompiledSteps, MAX_TOTAL_DELAY_MICROS, Planned, Rendering, Step, StepLimits, check_steps};
pub use template::{Missing, Setting};
pub use verdict::{Grounds, Verdict};
pub use violation::{MAX_VIOLATIONS, Violation, Violations};
