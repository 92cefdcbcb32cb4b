//! The print of a part, in a form in which nothing counts but what can make a difference.
//!
//! It is taken from what a part is to [`serde`], which knows numbers by their types' and fields'
//! names. Of a device's status numbers and sessions only the order counts, because the code
//! only compares them with others of that device, which nobody else has.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

use serde::Serialize;

use super::hash128::Hash128;

mod serializer;

/// The kind of a number. Numbers of different kinds are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of a device's statuses.
    Seq,
    /// Of a device's sessions.
    Session,
    /// Of what decides nothing.
    Idle,
}

impl Kind {
    /// The kind of the number that a type is.
    fn of_type(name: &str) -> Option<Self> {
        match name {
            "Seq" => Some(Self::Seq),
            "SessionCounter" => Some(Self::Session),
            _ => None,
        }
    }

    /// The kind of the number in a field. The turn in which a device joined decides nothing here: in
    /// an explored world it is before every deployment.
    fn of_field(name: &str) -> Option<Self> {
        (name == "joined").then_some(Self::Idle)
    }
}

/// Kinds of numbers whose order counts.
const SPACES: usize = 2;

/// A part's fingerprint.
#[derive(Debug, Default)]
pub(super) struct Print {
    /// Of everything in it.
    pub(super) exact: u128,
    /// Of everything but its numbers.
    between: u128,
    /// Kind and value of each number whose order counts, as they come.
    numbers: Vec<(u8, u64)>,
    /// Both of what comes first, without what only a restart reads.
    running: Option<(u128, usize)>,
}

/// Everything that was looked at of a part.
#[derive(Default)]
pub(super) struct Canon {
    /// Of everything but the numbers whose order counts, and those that decide nothing.
    between: Hash128,
    numbers: Vec<(u8, u64)>,
    idle: Vec<u64>,
    /// Both of what came before what only a restart reads.
    running: Option<(u128, usize)>,
    /// The kind of the number that comes next, if it is of one.
    next: Option<Kind>,
    /// The same as text, for whoever reads a failure.
    text: Option<String>,
}

impl Canon {
    /// One that can be read.
    pub(super) fn in_words() -> Self {
        Self {
            text: Some(String::new()),
            ..Self::default()
        }
    }

    /// Looks at something.
    pub(super) fn put(&mut self, what: impl Serialize) {
        let looked = what.serialize(&mut *self);
        looked.expect("what is looked at is data");
        self.say(";");
    }

    /// Looks at bytes in which no number only orders.
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        bytes.hash(&mut self.between);
        self.say(format_args!("{bytes:?};"));
    }

    /// Looks at a number that decides nothing.
    pub(super) fn put_idle(&mut self, number: u64) {
        self.next = Some(Kind::Idle);
        self.put(number);
    }

    /// Marks everything that is looked at from here on as read only at a restart.
    pub(super) fn lasting(&mut self) {
        self.running = Some((self.between.both(), self.numbers.len()));
        self.say("at a restart: ");
    }

    pub(super) fn print(self) -> Print {
        let between = self.between.both();
        let mut exact = Hash128::default();
        (between, &self.numbers, &self.idle, self.running).hash(&mut exact);
        Print {
            exact: exact.both(),
            between,
            numbers: self.numbers,
            running: self.running,
        }
    }

    /// What was looked at, in words.
    pub(super) fn text(self) -> String {
        self.text.unwrap_or_default()
    }

    fn number(&mut self, number: u64) {
        let kind = self.next.take();
        match kind {
            None => self.between.write_u64(number),
            Some(kind @ (Kind::Seq | Kind::Session)) => {
                let space = u8::from(kind == Kind::Session);
                self.between.write_u8(space);
                self.numbers.push((space, number));
            }
            Some(Kind::Idle) => self.idle.push(number),
        }
        self.say(format_args!("{number} "));
    }

    fn say(&mut self, what: impl fmt::Display) {
        if let Some(text) = &mut self.text {
            let _infallible = write!(text, "{what}");
        }
    }
}

thread_local! {
    /// Numbers of each space, to be used again.
    static NUMBERS: RefCell<[Vec<u64>; SPACES]> = RefCell::default();
}

impl Print {
    /// The parts of the print that count, and its numbers; `again` = its owner may start again.
    fn counts(&self, again: bool) -> (u128, &[(u8, u64)]) {
        match self.running {
            Some((between, numbers)) if !again => (between, &self.numbers[..numbers]),
            _ => (self.between, &self.numbers),
        }
    }
}

/// The fingerprint of what these parts are together, each with whether its owner may start
/// again, and of more.
pub(super) fn fingerprint<'a>(
    parts: impl Iterator<Item = (&'a Print, bool)> + Clone,
    more: impl Hash,
) -> u128 {
    NUMBERS.with_borrow_mut(|spaces| {
        spaces.iter_mut().for_each(Vec::clear);
        for (space, number) in parts.clone().flat_map(|(part, again)| part.counts(again).1) {
            spaces[usize::from(*space)].push(*number);
        }
        for numbers in spaces.iter_mut() {
            numbers.sort_unstable();
            numbers.dedup();
        }
        let mut hash = Hash128::default();
        for (part, again) in parts {
            let (between, numbers) = part.counts(again);
            between.hash(&mut hash);
            for (space, number) in numbers {
                let numbers = &spaces[usize::from(*space)];
                numbers
                    .partition_point(|other| other < number)
                    .hash(&mut hash);
            }
        }
        more.hash(&mut hash);
        hash.both()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoist_protocol::id::{Generation, Seq, SessionCounter};

    fn hash(what: impl Serialize) -> u128 {
        let mut canon = Canon::default();
        canon.put(what);
        fingerprint([(&canon.print(), true)].into_iter(), ())
    }

    #[derive(Serialize)]
    struct Member {
        joined: Option<u64>,
        due_ms: Option<u64>,
    }

    fn member(joined: Option<u64>, due_ms: Option<u64>) -> u128 {
        hash(Member { joined, due_ms })
    }

    #[test]
    fn of_a_devices_numbers_only_the_order_counts() {
        assert_eq!(hash((Seq(1), Seq(9))), hash((Seq(3), Seq(4))));
        assert_ne!(hash((Seq(1), Seq(9))), hash((Seq(9), Seq(1))));
        assert_ne!(hash((Seq(1), Seq(1))), hash((Seq(1), Seq(2))));
        let session = |number| hash(SessionCounter(number));
        assert_eq!(session(1), session(2));
        assert_ne!(session(1), hash(Seq(1)));
        assert_ne!(hash(Generation(1)), hash(Generation(2)));
    }

    #[test]
    fn a_number_that_decides_nothing_counts_only_by_being_there() {
        assert_eq!(member(Some(5), Some(1)), member(Some(0), Some(1)));
        assert_ne!(member(None, Some(1)), member(Some(0), Some(1)));
        assert_ne!(member(None, Some(1)), member(None, None));
        assert_ne!(member(None, Some(1)), member(None, Some(2)));
        let exact = |number| {
            let mut canon = Canon::default();
            canon.put_idle(number);
            canon.print().exact
        };
        assert_ne!(exact(1), exact(2));
    }

    #[test]
    fn what_only_a_restart_reads_counts_while_there_can_be_one() {
        let print = |last: &str| {
            let mut canon = Canon::default();
            canon.put(Seq(1));
            canon.lasting();
            canon.put(last);
            canon.print()
        };
        let (a, b) = (print("a"), print("b"));
        let count = |print, again| fingerprint([(print, again)].into_iter(), ());
        assert_ne!(count(&a, true), count(&b, true));
        assert_eq!(count(&a, false), count(&b, false));
    }

    #[test]
    fn a_part_can_be_read_by_whoever_looks_at_a_failure() {
        let mut canon = Canon::in_words();
        let (joined, due_ms) = (Some(5), None);
        canon.put((Seq(1), Member { joined, due_ms }));
        assert_eq!(canon.text(), "Seq 1 Member joined: 5 due_ms: none ;");
    }
}
