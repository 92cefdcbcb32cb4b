//! Readers of the filters that the hub serves itself: every exact topic, everything that a device
//! reads, and filters that the router is not given any more. The router never forgets a filter;
//! these are gone with their last reader.

use std::collections::{HashMap, HashSet};

use tokio::sync::mpsc;

use super::inbox::{Handle, ToSession};
use super::owner::Owner;

/// Sessions by their number.
type Handles = HashMap<u64, Handle>;

/// Sessions by filter.
#[derive(Default)]
pub(crate) struct Readers {
    exact: HashMap<String, Handles>,
    wild: Level,
}

/// Filters with wildcards, level by level: how many there are costs a message nothing.
#[derive(Default)]
struct Level {
    readers: Handles,
    below: HashMap<String, Level>,
}

/// True if a filter stands for more than one topic.
fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

impl Level {
    fn add(&mut self, filter: &str, handle: &Handle) {
        let mut level = self;
        for name in filter.split('/') {
            level = level.below.entry(name.to_owned()).or_default();
        }
        level.readers.insert(handle.instance, handle.clone());
    }

    fn remove(&mut self, names: &[&str], instance: u64) {
        let Some((name, rest)) = names.split_first() else {
            self.readers.remove(&instance);
            return;
        };
        if let Some(below) = self.below.get_mut(*name) {
            below.remove(rest, instance);
            if below.readers.is_empty() && below.below.is_empty() {
                self.below.remove(*name);
            }
        }
    }

    /// Those of the filters that match a topic with these levels.
    fn find<'a>(&'a self, names: &[&str], found: &mut Vec<&'a Handles>) {
        found.extend(self.below.get("#").map(|rest| &rest.readers));
        match names.split_first() {
            None => found.push(&self.readers),
            Some((name, rest)) => {
                let below = ["+", *name].map(|name| self.below.get(name));
                for level in below.into_iter().flatten() {
                    level.find(rest, found);
                }
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let below = self.below.values().map(Self::len);
        below.sum::<usize>() + usize::from(!self.readers.is_empty())
    }
}

impl Readers {
    pub(crate) fn add(&mut self, filter: &str, handle: &Handle) {
        if is_wild(filter) {
            return self.wild.add(filter, handle);
        }
        let readers = self.exact.entry(filter.to_owned()).or_default();
        readers.insert(handle.instance, handle.clone());
    }

    pub(crate) fn remove(&mut self, filter: &str, instance: u64) {
        if is_wild(filter) {
            let names: Vec<&str> = filter.split('/').collect();
            return self.wild.remove(&names, instance);
        }
        if let Some(readers) = self.exact.get_mut(filter) {
            readers.remove(&instance);
            if readers.is_empty() {
                self.exact.remove(filter);
            }
        }
    }

    /// The inboxes of a topic's readers, each once.
    pub(crate) fn of(&self, topic: &str) -> Vec<mpsc::Sender<ToSession>> {
        let mut found: Vec<&Handles> = self.exact.get(topic).into_iter().collect();
        let names: Vec<&str> = topic.split('/').collect();
        self.wild.find(&names, &mut found);
        let mut seen = HashSet::new();
        let all = found.into_iter().flatten();
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
    /// The number of filters that each client brought in an hour.
    brought: HashMap<Owner, (u64, usize)>,
}

impl RouterFilters {
    /// True if the router is given a filter by this client: one that it has already, or so many new
    /// ones an hour, and so many in all.
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

    /// The number of filters.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}
