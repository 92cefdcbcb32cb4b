//! The simulated fleet: the real orchestrator core against modelled devices over a
//! modelled broker and clock. A seed decides everything and replays everything.

pub mod broker;
pub mod device;
pub mod invariants;
pub mod program;
pub mod server;
pub mod world;
