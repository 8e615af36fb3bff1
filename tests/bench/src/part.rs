//! The processes of a run that are not the client.

pub(crate) mod ceiling;
pub(crate) mod child;
pub(crate) mod receiver;
pub(crate) mod suite;
