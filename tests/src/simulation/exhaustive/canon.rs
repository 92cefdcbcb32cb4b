//! The print of a part, in a form in which nothing counts but what can make a difference.
//!
//! It is taken from debug text, in which numbers can be told by their types' and fields'
//! names. Of a device's status numbers and sessions only the order counts, because the code
//! only compares them with others of that device, which nobody else has.

use std::cell::RefCell;
use std::fmt::Debug;
use std::fmt::Write as _;
use std::hash::Hash;

use super::table::Hash128;

/// The kind of a number. Numbers of different kinds are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Of a device's statuses.
    Seq,
    /// Of a device's sessions.
    Session,
    /// Of what decides nothing.
    Idle,
}

/// Fields that decide nothing here: the turn in which a device joined, which in an explored
/// world is before every deployment, and when an answer is forgotten, which is later than any
/// world lasts.
const IDLE: [&str; 2] = ["joined", "forget_ms"];

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

/// Debug text of a part.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    /// Of what was added without being read.
    raw: Hash128,
    /// Where what only a restart reads begins.
    running: Option<usize>,
}

impl Text {
    /// Adds something.
    pub(super) fn put(&mut self, what: impl Debug) {
        let _infallible = write!(self.text, "{what:?};");
    }

    /// Adds something in which no number only orders.
    pub(super) fn raw(&mut self, what: impl Hash) {
        what.hash(&mut self.raw);
    }

    /// Marks everything that is added from here on as read only at a restart.
    pub(super) fn lasting(&mut self) {
        self.running = Some(self.text.len());
    }

    pub(super) fn print(&self) -> Print {
        let mut between = self.raw.clone();
        let mut numbers = Vec::new();
        let (first, rest) = self.text.split_at(self.running.unwrap_or(self.text.len()));
        read(first, &mut between, &mut numbers);
        let running = self.running.map(|_| (between.both(), numbers.len()));
        read(rest, &mut between, &mut numbers);
        let mut exact = self.raw.clone();
        (&self.text, self.running).hash(&mut exact);
        Print {
            exact: exact.both(),
            between: between.both(),
            numbers,
            running,
        }
    }
}

fn read(mut text: &str, between: &mut Hash128, numbers: &mut Vec<(u8, u64)>) {
    while let Some((before, kind, after)) = next(text) {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        (before, kind).hash(between);
        let space = match kind {
            Kind::Seq => Some(0),
            Kind::Session => Some(1),
            Kind::Idle => None,
        };
        let number = after[..digits].parse().unwrap_or_default();
        numbers.extend(space.map(|space| (space, number)));
        text = &after[digits..];
    }
    text.hash(between);
}

/// The text up to the next number, what it is, and the text from it on.
fn next(text: &str) -> Option<(&str, Kind, &str)> {
    let bytes = text.as_bytes();
    let starts = |place: usize| {
        matches!(bytes[place], b'(' | b' ') && bytes.get(place + 1).is_some_and(u8::is_ascii_digit)
    };
    let mut places = (0..bytes.len()).filter(|place| starts(*place));
    places.find_map(|place| {
        let (before, after) = text.split_at(place + 1);
        kind(before).map(|kind| (before, kind, after))
    })
}

/// The kind of a number by the text before it.
fn kind(before: &str) -> Option<Kind> {
    let field = before.strip_suffix("Some(").unwrap_or(before);
    if let Some(field) = field.strip_suffix(": ") {
        let field = last_word(field);
        return match field {
            _ if IDLE.contains(&field) => Some(Kind::Idle),
            _ => None,
        };
    }
    match last_word(before.strip_suffix('(')?) {
        "Seq" => Some(Kind::Seq),
        "SessionCounter" => Some(Kind::Session),
        _ => None,
    }
}

fn last_word(text: &str) -> &str {
    let other = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.rfind(other).map_or(text, |place| &text[place + 1..])
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

    fn hash(text: &str) -> u128 {
        let text = Text {
            text: text.to_owned(),
            ..Text::default()
        };
        fingerprint([(&text.print(), true)].into_iter(), ())
    }

    #[test]
    fn of_a_devices_numbers_only_the_order_counts() {
        let same = [
            ("Seq(1) Seq(9)", "Seq(3) Seq(4)"),
            ("joined: 5,", "joined: 0,"),
        ];
        for (a, b) in same {
            assert_eq!(hash(a), hash(b), "{a} and {b}");
        }
        let differ = [
            ("Seq(1) Seq(9)", "Seq(9) Seq(1)"),
            ("Seq(1) Seq(1)", "Seq(1) Seq(2)"),
            ("due_ms: Some(1)", "due_ms: None"),
            ("due_ms: Some(1)", "due_ms: Some(2)"),
            ("count: 1", "count: 2"),
            ("Generation(1)", "Generation(2)"),
        ];
        for (a, b) in differ {
            assert_ne!(hash(a), hash(b), "{a} and {b}");
        }
    }

    #[test]
    fn what_only_a_restart_reads_counts_while_there_can_be_one() {
        let print = |last: &str| {
            let mut text = Text::default();
            text.put("Seq(1)");
            text.lasting();
            text.put(last);
            text.print()
        };
        let (a, b) = (print("a"), print("b"));
        let count = |print, again| fingerprint([(print, again)].into_iter(), ());
        assert_ne!(count(&a, true), count(&b, true));
        assert_eq!(count(&a, false), count(&b, false));
    }
}
