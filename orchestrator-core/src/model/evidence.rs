//! Evidence of the delivery of a report and of its signature.

/// The worth of a status's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureEvidence {
    /// Verified with the device's pinned key and topic, or no outcomes to sign.
    Valid,
    /// Wrong, or no key is pinned to verify it with.
    Invalid,
    /// Missing.
    Absent,
}

/// The way in which a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// When it was published, for the first time as far as the broker says.
    Live,
    /// Because it is what the broker keeps now: newer than everything that is on its way.
    Kept,
    /// Once more, since it was not acknowledged: what came after it may be known already.
    Again,
}
