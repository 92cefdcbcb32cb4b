//! The simulated fleet: the real orchestrator core and the real device machines over a
//! modelled broker, disk, power and clock. A seed decides and replays everything.

pub mod broker;
mod canon;
pub mod catalog;
pub mod choice;
pub mod device;
pub mod dice;
pub mod exhaustive;
pub mod generate;
mod hash128;
pub mod invariants;
pub mod line;
mod mutants;
pub mod order;
pub mod program;
pub mod run;
pub mod scenario;
pub mod server;
pub mod truth;
pub mod world;
