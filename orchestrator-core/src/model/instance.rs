//! Orchestrators that work on one store.

/// One of the orchestrators that work on a store. What only one of them knows or counts lies in rows
/// of its own ([`crate::model::row::InstanceRow`]), so that none waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct InstanceId(pub u16);

impl InstanceId {
    /// The only one, where there is one.
    pub const MAIN: Self = Self(0);
}
