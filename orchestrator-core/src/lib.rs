//! Hoist's deployment rules: pure decisions and the desired retained set. No I/O here.
//!
//! No clock, store, broker, randomness or logging either: [`decide::decide`] turns an
//! input into row changes and [`effect::Effect`]s, [`desired`] says what ought to be
//! retained, [`query`] and [`view`] say what people may read. Rows that are not loaded
//! are asked for as values, so the adapter alone decides when and how it reads.

// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod admission;
pub mod check;
pub mod command;
pub mod contact;
pub mod counter;
pub mod decide;
mod deployment;
pub mod desired;
mod device;
mod doubt;
pub mod effect;
pub mod error;
pub mod explain;
mod group;
mod identity;
pub mod input;
pub mod key;
pub mod limit;
pub mod membership;
pub mod memory;
mod numbers;
mod outbox;
pub mod presence;
pub mod query;
mod recovery;
mod refusal;
mod release;
pub mod reply;
mod request;
pub mod retention;
mod retry;
pub mod row;
pub mod settled;
mod status;
pub mod survey;
pub mod time;
pub mod timer;
mod trouble;
pub mod txn;
pub mod view;

#[cfg(test)]
mod scenario_tests;
