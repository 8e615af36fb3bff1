//! The whole evaluator through its public door, with a scripted registry and a scripted dispatcher beside it.

mod automations;
mod dispatcher;
mod events;
mod explanations;
mod house;
mod outages;
mod registry;
