//! Rows whose absence means that there is nothing yet.

use hoist_protocol::codec::Message;

use crate::model::row::{
    AuditHeadRow, CloneRow, CounterRow, DynamicGroupsRow, EventHeadRow, FleetFreezeRow,
    GroupCountRow, InstanceRow, NumbersRow, OpenedRow, OutboxRow, PassesRow, PolicyRow,
    RecoveryRow, RefusedRow, RemovedGroupRow, RevokedRow, WaitingCountRow,
};

/// A row that is written with the first thing it notes: its absence means that there is nothing
/// yet. No other row may stand for one that is not there.
pub trait StartsEmpty: Message + Default {
    /// Nothing noted.
    #[must_use]
    fn empty() -> Self {
        Self::default()
    }
}

macro_rules! start_empty {
    ($($row:ident)*) => {
        $(impl StartsEmpty for $row {})*
    };
}

start_empty! {
    InstanceRow
    NumbersRow
    FleetFreezeRow
    DynamicGroupsRow
    PassesRow
    PolicyRow
    CounterRow
    GroupCountRow
    OutboxRow
    OpenedRow
    RefusedRow
    RevokedRow
    CloneRow
    RecoveryRow
    RemovedGroupRow
    WaitingCountRow
    AuditHeadRow
    EventHeadRow
}
