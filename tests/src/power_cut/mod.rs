//! The power of a device goes at every moment that matters, and once more while it
//! recovers; its disk refuses at every operation. The real machine, storage and download
//! writer on a disk in memory that keeps only what was synced.

mod broker;
mod content;
mod cut;
mod device;
mod disk;
pub mod explore;
mod fault;
mod manner;
mod mutants;
mod package;
pub mod program;
pub mod scenario;
mod software;
pub mod stories;
mod tree;
mod trouble;
mod world;
