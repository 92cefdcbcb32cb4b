//! The audit trail as people read it, and as a file of it is proven.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::model::error::Code;
use crate::model::row::AuditRow;
use crate::model::time::{format_time, parse_time};

/// The result of a command that was carried out.
const CARRIED_OUT: &str = "ok";

/// One item in `audit-list`: a command that changed something, or was refused to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditItem {
    /// When it was decided, RFC 3339.
    pub at: String,
    /// The user who sent it.
    pub user: String,
    /// The address that it came from by HTTP; the user's addresses, or `mqtt`, by MQTT.
    pub from: String,
    /// Its request id.
    pub request: String,
    /// Its verb.
    pub verb: String,
    /// The names in it; of many the first, and how many more. Behind a colon the reason that was given.
    pub target: String,
    /// `ok`, or the code of its refusal.
    pub result: String,
    /// SHA-256 in hex, of the hash of the item before and of this item.
    pub hash: String,
}

impl From<&AuditRow> for AuditItem {
    fn from(row: &AuditRow) -> Self {
        Self {
            at: format_time(row.at_s.saturating_mul(1_000)),
            user: row.user.to_string(),
            from: row.from.clone(),
            request: row.request.to_string(),
            verb: row.verb.clone(),
            target: row.target.clone(),
            result: row.result.map_or(CARRIED_OUT, Code::as_str).to_owned(),
            hash: HEXLOWER.encode(&row.hash),
        }
    }
}

impl AuditItem {
    /// The row that this is the item of; none if no row is written so.
    #[must_use]
    pub fn row(&self) -> Option<AuditRow> {
        let hash = HEXLOWER.decode(self.hash.as_bytes()).ok()?;
        let row = AuditRow {
            at_s: parse_time(&self.at)? / 1_000,
            user: self.user.parse().ok()?,
            from: self.from.clone(),
            request: self.request.parse().ok()?,
            verb: self.verb.clone(),
            target: self.target.clone(),
            result: match self.result.as_str() {
                CARRIED_OUT => None,
                code => Some(Code::parse(code)?),
            },
            hash: hash.try_into().ok()?,
        };
        // A time can be written in many ways.
        (Self::from(&row) == *self).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_read_back_as_the_row_that_it_tells_and_in_no_other_way() {
        for result in [None, Some(Code::Role)] {
            let row = AuditRow {
                at_s: 1_800_000_000,
                user: "alice".parse().unwrap(),
                from: "192.0.2.7".into(),
                request: "r1".parse().unwrap(),
                verb: "deploy".into(),
                target: "fw@1.0.0 eu".into(),
                result,
                hash: [0; 32],
            };
            let row = row.after(&[7; 32]);
            let item = AuditItem::from(&row);
            assert_eq!(item.row().as_ref(), Some(&row));
            let otherwise: [fn(&mut AuditItem); 5] = [
                |item| item.at = item.at.replace('Z', ".5Z"),
                |item| item.at = item.at.replace('Z', "+00:00"),
                |item| item.hash = item.hash.to_uppercase(),
                |item| item.hash.truncate(62),
                |item| item.result = "E_NOTHING".into(),
            ];
            for otherwise in otherwise {
                let mut item = item.clone();
                otherwise(&mut item);
                assert_eq!(item.row(), None, "{item:?}");
            }
        }
    }
}
