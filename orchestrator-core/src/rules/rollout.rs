//! Permission to start: the rule of admission, the line of a limit, the phases and the pace of a
//! rollout, membership in a group, and the devices that are still to be told.

pub mod admission;
pub(crate) mod advance;
pub mod gate;
pub mod limit;
pub(crate) mod look;
pub mod membership;
pub(crate) mod outbox;
pub mod pace;
pub(crate) mod pause;
pub mod threshold;
pub mod window;
