//! Hoist's deployment rules: pure decisions and the desired retained set. No I/O here.
//!
//! No clock, store, broker, randomness or logging either: [`engine::decide::decide`] turns an
//! input into row changes and [`model::effect::Effect`]s, [`engine::desired`] says what ought to
//! be retained, [`query`] and [`reply`] say what people may read. Rows that are not loaded are
//! asked for as values, so the adapter alone decides when and how it reads.
//!
//! The rooms are floors: [`model`], [`rules`], [`reply`], [`query`], [`api`], [`engine`]. Imports
//! go down only.

// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod api;
pub mod engine;
pub mod model;
pub mod query;
pub mod reply;
pub mod rules;

#[cfg(test)]
mod scenario_tests;
