//! Permission to start: the rule of admission, the line of a limit, membership in a group, and the
//! devices that are still to be told.

pub mod admission;
pub mod limit;
pub mod membership;
pub(crate) mod outbox;
