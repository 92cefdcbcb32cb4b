//! Hoist's device client: the pure update machine, and the Linux agent around it.
//!
//! Without the feature `agent` there is no I/O here.

// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "agent")]
pub mod agent;
mod job;
pub mod machine;
pub mod past;
pub mod record;
