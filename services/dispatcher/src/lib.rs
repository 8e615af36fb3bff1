//! The dispatcher: when is it sent, and how did it go?
//!
//! The cast, nouns first; none of them knows the world:
//! - [`execution`]: where an execution stands, and what comes after an attempt; [`pending`], [`transition`]: one that is not over, and
//!   what becomes of it; [`attempt`], [`retry`]: one HTTP try, and when the next one follows; [`plan`]: the requests;
//! - [`quota`], [`limits`], [`rate`], [`allowance`], [`grant`]: what an account may start now; [`note`]: why an operator paused it;
//!   [`turn`]: which of its queues something waits in; [`schedule`]: which of it starts; [`gate`]: what holds work back without touching
//!   it; [`breaker`]: how a webhook that fails is held back, tried, and given up;
//!   [`mod@line`]: whose turn it is where ordering is wanted;
//! - [`filter`]: which executions are asked for, by [`trace`], [`record`] and more;
//! - [`change`]: what happened, as watchers are told; [`pause`]: which gates of an account are closed; [`notice`]: what whoever runs
//!   Sluice is told of;
//! - [`claim`]: the right to try one delivery, under a lease; [`target`]: where it goes; [`receiver`]: how much it may
//!   have under way; [`redaction`]: what history may show;
//!   [`feed`]: what the registry tells.
//!
//! The doors, each to one outside thing: [`store`] (the tables), [`worker`] (what runs by itself), [`delivery`] (receivers),
//! [`clients`] (the registry), [`grpc`] (callers). [`service`] plugs them together under [`config`].

pub mod allowance;
pub mod attempt;
pub mod breaker;
pub mod change;
pub mod claim;
pub mod clients;
pub mod config;
pub mod delivery;
pub mod error;
pub mod execution;
pub mod feed;
pub mod filter;
pub mod gate;
pub mod grant;
pub mod grpc;
pub mod limits;
pub mod line;
pub mod note;
pub mod notice;
pub mod pause;
pub mod pending;
pub mod plan;
pub mod quota;
pub mod rate;
pub mod receiver;
pub mod record;
pub mod redaction;
pub mod retry;
pub mod schedule;
pub mod service;
pub mod store;
pub mod target;
pub mod trace;
pub mod transition;
pub mod turn;
pub mod worker;
