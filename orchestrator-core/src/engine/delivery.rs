//! A message as it came, and those who wait for something to come of it, by numbers: connections
//! and people are the runtime's.

use bytes::Bytes;
use hoist_protocol::topic::Topic;

/// The right to acknowledge one delivery, on the connection that brought it: on another one the
/// same number would acknowledge something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the connection.
    pub connection: u64,
    /// The packet id.
    pub packet: u16,
}

/// Somebody who waits for an answer other than on a reply topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// A message that arrived.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its topic; none for one that is not ours.
    pub topic: Option<Topic>,
    /// Its content.
    pub payload: Bytes,
    /// True if the broker had kept it.
    pub retained: bool,
    /// True if it was delivered before and not acknowledged.
    pub again: bool,
    /// None at QoS 0.
    pub receipt: Option<Receipt>,
}
