//! The rules of deployments as pure functions over a batch of rows. Each
//! changes rows and names the effects that follow once they are durable; the clocks are given.

pub(crate) mod audit;
pub(crate) mod ctx;
pub mod deployment;
pub mod device;
pub(crate) mod dynamic;
pub(crate) mod enrollment;
pub(crate) mod event_history;
pub mod freeze;
pub(crate) mod group;
pub mod pass;
pub(crate) mod policy;
pub(crate) mod recovery;
pub(crate) mod release;
pub mod rollout;
pub(crate) mod stop;
pub(crate) mod text;
pub(crate) mod waiting;
