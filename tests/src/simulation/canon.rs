//! A fingerprint of a world in which nothing counts but what can make a difference: times
//! are left out, and generations and status numbers count only by their order, because the
//! code only compares them.
//!
//! It is taken from the debug text of everything, in which these numbers can be told by
//! their types' names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};

use hoist_orchestrator_core::row::{
    CounterRow, DeploymentRow, DeviceRow, GroupCountRow, GroupRow, MetaRow, RecordRow,
};
use hoist_orchestrator_core::timer::Timer;
use hoist_protocol::codec::{Message, decode, decode_prefix};
use hoist_protocol::device::{DeviceInfo, Presence};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::status::DeviceStatus;

use super::broker::Payload;
use super::device::Device;
use super::line::{Line, device_number};
use super::world::World;

/// A number's space: numbers of different spaces are never compared.
type Space = (u8, u16);
const SEQ: u8 = 0;
const DEVICE_GENERATION: u8 = 1;
const GROUP_GENERATION: u8 = 2;

/// What introduces a number whose value does not count.
const TIMES: [&str; 4] = ["_ms: ", "wake: ", "Sent(", "random: "];
/// What introduces a number of which only the order counts.
const NUMBERS: [(&str, u8); 5] = [
    ("Seq(", SEQ),
    ("SessionCounter(", SEQ),
    ("DeviceHead { generation: Generation(", DEVICE_GENERATION),
    (
        "DeviceHead { generation: Some(Generation(",
        DEVICE_GENERATION,
    ),
    ("Generation(", GROUP_GENERATION),
];

/// The fingerprint of a world with something more that belongs to it.
#[must_use]
pub fn fingerprint(world: &World, more: impl Debug) -> u128 {
    let mut text = Text::default();
    visit(world, &mut text);
    let _infallible = write!(text.text, "{more:?}");
    text.parts.push((0, text.text.len()));
    text.hash()
}

/// Debug text with the device that each part is about.
#[derive(Default)]
struct Text {
    text: String,
    /// Device and end of each part.
    parts: Vec<(u16, usize)>,
}

impl Text {
    fn put(&mut self, device: u16, what: impl Debug) {
        let _infallible = write!(self.text, "{what:?};");
        self.parts.push((device, self.text.len()));
    }

    fn hash(&self) -> u128 {
        let mut spaces: BTreeMap<Space, BTreeSet<u64>> = BTreeMap::new();
        self.walk(
            |_| {},
            |space, number| {
                spaces.entry(space).or_default().insert(number);
            },
        );
        let mut low = DefaultHasher::new();
        let mut high = DefaultHasher::new();
        high.write_u8(1);
        let hashers = std::cell::RefCell::new((&mut low, &mut high));
        let both = |bytes: &[u8]| {
            let mut hashers = hashers.borrow_mut();
            hashers.0.write(bytes);
            hashers.1.write(bytes);
        };
        self.walk(both, |space, number| {
            let rank = spaces
                .get(&space)
                .map_or(0, |numbers| numbers.range(..number).count());
            both(&rank.to_le_bytes());
        });
        u128::from(low.finish()) << 64 | u128::from(high.finish())
    }

    /// Cuts the text at its numbers: hands out what is between them, and each number whose
    /// order counts.
    fn walk(&self, mut between: impl FnMut(&[u8]), mut number: impl FnMut(Space, u64)) {
        let mut start = 0;
        for (device, end) in &self.parts {
            let mut rest = &self.text[start..*end];
            while let Some((before, kind, after)) = next(rest) {
                between(before.as_bytes());
                let digits = after.bytes().take_while(u8::is_ascii_digit).count();
                if let Some(kind) = kind {
                    let group = kind == GROUP_GENERATION;
                    let space = (kind, if group { 0 } else { *device });
                    number(space, after[..digits].parse().unwrap_or_default());
                }
                rest = &after[digits..];
            }
            between(rest.as_bytes());
            start = *end;
        }
    }
}

/// The text up to the next number, what kind of number it is (none = a time), and the text
/// from the number on.
fn next(text: &str) -> Option<(&str, Option<u8>, &str)> {
    let bytes = text.as_bytes();
    // Every introduction ends in one of these two.
    for place in 0..bytes.len() {
        if !matches!(bytes[place], b'(' | b' ') {
            continue;
        }
        let before = &text[..=place];
        let found = NUMBERS.iter().find(|(word, _)| before.ends_with(word));
        if let Some((_, kind)) = found {
            return Some((before, Some(*kind), &text[place + 1..]));
        }
        let time = TIMES.iter().any(|word| {
            before
                .strip_suffix("Some(")
                .unwrap_or(before)
                .ends_with(word)
        });
        let digit = bytes.get(place + 1).is_some_and(u8::is_ascii_digit);
        if time && digit {
            return Some((before, None, &text[place + 1..]));
        }
    }
    None
}

fn visit(world: &World, text: &mut Text) {
    let server = &world.server;
    text.put(0, (server.up, server.connected, world.orders.len()));
    rows(world, text);
    text.put(0, server.difference.marked().collect::<Vec<_>>());
    for known in server.difference.known() {
        let device = match &known.subject {
            hoist_orchestrator::reconcile::Subject::Device(device) => device_number(device),
            _ => None,
        };
        // Which of the messages on the line it is, if any.
        let same = |payload: &Payload| known.digest == Some(hoist_protocol::id::sha256(payload));
        let retained: Vec<bool> = world.broker.all_retained().map(|(_, p)| same(p)).collect();
        let inbox = world.broker.server.iter().flat_map(|inbox| inbox.all());
        let coming: Vec<bool> = inbox.map(|(_, payload)| same(payload)).collect();
        let generation = known.generation;
        match device {
            Some(device) => {
                // Written like the head whose generation it is.
                let head = format_args!("DeviceHead {{ generation: {generation:?}");
                text.put(device, (head, &known.held, retained, coming));
            }
            None => text.put(
                0,
                (&known.subject, generation, &known.held, retained, coming),
            ),
        }
    }
    for (line, payload) in world.broker.all_retained() {
        message(line, payload, text);
    }
    text.put(0, "server");
    for (line, payload) in world.broker.server.iter().flat_map(|inbox| inbox.all()) {
        message(line, payload, text);
    }
    for (device, will) in world.broker.wills() {
        message(Line::Presence(*device), will, text);
    }
    for device in &world.devices {
        visit_device(world, device, text);
    }
}

fn visit_device(world: &World, device: &Device, text: &mut Text) {
    let number = device.number;
    if let Some(session) = world.broker.session(number) {
        text.put(number, session.follows());
        for (line, payload) in session.inbox.all() {
            message(line, payload, text);
        }
    }
    text.put(number, &device.machine);
    text.put(
        number,
        (&device.disk.record, &device.disk.ring, &device.disk.head),
    );
    text.put(
        number,
        (
            device.online,
            device.doing,
            device.in_flight,
            &device.waiting,
        ),
    );
    text.put(
        number,
        (
            device.session,
            device.boots,
            device.announces,
            &device.truth.ends,
        ),
    );
    text.put(
        number,
        (&device.truth.starts, &device.truth.over, &device.truth.head),
    );
    text.put(number, (&device.truth.installs, &device.disk.inventory));
}

fn message(line: Line, payload: &[u8], text: &mut Text) {
    fn read<M: Message>(payload: &[u8]) -> Option<M> {
        decode_prefix(payload).ok().map(|(message, _)| message)
    }
    match line {
        Line::Group(_) => text.put(0, (line, read::<GroupHead>(payload))),
        Line::Device(number) => text.put(number, (line, read::<DeviceHead>(payload))),
        Line::Release(_) => text.put(0, line),
        Line::Status(number) => text.put(number, (line, read::<DeviceStatus>(payload))),
        Line::Presence(number) => text.put(number, (line, read::<Presence>(payload))),
        Line::Info(number) => {
            let info = read::<DeviceInfo>(payload).map(|info| {
                let head = info.stored_head.as_deref().and_then(read::<DeviceHead>);
                (info.public_key, head)
            });
            text.put(number, (line, info));
        }
    }
}

fn rows(world: &World, text: &mut Text) {
    fn read<M: Message>(bytes: &[u8]) -> Option<M> {
        decode(bytes).ok()
    }
    for (key, bytes) in world
        .server
        .rows
        .scan(&hoist_orchestrator_core::key::Key(Vec::new()))
    {
        let (prefix, rest) = key.0.split_first().unwrap_or((&0, &[]));
        let device = |from: usize| {
            let name = rest
                .get(from..)
                .and_then(|bytes| std::str::from_utf8(bytes).ok());
            name.and_then(|name| device_number(&name.parse().ok()?))
                .unwrap_or_default()
        };
        match prefix {
            1 => text.put(0, read::<MetaRow>(bytes)),
            2 => text.put(0, (rest, read::<GroupRow>(bytes))),
            3 => text.put(device(0), read::<DeviceRow>(bytes)),
            6 => text.put(0, (rest, read::<DeploymentRow>(bytes))),
            7 => text.put(device(4), (rest, read::<RecordRow>(bytes))),
            8 => text.put(0, (rest, read::<CounterRow>(bytes))),
            12 => text.put(0, (rest, read::<GroupCountRow>(bytes))),
            11 => text.put(0, Timer::parse(key)),
            // Releases are given; answers follow from the deployments.
            4 | 5 | 10 => {}
            _ => text.put(0, (prefix, rest, bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(device: u16, text: &str) -> u128 {
        let text = Text {
            text: text.to_owned(),
            parts: vec![(device, text.len())],
        };
        text.hash()
    }

    #[test]
    fn only_the_order_of_numbers_counts_and_no_time() {
        let same = [
            (
                "Seq(1) Seq(9) due_ms: Some(17)",
                "Seq(3) Seq(4) due_ms: Some(99)",
            ),
            ("a_ms: 5, Generation(70)", "a_ms: 0, Generation(71)"),
        ];
        for (a, b) in same {
            assert_eq!(hash(1, a), hash(1, b), "{a} and {b}");
        }
        let differ = [
            ("Seq(1) Seq(9)", "Seq(9) Seq(1)"),
            ("Seq(1) Seq(1)", "Seq(1) Seq(2)"),
            ("due_ms: Some(1)", "due_ms: None"),
            ("count: 1", "count: 2"),
        ];
        for (a, b) in differ {
            assert_ne!(hash(1, a), hash(1, b), "{a} and {b}");
        }
    }
}
