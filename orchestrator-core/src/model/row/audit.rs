//! The audit trail: an item for everything that somebody, or somebody with a claim, changed or was
//! refused to. Each is bound to the one before it by its hash, so that none is changed or left out
//! unseen.

use hoist_protocol::codec::{Message, encode};
use hoist_protocol::id::{RequestId, UserId, sha256};
use serde::{Deserialize, Serialize};

use crate::model::error::Code;

/// Bytes of a hash, which a row ends with.
const HASH_BYTES: usize = 32;
/// Characters of a text of an item at most: an id has 64, and what is longer is nobody's name.
const TEXT_CHARS_MAX: usize = 96;
/// Characters of a reason in an item at most: none that is taken has more.
const REASON_CHARS_MAX: usize = 256;
/// Characters of a target at most: names, and a reason behind them, each with a mark where it is cut.
const TARGET_CHARS_MAX: usize = TEXT_CHARS_MAX + REASON_CHARS_MAX + 4;

/// The hash of an item, and of everything before it.
pub type AuditHash = [u8; HASH_BYTES];

/// One item of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Unix time, in seconds.
    pub at_s: u64,
    /// The user who sent the command.
    pub user: UserId,
    /// The addresses that the command may have come from, or the way in which it came.
    pub from: String,
    /// The id of the command.
    pub request: RequestId,
    /// The command's verb.
    pub verb: String,
    /// The names in the command, and the reason that its sender gave behind them.
    pub target: String,
    /// Why it was refused; none of one that was carried out.
    pub result: Option<Code>,
    /// SHA-256 of the hash before it, and of this row's bytes before the hash.
    pub hash: AuditHash,
}

/// The end of the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditHeadRow {
    /// The number of the last item; the first is 1.
    pub number: u64,
    /// The hash of the last item; zeros before the first.
    pub hash: AuditHash,
    /// Unix time at which a refusal was noted last that nobody remembers, in ms.
    pub refused_ms: u64,
}

/// The root document of which the trail told last: another one is told of, also when it came while
/// no server ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedRootRow {
    /// Its number.
    pub number: u32,
    /// The SHA-256 of its body.
    pub sha256: [u8; HASH_BYTES],
}

impl Message for NotedRootRow {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 64;

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Message for AuditRow {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 4_096;

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Message for AuditHeadRow {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 64;

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl AuditRow {
    /// True if it is the item that was written after the one with this hash.
    #[must_use]
    pub fn follows(&self, before: &AuditHash) -> bool {
        self.hash == self.hash_after(before)
    }

    /// The item behind the one with this hash.
    #[must_use]
    pub fn after(self, before: &AuditHash) -> Self {
        let hash = self.hash_after(before);
        Self { hash, ..self }
    }

    fn hash_after(&self, before: &AuditHash) -> AuditHash {
        let mut bytes = encode(self);
        bytes.truncate(bytes.len().saturating_sub(HASH_BYTES));
        sha256(&[&before[..], &bytes].concat())
    }
}

/// A command, or something else that somebody did, as the audit trail tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The user who sent it; the orchestrator's name for what no user did.
    pub user: UserId,
    /// Its id.
    pub request: RequestId,
    /// The addresses that it may have come from, or the way in which it came.
    pub from: String,
    /// Its verb.
    pub verb: String,
    /// The names in it, and the reason that was given ([`Deed::target`]).
    pub target: String,
}

impl Deed {
    /// What somebody did on the server's own machine, by this command.
    #[must_use]
    pub fn of_host(command: &str, (request, verb): (RequestId, &str), target: String) -> Self {
        Self {
            user: UserId::orchestrator(),
            request,
            from: command.to_owned(),
            verb: verb.to_owned(),
            target,
        }
    }

    /// Names as an item tells them, `d1`, with a reason behind them, `d1: stolen`.
    #[must_use]
    pub fn target(names: &str, reason: Option<&str>) -> String {
        let names = short(names, TEXT_CHARS_MAX);
        match reason.filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("{names}: {}", short(reason, REASON_CHARS_MAX)),
            None => names,
        }
    }

    /// The item of this command, bound to nothing yet.
    pub(crate) fn item(&self, unix_ms: u64, result: Option<Code>) -> AuditRow {
        AuditRow {
            at_s: unix_ms / 1_000,
            user: self.user.clone(),
            from: short(&self.from, TEXT_CHARS_MAX),
            request: self.request.clone(),
            verb: short(&self.verb, TEXT_CHARS_MAX),
            target: short(&self.target, TARGET_CHARS_MAX),
            result,
            hash: [0; HASH_BYTES],
        }
    }
}

/// As much of a text as an item keeps, on one line.
fn short(text: &str, most: usize) -> String {
    let printed = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let kept: String = text.chars().take(most).map(printed).collect();
    match text.chars().nth(most) {
        Some(_) => kept + "…",
        None => kept,
    }
}

/// A trail that is gone along from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditChain {
    /// The number of items that fit.
    pub items: u64,
    /// The hash of the last of them.
    pub hash: AuditHash,
}

impl AuditChain {
    /// Takes the next item in; false for one that was not written next.
    pub fn take(&mut self, item: &AuditRow) -> bool {
        let fits = item.follows(&self.hash);
        if fits {
            self.items += 1;
            self.hash = item.hash;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<AuditRow> {
        let mut chain = AuditChain::default();
        let item = |number: u64| {
            let deed = Deed {
                user: "alice".parse().unwrap(),
                request: format!("r{number}").parse().unwrap(),
                from: "192.0.2.7".into(),
                verb: "deploy".into(),
                target: "fw@1.0.0 eu".into(),
            };
            let item = deed.item(number * 1_000, None).after(&chain.hash);
            assert!(chain.take(&item));
            item
        };
        (1..=4).map(item).collect()
    }

    /// The number of items that fit.
    fn fit(items: &[AuditRow]) -> u64 {
        let mut chain = AuditChain::default();
        let _first_that_does_not = items.iter().find(|item| !chain.take(item));
        chain.items
    }

    #[test]
    fn an_item_that_was_changed_removed_or_put_elsewhere_does_not_fit() {
        let whole = items();
        assert_eq!(fit(&whole), 4);
        let changes: [fn(&mut AuditRow); 8] = [
            |item| item.at_s += 1,
            |item| item.user = "bob".parse().unwrap(),
            |item| item.from = "192.0.2.8".into(),
            |item| item.request = "r9".parse().unwrap(),
            |item| item.verb = "abort".into(),
            |item| item.target = "fw@1.0.0 us".into(),
            |item| item.result = Some(Code::Role),
            |item| item.hash[0] ^= 1,
        ];
        for change in changes {
            let mut changed = whole.clone();
            change(&mut changed[1]);
            assert_eq!(fit(&changed), 1);
            // Whoever mends its own hash breaks the next one's.
            changed[1] = changed[1].clone().after(&whole[0].hash);
            assert!(fit(&changed) < 4 || changed == whole);
        }
        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(fit(&removed), 1);
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        assert_eq!(fit(&swapped), 1);
        assert_eq!(fit(&whole[1..]), 0);
    }

    #[test]
    fn a_text_of_an_item_is_one_short_line() {
        let short = |text: &str| short(text, TEXT_CHARS_MAX);
        assert_eq!(short("fw@1.0.0 eu"), "fw@1.0.0 eu");
        assert_eq!(short("a\nb\u{7}"), "a\u{fffd}b\u{fffd}");
        let long = short(&"ä".repeat(16_000));
        assert_eq!(long.chars().count(), TEXT_CHARS_MAX + 1);
        let whole = "x".repeat(TEXT_CHARS_MAX);
        assert_eq!(short(&whole), whole);
    }

    #[test]
    fn the_longest_item_fits_into_its_row_with_all_of_a_reason_that_is_taken() {
        let long = "\u{10348}".repeat(16_000);
        let reason = "\u{10348}".repeat(REASON_CHARS_MAX);
        let target = Deed::target(&long, Some(&reason));
        assert!(target.ends_with(&format!(": {reason}")));
        let deed = Deed {
            user: "u".repeat(64).parse().unwrap(),
            request: "r".repeat(64).parse().unwrap(),
            from: long.clone(),
            verb: long,
            target: target.clone(),
        };
        let item = deed.item(u64::MAX, Some(Code::Role));
        assert_eq!(item.target, target);
        assert!(hoist_protocol::codec::encode_checked(&item).is_ok());
    }
}
