//! Hoist's device client: the pure update machine, and the Linux agent around it.
//!
//! Without the feature `agent` there is no I/O here, and the standard library is not needed.

#![cfg_attr(not(any(feature = "agent", test)), no_std)]
// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

extern crate alloc;

#[cfg(feature = "agent")]
pub mod agent;
mod job;
pub mod machine;
pub mod past;
pub mod record;
pub mod session;
