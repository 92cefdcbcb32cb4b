//! The simulated fleet: the real orchestrator core and the real device machines over a
//! modelled broker, disk, power and clock. A seed decides and replays everything.

pub mod broker;
pub mod device;
pub mod invariants;
pub mod orders;
pub mod program;
pub mod server;
pub mod world;
