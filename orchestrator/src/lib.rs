//! Hoist's orchestrator: the adapters around the pure core. It decides nothing by itself.

// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod artifacts;
pub mod config;
pub mod durable_file;
pub mod events;
pub mod health;
pub mod http;
mod line;
pub mod live;
pub mod metrics;
pub mod mqtt;
mod pass;
mod query;
pub mod recovery;
mod refusals;
mod release;
mod release_id;
mod release_uses;
mod retention;
pub mod revocation;
mod rows;
pub mod service;
mod signer;
pub mod small_file;
mod space;
pub mod specs;
pub mod store;
mod suggest;
mod survey;
mod timer;
pub mod transport;
mod unix_time;
mod view;
