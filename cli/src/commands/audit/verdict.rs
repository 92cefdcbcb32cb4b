//! The proof of an audit trail: every item follows the one before it, and a head that was known
//! before is still in it.

use data_encoding::HEXLOWER;
use hoist_orchestrator_core::model::row::{AuditChain, AuditHash};
use hoist_orchestrator_core::reply::AuditItem;
use serde_json::{Value, json};

use crate::output::plural::count;

/// The first item that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// Its place, from 1.
    number: u64,
    /// The item, as far as it is one.
    item: Option<AuditItem>,
}

/// A trail, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The items that fit.
    pub(super) chain: AuditChain,
    pub(super) broken: Option<Broken>,
    /// The head that is looked for, and the place of the item that has it.
    wanted: Option<(AuditHash, Option<u64>)>,
}

impl Verdict {
    /// Of a trail in which this head must be.
    pub(super) fn looking_for(head: Option<AuditHash>) -> Self {
        let found = |head: AuditHash| (head == AuditHash::default()).then_some(0);
        Self {
            wanted: head.map(|head| (head, found(head))),
            ..Self::default()
        }
    }

    /// Takes the next item in, as it is written.
    pub(super) fn take(&mut self, written: &Value) {
        if self.broken.is_some() {
            return;
        }
        let item = read(written);
        let row = item.as_ref().and_then(AuditItem::row);
        match row.filter(|row| self.chain.take(row)) {
            Some(row) => {
                if let Some((head, place)) = &mut self.wanted
                    && *head == row.hash
                {
                    *place = Some(self.chain.items);
                }
            }
            None => {
                let number = self.chain.items + 1;
                self.broken = Some(Broken { number, item });
            }
        }
    }

    /// True if nothing is wrong.
    pub(super) fn is_whole(&self) -> bool {
        self.broken.is_none() && self.wanted.is_none_or(|(_, place)| place.is_some())
    }

    /// The verdict for people.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut said = Vec::new();
        let head = HEXLOWER.encode(&self.chain.hash);
        match &self.broken {
            None => {
                let items = count(self.chain.items, "item");
                said.push(format!("{items}: each follows the one before"));
                said.push(format!("head {head}"));
            }
            Some(Broken { number, item }) => said.push(match item {
                Some(item) => format!(
                    "item {number} does not follow the one before it: {} {} of {} at {}, request \
                     {}; it was changed, or one before it was changed or removed",
                    item.verb, item.target, item.user, item.at, item.request
                ),
                None => format!("item {number} is no item of an audit trail"),
            }),
        }
        if let Some((wanted, place)) = self.wanted {
            let wanted = HEXLOWER.encode(&wanted);
            said.push(match place {
                Some(place) => format!("the head {wanted} is that of item {place}"),
                None => format!(
                    "no item that fits has the head {wanted}: the end was cut off, or the trail was \
                     written anew"
                ),
            });
        }
        said
    }

    /// The verdict for programs.
    pub(super) fn item(&self) -> Value {
        json!({
            "kind": "audit-verify",
            "ok": self.is_whole(),
            "items": self.chain.items,
            "head": HEXLOWER.encode(&self.chain.hash),
            "broken": self.broken.as_ref().map(|broken| json!({
                "number": broken.number,
                "item": broken.item,
            })),
            "headItem": self.wanted.and_then(|(_, place)| place),
        })
    }
}

/// An item as it is written: nothing more may be in it but the version of its format.
fn read(written: &Value) -> Option<AuditItem> {
    let mut fields = written.as_object()?.clone();
    fields.remove("apiVersion");
    serde_json::from_value(Value::Object(fields)).ok()
}
