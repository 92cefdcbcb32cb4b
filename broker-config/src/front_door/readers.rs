//! Who reads what, of the filters that the hub serves itself: every exact topic, and whatever a
//! device reads. The router never forgets a filter; these are gone with their last reader.

use std::collections::{HashMap, HashSet};

use hoist_protocol::topic::matches;
use tokio::sync::mpsc;

use super::hub::{Handle, Owner};
use super::session::ToSession;

/// Sessions by filter, and in it by their number.
#[derive(Default)]
pub(crate) struct Readers {
    exact: HashMap<String, HashMap<u64, Handle>>,
    /// With a wildcard: a handful, because devices may use few.
    wild: HashMap<String, HashMap<u64, Handle>>,
}

/// Whether a filter stands for more than one topic.
fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

impl Readers {
    fn kind(&mut self, filter: &str) -> &mut HashMap<String, HashMap<u64, Handle>> {
        match is_wild(filter) {
            true => &mut self.wild,
            false => &mut self.exact,
        }
    }

    pub(crate) fn add(&mut self, filter: &str, handle: &Handle) {
        let readers = self.kind(filter).entry(filter.to_owned()).or_default();
        readers.insert(handle.instance, handle.clone());
    }

    pub(crate) fn remove(&mut self, filter: &str, instance: u64) {
        let kind = self.kind(filter);
        if let Some(readers) = kind.get_mut(filter) {
            readers.remove(&instance);
            if readers.is_empty() {
                kind.remove(filter);
            }
        }
    }

    /// The inboxes of a topic's readers, each once.
    pub(crate) fn of(&self, topic: &str) -> Vec<mpsc::Sender<ToSession>> {
        let exact = self.exact.get(topic).into_iter().flatten();
        let wild = self
            .wild
            .iter()
            .filter(|(filter, _)| matches(filter, topic));
        let mut seen = HashSet::new();
        let all = exact.chain(wild.flat_map(|(_, readers)| readers));
        all.filter(|(instance, _)| seen.insert(**instance))
            .map(|(_, handle)| handle.inbox.clone())
            .collect()
    }

    /// Filters with at least one reader.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.exact.len() + self.wild.len()
    }
}

/// An hour in ms.
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// The filters that the router has been given, which it keeps for ever.
#[derive(Default)]
pub(crate) struct RouterFilters {
    known: HashSet<String>,
    /// What each client brought in an hour.
    brought: HashMap<Owner, (u64, usize)>,
}

impl RouterFilters {
    /// Whether the router may be given a filter by this client: one that it has already, or
    /// so many new ones an hour, and so many in all.
    pub(crate) fn allow(
        &mut self,
        filter: &str,
        owner: &Owner,
        (an_hour, in_all): (usize, usize),
        now_ms: u64,
    ) -> bool {
        if self.known.contains(filter) {
            return true;
        }
        let hour = now_ms / HOUR_MS;
        self.brought.retain(|_, (of, _)| *of == hour);
        let brought = self.brought.entry(owner.clone()).or_insert((hour, 0));
        let is_service = *owner == Owner::Service;
        if !is_service && (self.known.len() >= in_all || brought.1 >= an_hour) {
            return false;
        }
        brought.1 += 1;
        self.known.insert(filter.to_owned())
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}
