//! Hoist's wire: topics, messages, strict encoding, signatures and the access rules.
//!
//! No I/O, no clock, no randomness, no threads: everything here is a function of its
//! arguments, and builds without the standard library. `docs/wire.md` is the same in
//! prose, for other languages.
#![no_std]
// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

extern crate alloc;

pub mod access;
pub mod admission;
pub mod bundle;
pub mod code;
pub mod codec;
pub mod device;
pub mod enroll;
pub mod envelope;
pub mod filter;
pub mod id;
pub mod limit;
mod policy;
pub mod rate;
pub mod reason;
pub mod release;
pub mod root;
pub mod spec;
pub mod status;
pub mod topic;
pub mod version;
