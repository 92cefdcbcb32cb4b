//! The answer to a request, as it is remembered.

use hoist_protocol::codec::Message;
use serde::{Deserialize, Serialize};

use crate::model::key::{Key, RequestKey, RowKey, text};
use crate::reply::Answer;

/// An executed request (S15 for people).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    /// SHA-256 of verb and body.
    pub body_hash: [u8; 32],
    /// The answer it got.
    pub answer: Answer,
    /// Unix time, in ms.
    pub at_ms: u64,
}

impl Message for RequestRow {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 65_536;

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl RowKey for RequestKey {
    type Row = RequestRow;

    fn key(&self) -> Key {
        text(10, &[self.0.as_str(), self.1.as_str()])
    }
}
