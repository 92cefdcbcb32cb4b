//! Everything of a part that can make a difference, as text.

use std::fmt::Debug;

use hoist_orchestrator::reconcile::Subject;
use hoist_orchestrator_core::key::Key;
use hoist_orchestrator_core::row::{
    CounterRow, DeploymentRow, DeviceRow, GroupCountRow, GroupRow, MemberRow, MetaRow, OutboxRow,
    RecordRow,
};
use hoist_orchestrator_core::timer::{Timer, TimerKind};
use hoist_protocol::codec::{Message, decode, decode_prefix};
use hoist_protocol::device::{DeviceInfo, Presence};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::status::DeviceStatus;

use super::super::broker::Payload;
use super::super::line::{Line, device_number};
use super::super::server::Server;
use super::super::world::Told;
use super::canon::Text;
use super::part::{Part, Place};

/// The message of ours with a digest, where one was ever published.
pub(super) type Digests<'a> = &'a dyn Fn([u8; 32]) -> Option<(Line, Payload)>;

/// A part as text.
pub(super) fn text(part: &Part, place: usize, digests: Digests<'_>) -> Text {
    let (place, device) = Place::named(place);
    let mut text = Text::default();
    text.put(device, (place, device));
    match part {
        // Times are told by how far away they are: a clock has nothing to say in a state.
        Part::Clock {
            unix_ms,
            attended_ms,
        } => text.put(0, format_args!("time_ms: {unix_ms} time_ms: {attended_ms}")),
        Part::Server(server) => look_at_server(server, digests, &mut text),
        Part::Orders(orders) => text.put(
            0,
            orders.iter().map(|order| order.number).collect::<Vec<_>>(),
        ),
        Part::Door {
            misled,
            revoked,
            removed,
        } => text.put(0, (misled, revoked, removed)),
        Part::Retained(retained) => {
            for (line, payload) in retained {
                message(*line, payload, &mut text);
            }
        }
        Part::Lane(lane) => {
            text.put(0, lane.is_some());
            for (line, payload) in lane.iter().flat_map(|inbox| inbox.all()) {
                message(line, payload, &mut text);
            }
        }
        Part::Rows(rows) => rows.look(|device, what| text.put(device, what)),
        Part::Told(told) => look_at_told(told, &mut text),
        Part::Device(it) => {
            it.look(|what| text.put(device, what));
            text.lasting(|text| it.look_at_disk(|what| text.put(device, what)));
            if let Some(info) = it.info() {
                message(Line::Info(device), info, &mut text);
            }
        }
        Part::Link(link) => {
            let session = link.session.as_ref();
            text.put(device, session.map(|session| session.follows()));
            for will in session.iter().flat_map(|session| session.will()) {
                message(Line::Presence(device), will, &mut text);
            }
            for (line, payload) in session.iter().flat_map(|session| session.inbox.all()) {
                message(line, payload, &mut text);
            }
            for will in &link.wills {
                message(Line::Presence(device), will, &mut text);
            }
        }
        Part::Past(past) => text.put(device, past),
    }
    text
}

fn message(line: Line, payload: &[u8], text: &mut Text) {
    fn read<M: Message>(payload: &[u8]) -> Option<M> {
        decode_prefix(payload).ok().map(|(message, _)| message)
    }
    fn put(device: u16, line: Line, what: Option<impl Debug>, payload: &[u8], text: &mut Text) {
        match what {
            Some(what) => text.put(device, (line, what)),
            None => text.put(device, (line, payload)),
        }
    }
    match line {
        Line::Group(_) => put(0, line, read::<GroupHead>(payload), payload, text),
        Line::Device(number) => put(number, line, read::<DeviceHead>(payload), payload, text),
        Line::Release(_) => text.put(0, (line, payload.is_empty())),
        Line::Status(number) => put(number, line, read::<DeviceStatus>(payload), payload, text),
        Line::Presence(number) => put(number, line, read::<Presence>(payload), payload, text),
        Line::Info(number) => {
            let info = read::<DeviceInfo>(payload).map(|mut info| {
                let head = info.stored_head.take();
                let head = head.as_deref().and_then(read::<DeviceHead>);
                (info, head)
            });
            put(number, line, info, payload, text);
        }
    }
}

fn look_at_server(server: &Server, digests: Digests<'_>, text: &mut Text) {
    let Server {
        rows,
        up,
        connected,
        ahead_ms,
        answers,
        committed: _,
        difference,
        attended_ms,
        // Follows from the rows.
        first_due_ms: _,
        reads: _,
        seeks,
        found,
    } = server;
    text.put(0, (up, connected, ahead_ms));
    text.put(0, (answers, seeks, found));
    // While it is up this is the world's.
    text.put(0, format_args!("attended_ms: {attended_ms}"));
    text.put(0, difference.marked().collect::<Vec<_>>());
    text.put(0, (difference.generations(), difference.outbox()));
    for known in difference.known() {
        let (subject, generation, held) = (&known.subject, known.generation, &known.held);
        match subject {
            Subject::Device(device) => {
                // Written like the head whose generation it is.
                let number = device_number(device).unwrap_or_default();
                let head = format_args!("DeviceHead {{ generation: {generation:?}, {held}");
                text.put(number, head);
            }
            _ => text.put(0, (subject, generation, held)),
        }
        match known.digest.map(|digest| (digest, digests(digest))) {
            Some((_, Some((line, payload)))) => message(line, &payload, text),
            Some((digest, None)) => text.put(0, digest),
            None => text.put(0, "nothing"),
        }
    }
    for (key, bytes) in rows.scan(&Key(Vec::new())) {
        row(key, bytes, text);
    }
}

fn row(key: &Key, bytes: &[u8], text: &mut Text) {
    fn read<M: Message>(bytes: &[u8]) -> Option<M> {
        decode(bytes).ok()
    }
    let (prefix, rest) = key.0.split_first().unwrap_or((&0, &[]));
    let device = |from: usize| {
        let name = rest.get(from..);
        let name = name.and_then(|bytes| std::str::from_utf8(bytes).ok());
        name.and_then(|name| device_number(&name.parse().ok()?))
            .unwrap_or_default()
    };
    match prefix {
        1 => text.put(0, read::<MetaRow>(bytes)),
        2 => text.put(0, (rest, read::<GroupRow>(bytes))),
        3 => text.put(device(0), (rest, read::<DeviceRow>(bytes))),
        // Releases are given.
        4 | 5 => {}
        6 => text.put(0, (rest, read::<DeploymentRow>(bytes))),
        7 => text.put(device(4), (rest, read::<RecordRow>(bytes))),
        8 => text.put(0, (rest, read::<CounterRow>(bytes))),
        9 => text.put(0, (rest, read::<MemberRow>(bytes))),
        // What was answered is said again, and decides nothing.
        10 => text.put(0, rest),
        11 => match Timer::parse(key) {
            // An answer is remembered for longer than any world lasts.
            Some(Timer {
                due_ms,
                kind: kind @ TimerKind::Forget(..),
            }) => text.put(0, format_args!("{kind:?} forget_ms: {due_ms}")),
            timer => text.put(0, timer),
        },
        12 => text.put(0, (rest, read::<GroupCountRow>(bytes))),
        13 => text.put(device(0), (rest, read::<OutboxRow>(bytes))),
        _ => text.put(0, (prefix, rest, bytes)),
    }
}

/// Only what is in it counts: no state that is kept has any.
fn look_at_told(told: &Told, text: &mut Text) {
    let Told {
        published,
        committed,
        retried,
        deeds,
    } = told;
    for (line, payload) in published {
        message(*line, payload.as_deref().unwrap_or_default(), text);
    }
    for committed in committed {
        text.put(0, committed.now);
        for write in &committed.writes {
            text.put(0, (&write.key, &write.bytes));
        }
    }
    text.put(0, (retried, deeds));
}
