//! Tokens and certificates of a device that are worth nothing any more.

use hoist_protocol::codec::{DecodeError, Message, decode};
use hoist_protocol::envelope::PublicKey;
use serde::{Deserialize, Serialize};

use crate::model::row::Stay;

/// A device of which tokens or certificates are worth nothing, and where it was in earlier lives.
/// The row outlives a removal, so that a device which is added again gets another token.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RevokedRow {
    /// Tokens and certificates up to this issue ([`super::DeviceRow::issue`]) are worth nothing:
    /// the device was removed or revoked. 0 = it never was.
    pub issue: u32,
    /// Where it was until it was removed, oldest first, the last being the group that it obeyed
    /// then; at most [`super::STAYS_MAX`]. Deployments that have ended go on counting it (S5). Empty in
    /// rows of servers that did not note it.
    pub past: Vec<Stay>,
    /// Tokens up to this issue are worth nothing: others took their place. 0 = none did.
    pub tokens: u32,
    /// Unix time, in ms, at which the device was removed or revoked last: a certificate of a CA
    /// that knows of no issue is worth nothing if it was good by then. The end of time in rows of
    /// servers that did not note it.
    pub at_ms: u64,
    /// Certificates up to this issue are worth nothing: another key took the place of theirs. 0 = none
    /// did. Certificates of the next key have a higher issue, whatever that of its tokens is.
    pub certificates: u32,
    /// The key that it was known by when it was removed or revoked last: whoever took the device has
    /// it, so that it gets no certificate before somebody approves it. Absent once that was done,
    /// without such a key, and in rows of servers that did not note it.
    pub key: Option<PublicKey>,
}

/// The tokens and certificates of a device that are worth nothing, as a door asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revocation {
    /// [`RevokedRow::issue`].
    pub issue: u32,
    /// [`RevokedRow::tokens`].
    pub tokens: u32,
    /// [`RevokedRow::at_ms`].
    pub at_ms: u64,
    /// [`RevokedRow::certificates`].
    pub certificates: u32,
}

impl RevokedRow {
    /// What a door must know of it.
    #[must_use]
    pub fn revocation(&self) -> Revocation {
        Revocation {
            issue: self.issue,
            tokens: self.tokens,
            at_ms: self.at_ms,
            certificates: self.certificates,
        }
    }

    /// The issue of certificates that are made for a device now, of which this is the newest issue
    /// of its tokens.
    #[must_use]
    pub fn certificate_issue(&self, issue: u32) -> u32 {
        issue.max(self.certificates.saturating_add(1))
    }
}

impl Revocation {
    /// Everything that either of two makes worth nothing.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            issue: self.issue.max(other.issue),
            tokens: self.tokens.max(other.tokens),
            at_ms: self.at_ms.max(other.at_ms),
            certificates: self.certificates.max(other.certificates),
        }
    }

    /// True if a token of this issue is worth nothing.
    #[must_use]
    pub fn ends_token(&self, issue: u32) -> bool {
        issue <= self.issue.max(self.tokens)
    }
}

/// `tokens`, `at_ms`, `certificates` and `key` of a row that was written without them: 0, the end of
/// time, 0 and none.
const NOT_NOTED: [u8; 13] = [
    0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0,
];

impl Message for RevokedRow {
    const VERSION: u8 = 5;
    const BYTES_MAX: usize = 4_096;

    fn decode_older(bytes: &[u8]) -> Option<Result<(Self, &[u8]), DecodeError>> {
        let (version, fields) = bytes.split_first()?;
        let (past, rest): (&[u8], &[u8]) = match version {
            1 => (&[0], &NOT_NOTED),
            2 => (&[], &NOT_NOTED),
            3 => (&[], &[0, 0]),
            4 => (&[], &[0]),
            _ => return None,
        };
        let grown = [&[Self::VERSION], fields, past, rest].concat();
        Some(decode(&grown).map(|row| (row, &[][..])))
    }

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{golden, older_golden};

    #[test]
    fn a_revoked_device_keeps_its_bytes_and_those_of_before_are_read() {
        let revoked = RevokedRow {
            issue: 300,
            past: vec![Stay {
                group: "eu".parse().unwrap(),
                joined: 4,
                left: 9,
            }],
            tokens: 5,
            at_ms: 300,
            certificates: 300,
            key: Some(PublicKey([7; 32])),
        };
        let key = "07".repeat(32);
        golden(&revoked, &format!("05ac0201026575040905ac02ac0201{key}"));
        let new = RevokedRow {
            key: None,
            ..revoked
        };
        older_golden(&new, "04ac0201026575040905ac02ac02");
        let old = RevokedRow {
            certificates: 0,
            ..new
        };
        older_golden(&old, "03ac0201026575040905ac02");
        let older = RevokedRow {
            tokens: 0,
            at_ms: u64::MAX,
            ..old
        };
        older_golden(&older, "02ac02010265750409");
        let oldest = RevokedRow {
            past: vec![],
            ..older
        };
        older_golden(&oldest, "01ac02");
    }
}
