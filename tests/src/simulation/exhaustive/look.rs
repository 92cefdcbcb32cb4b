//! Everything of a part that can make a difference, as text.

use std::fmt::Debug;

use hoist_orchestrator_core::engine::memory::MemoryRows;
use hoist_orchestrator_core::engine::publish::Difference;
use hoist_orchestrator_core::model::key::Key;
use hoist_orchestrator_core::model::row::{CounterRow, DeviceRow, MemberRow, OutboxRow, RecordRow};
use hoist_orchestrator_core::model::timer::{Timer, TimerKind};
use hoist_protocol::codec::{Message, decode, decode_prefix};
use hoist_protocol::device::{DeviceInfo, Presence};
use hoist_protocol::spec::DeviceSpec;
use hoist_protocol::status::DeviceStatus;

use super::super::line::Line;
use super::super::server::Server;
use super::super::world::Told;
use super::canon::Text;
use super::part::Part;

/// A part as text.
pub(super) fn text(part: &Part, place: usize) -> Text {
    let mut text = Text::default();
    text.put(place);
    match part {
        Part::Clock { unix_ms, uptime_ms } => text.put((unix_ms, uptime_ms)),
        Part::Server(server) => look_at_server(server, &mut text),
        Part::Orders(orders) => {
            text.put(orders.iter().map(|order| order.number).collect::<Vec<_>>());
        }
        Part::Retained(retained) => {
            for (line, payload) in retained {
                message(*line, payload, &mut text);
            }
        }
        Part::Lane(lane) => {
            text.put(lane.is_some());
            for (line, letter) in lane.iter().flat_map(|inbox| inbox.all()) {
                text.put(letter.retained);
                message(line, &letter.payload, &mut text);
            }
        }
        Part::Rows(rows) => rows.look(|what| text.put(what)),
        Part::Told(told) => look_at_told(told, &mut text),
        Part::Device(it) => {
            it.look(|what| text.put(what));
            if let Some(info) = it.info() {
                message(Line::Info(it.number), info, &mut text);
            }
            text.lasting();
            it.look_at_disk(|what| text.put(what));
        }
        Part::Link(link) => {
            let session = link.session.as_ref();
            text.put(session.map(|session| session.follows()));
            for will in session.iter().flat_map(|session| session.will()) {
                message(Line::Presence(0), will, &mut text);
            }
            for (line, letter) in session.iter().flat_map(|session| session.inbox.all()) {
                message(line, &letter.payload, &mut text);
            }
            for will in &link.wills {
                message(Line::Presence(0), will, &mut text);
            }
        }
        Part::Served { rows, difference } => {
            look_at_difference(difference, &mut text);
            look_at_rows(rows, &mut text);
        }
        Part::Past(past) => text.put(past),
        Part::Misled(misled) => text.put(misled),
    }
    text
}

fn message(line: Line, payload: &[u8], text: &mut Text) {
    fn read<M: Message>(payload: &[u8]) -> Option<M> {
        decode_prefix(payload).ok().map(|(message, _)| message)
    }
    fn put(line: Line, what: Option<impl Debug>, payload: &[u8], text: &mut Text) {
        match what {
            Some(what) => text.put((line, what)),
            None => text.put((line, payload)),
        }
    }
    match line {
        Line::Group(_) | Line::Device(_) | Line::Release(_) => text.raw((line, payload)),
        Line::Status(_) => put(line, read::<DeviceStatus>(payload), payload, text),
        Line::Presence(_) => put(line, read::<Presence>(payload), payload, text),
        Line::Info(_) => {
            let info = read::<DeviceInfo>(payload).map(|mut info| {
                let spec = info.stored_spec.take();
                let spec = spec.as_deref().and_then(read::<DeviceSpec>);
                (info, spec)
            });
            put(line, info, payload, text);
        }
    }
}

fn look_at_server(server: &Server, text: &mut Text) {
    let Server {
        rows,
        up,
        connected,
        ahead_ms,
        answers,
        committed: _,
        published: _,
        engine,
        uptime_ms,
        // Follows from the rows.
        first_due_ms: _,
        reads: _,
        seeks,
        found,
        keep_ms,
        sweeps,
    } = server;
    text.put((up, connected, ahead_ms, uptime_ms));
    text.put((answers, seeks, found));
    text.put((keep_ms, sweeps));
    look_at_difference(engine.difference(), text);
    look_at_rows(rows, text);
}

fn look_at_difference(difference: &Difference, text: &mut Text) {
    text.put(difference.marked().collect::<Vec<_>>());
    text.put((difference.generations(), difference.outbox()));
    for known in difference.known() {
        text.raw((known.subject, known.generation, known.digest, known.held));
    }
}

fn look_at_rows(rows: &MemoryRows, text: &mut Text) {
    for (key, bytes) in rows.scan(&Key(Vec::new())) {
        row(key, bytes, text);
    }
}

fn row(key: &Key, bytes: &[u8], text: &mut Text) {
    fn read<M: Message>(bytes: &[u8]) -> Option<M> {
        decode(bytes).ok()
    }
    let (prefix, rest) = key.0.split_first().unwrap_or((&0, &[]));
    match prefix {
        // Releases are given.
        4 | 5 => {}
        // What was answered is said again, and decides nothing.
        10 => text.raw(key),
        1 | 2 | 6 | 12 => text.raw((key, bytes)),
        3 => text.put((rest, read::<DeviceRow>(bytes))),
        7 => text.put((rest, read::<RecordRow>(bytes))),
        8 => text.put((rest, read::<CounterRow>(bytes))),
        9 => text.put((rest, read::<MemberRow>(bytes))),
        11 => match Timer::parse(key) {
            // An answer is remembered for longer than any world lasts.
            Some(Timer {
                due_ms,
                kind: kind @ TimerKind::Forget(..),
            }) => text.put(format_args!("{kind:?} forget_ms: {due_ms}")),
            timer => text.put(timer),
        },
        13 => text.put((rest, read::<OutboxRow>(bytes))),
        _ => text.put((prefix, rest, bytes)),
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
        text.put(committed.now);
        for write in &committed.writes {
            text.put((&write.key, &write.bytes));
        }
    }
    text.put((retried, deeds));
}
