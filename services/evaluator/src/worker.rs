//! What goes on by itself, and the handles through which calls see it.
//!
//! [`follow`] keeps a [`Directory`] of accounts and webhooks by the registry's feed, [`Accounts`] gives calls their part of it;
//! [`Automations`] holds compiled automations and notices other replicas' saves; [`Editor`] creates and changes them;
//! [`Explainer`] says what an event would come to; [`Stops`] brings stop markers to the dispatcher.

mod accounts;
mod automations;
mod backoff;
mod directory;
mod editor;
mod explainer;
mod follow;
mod stops;

pub(crate) use accounts::Accounts;
pub(crate) use automations::Automations;
pub(crate) use directory::Directory;
pub(crate) use editor::{Editor, NewAutomation, Wish};
pub(crate) use explainer::Explainer;
pub(crate) use follow::follow;
pub(crate) use stops::Stops;
