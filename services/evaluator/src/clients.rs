//! The other services, as we see them: the registry's feed and the dispatcher. Generated types stop here.

mod convert;
pub(crate) mod dispatcher;
mod refusal;
pub(crate) mod registry;
