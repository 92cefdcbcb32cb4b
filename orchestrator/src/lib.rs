//! Hoist's orchestrator: the adapters around the pure core. It decides nothing by itself.

pub mod artifacts;
pub mod http;
pub mod store;
