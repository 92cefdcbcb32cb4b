//! The rules of deployments as pure functions over a batch of rows. Each takes the clocks as an
//! argument, changes rows and returns the effects that follow once they are durable.

pub mod deployment;
pub mod device;
pub(crate) mod group;
pub(crate) mod recovery;
pub(crate) mod release;
pub mod rollout;
pub(crate) mod stop;
pub(crate) mod text;
