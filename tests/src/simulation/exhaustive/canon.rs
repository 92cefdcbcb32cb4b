//! What a part says, in a form in which nothing counts but what can make a difference.
//!
//! It is taken from debug text, in which numbers can be told by their types' and fields'
//! names. Of generations, status numbers and sessions only the order counts, because the code
//! only compares them. A time counts by how far away it is, for as long as anything waits for
//! it; when something was written down for people does not count.

use std::cell::RefCell;
use std::fmt::Debug;
use std::fmt::Write as _;
use std::hash::Hash;

use super::part::DEVICES;
use super::table::Hash128;

/// What a number is. Numbers of different kinds are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Of a device's statuses.
    Seq,
    /// Of a device's sessions.
    Session,
    /// Of a device's head.
    DeviceGeneration,
    /// Of a group's head.
    GroupGeneration,
    /// A time, ms.
    Time,
    /// A time that nothing waits for, ms.
    Written,
}

/// Fields with a time that nothing waits for.
const WRITTEN: [&str; 9] = [
    "created_ms",
    "updated_ms",
    "last_seen_ms",
    "at_ms",
    "since_ms",
    "time_ms",
    "now_ms",
    "reported_ms",
    "forget_ms",
];
/// What a device's head looks like up to its generation, also where none is known.
const HEADS: [&str; 2] = [
    "DeviceHead { generation: Generation(",
    "DeviceHead { generation: Some(Generation(",
];

/// Spaces of numbers whose order counts: one of groups, three of each device.
pub(super) const SPACES: usize = 1 + 3 * DEVICES as usize;
/// The space of a time.
const TIME: u8 = SPACES as u8;
/// Later than any attended time, earlier than any Unix time, ms.
const UNIX_MS: u64 = 1_000_000_000_000;

/// A part's fingerprint.
#[derive(Debug, Default)]
pub(super) struct Print {
    /// Of everything in it.
    pub(super) exact: u128,
    /// Of everything but its numbers.
    between: u128,
    /// Space and value of each number, in order.
    numbers: Vec<(u8, u64)>,
    /// Both of what comes first, without what only a restart reads.
    running: Option<(u128, usize)>,
}

/// Debug text with the device that each piece is about.
#[derive(Default)]
pub(super) struct Text {
    text: String,
    /// Device and end of each piece.
    pieces: Vec<(u16, usize)>,
    /// Pieces before those that only a restart reads.
    running: Option<usize>,
}

impl Text {
    /// Adds a piece that is about a device, or about none (0).
    pub(super) fn put(&mut self, device: u16, what: impl Debug) {
        let _infallible = write!(self.text, "{what:?};");
        self.pieces.push((device, self.text.len()));
    }

    /// Adds what only a restart reads; nothing comes after it.
    pub(super) fn lasting(&mut self, put: impl FnOnce(&mut Self)) {
        self.running = Some(self.pieces.len());
        put(self);
    }

    pub(super) fn print(&self) -> Print {
        let mut between = Hash128::default();
        let mut numbers = Vec::new();
        let mut running = None;
        let mut start = 0;
        for (place, (device, end)) in self.pieces.iter().enumerate() {
            if self.running == Some(place) {
                running = Some((between.both(), numbers.len()));
            }
            let mut rest = &self.text[start..*end];
            while let Some((before, kind, after)) = next(rest) {
                let digits = after.bytes().take_while(u8::is_ascii_digit).count();
                (before, kind).hash(&mut between);
                let space = match kind {
                    Kind::GroupGeneration => Some(0),
                    Kind::Seq => Some(3 * *device - 2),
                    Kind::Session => Some(3 * *device - 1),
                    Kind::DeviceGeneration => Some(3 * *device),
                    Kind::Time => Some(u16::from(TIME)),
                    Kind::Written => None,
                };
                if let Some(space) = space {
                    let number = after[..digits].parse().unwrap_or_default();
                    numbers.push((space as u8, number));
                }
                rest = &after[digits..];
            }
            rest.hash(&mut between);
            start = *end;
        }
        let mut exact = Hash128::default();
        self.text.hash(&mut exact);
        Print {
            exact: exact.both(),
            between: between.both(),
            numbers,
            running,
        }
    }
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

/// What a number is by the text before it.
fn kind(before: &str) -> Option<Kind> {
    let field = before.strip_suffix("Some(").unwrap_or(before);
    if let Some(field) = field.strip_suffix(": ") {
        let field = last_word(field);
        return match field {
            _ if WRITTEN.contains(&field) => Some(Kind::Written),
            "wake" => Some(Kind::Time),
            _ if field.ends_with("_ms") => Some(Kind::Time),
            _ => None,
        };
    }
    match last_word(before.strip_suffix('(')?) {
        "Seq" => Some(Kind::Seq),
        "SessionCounter" => Some(Kind::Session),
        "Sent" => Some(Kind::Time),
        "Generation" if HEADS.iter().any(|head| before.ends_with(head)) => {
            Some(Kind::DeviceGeneration)
        }
        "Generation" => Some(Kind::GroupGeneration),
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
    /// What counts of it, and its numbers; `again` = its owner may start again.
    fn counts(&self, again: bool) -> (u128, &[(u8, u64)]) {
        match self.running {
            Some((between, numbers)) if !again => (between, &self.numbers[..numbers]),
            _ => (self.between, &self.numbers),
        }
    }
}

/// The fingerprint of a state: of its parts, each with whether its owner may start again, at
/// a time, unix and attended ms, and of more.
pub(super) fn fingerprint<'a>(
    parts: impl Iterator<Item = (&'a Print, bool)> + Clone,
    (unix_ms, attended_ms): (u64, u64),
    more: impl Hash,
) -> u128 {
    NUMBERS.with_borrow_mut(|spaces| {
        spaces.iter_mut().for_each(Vec::clear);
        for (space, number) in parts.clone().flat_map(|(part, again)| part.counts(again).1) {
            if let Some(numbers) = spaces.get_mut(usize::from(*space)) {
                numbers.push(*number);
            }
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
                let counts = match spaces.get(usize::from(*space)) {
                    Some(numbers) => numbers.partition_point(|other| other < number) as u64,
                    None if *number >= UNIX_MS => number.wrapping_sub(unix_ms),
                    None => number.wrapping_sub(attended_ms),
                };
                counts.hash(&mut hash);
            }
        }
        more.hash(&mut hash);
        hash.both()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str, now: (u64, u64)) -> u128 {
        let text = Text {
            text: text.to_owned(),
            pieces: vec![(1, text.len())],
            running: None,
        };
        fingerprint([(&text.print(), true)].into_iter(), now, ())
    }

    #[test]
    fn only_the_order_of_numbers_counts_and_how_far_times_are_away() {
        let (unix, later) = ((UNIX_MS, 5), (UNIX_MS + 7, 12));
        let same = [
            ("Seq(1) Seq(9)", "Seq(3) Seq(4)"),
            ("due_ms: Some(17)", "due_ms: Some(24)"),
            ("until_ms: 1000000000009,", "until_ms: 1000000000016,"),
            (
                "updated_ms: 5, Generation(70)",
                "updated_ms: 0, Generation(71)",
            ),
        ];
        for (a, b) in same {
            assert_eq!(hash(a, unix), hash(b, later), "{a} and {b}");
        }
        let differ = [
            ("Seq(1) Seq(9)", "Seq(9) Seq(1)"),
            ("Seq(1) Seq(1)", "Seq(1) Seq(2)"),
            ("due_ms: Some(1)", "due_ms: None"),
            ("due_ms: Some(1)", "due_ms: Some(2)"),
            ("count: 1", "count: 2"),
            (
                "Generation(1) DeviceHead { generation: Generation(1)",
                "Generation(1) Generation(1)",
            ),
        ];
        for (a, b) in differ {
            assert_ne!(hash(a, unix), hash(b, unix), "{a} and {b}");
        }
    }
}
