//! The only HTTP client in the house: address decision, pinned resolver, timeouts, capped bodies.
//!
//! Who decides, before any packet leaves:
//! - [`Policy`]: what this deployment lets out: named networks, http, ports, its own addresses; [`Settings`] is how a configuration says it.
//! - [`decide_url`]: judges a URL's text, scheme, port and host, and gives a [`Decision`].
//! - [`decide_address`]: judges one IP address: global unicast only.
//! - [`Refusal`]: why not, for operators. A tenant is told of its text's faults, otherwise only
//!   [`Refusal::TENANT_REASON`].
//!
//! Who acts:
//! - [`Egress`]: sends one [`Request`] and gives an [`Answer`] or a [`SendError`]. It never follows a
//!   redirect, never asks a proxy, never inflates, and dials only addresses it has judged.
//! - [`Lookup`]: where names are looked up; [`SystemLookup`] asks the operating system, each name once at a time and few of a
//!   domain at once.
//!
//! Who audits:
//! - [`check_line`] with [`Resolutions`]: the whole decision on a list, without a look-up or a connection.

mod address;
mod answer;
mod check;
mod client;
mod failure;
mod name;
mod policy;
mod port;
mod refusal;
mod resolver;
mod settings;
mod system;
mod target;

pub use address::decide_address;
pub use answer::{Answer, BodyCaps};
pub use check::{Finding, ResolutionError, Resolutions, Verdict, check_line};
pub use client::{Egress, EgressError, Request, Timeouts};
pub use failure::{Phase, SendError};
pub use policy::{Policy, PolicyError};
pub use refusal::{NameRule, Refusal};
pub use resolver::Lookup;
pub use settings::Settings;
pub use system::SystemLookup;
pub use target::{Decision, MAX_SENT_URL_BYTES, MAX_URL_BYTES, Reach, decide_parsed, decide_url};
