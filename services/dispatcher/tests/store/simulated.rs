//! The world that the simulation drives, here beside the store.

#[path = "../simulation/bucket.rs"]
pub(crate) mod bucket;
#[path = "../simulation/ledger.rs"]
pub(crate) mod ledger;
#[path = "../simulation/lines.rs"]
pub(crate) mod lines;
#[path = "../simulation/moves.rs"]
pub(crate) mod moves;
#[path = "../simulation/mutation.rs"]
pub(crate) mod mutation;
#[path = "../simulation/owners.rs"]
pub(crate) mod owners;
#[path = "../simulation/people.rs"]
pub(crate) mod people;
#[path = "../simulation/schedule.rs"]
pub(crate) mod schedule;
#[path = "../simulation/world.rs"]
pub(crate) mod world;
