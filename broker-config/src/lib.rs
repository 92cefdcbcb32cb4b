//! The embedded broker: our front door over rumqttd's router, who may come in, and the files of
//! other brokers. It knows topics and access rules, not deployments.

// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod credentials;
mod embedded;
mod front_door;
pub mod render;
mod retained;
mod router;

pub use embedded::{EmbeddedBroker, FrontDoorConfig, Peers, ProbeError, StartError, StatsSnapshot};
pub use front_door::limits::Limits;
