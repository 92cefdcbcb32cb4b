//! Everything of a part that can make a difference.

use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::engine::memory::MemoryRows;
use hoist_orchestrator_core::engine::publish::Difference;
use hoist_orchestrator_core::model::key::Key;
use hoist_orchestrator_core::model::row::{CounterRow, DeviceRow, MemberRow, OutboxRow, RecordRow};
use hoist_orchestrator_core::model::timer::{Timer, TimerKind};
use hoist_protocol::codec::{Message, decode, decode_prefix};
use hoist_protocol::device::{DeviceInfo, Presence};
use hoist_protocol::spec::DeviceSpec;
use hoist_protocol::status::DeviceStatus;
use serde::Serialize;

use super::super::canon::Canon;
use super::super::line::Line;
use super::super::server::Server;
use super::super::world::Told;
use super::part::Part;

/// Looks at a part.
pub(super) fn look(part: &Part, place: usize, canon: &mut Canon) {
    canon.put(place);
    match part {
        Part::Clock { unix_ms, uptime_ms } => canon.put((unix_ms, uptime_ms)),
        Part::Server(server) => look_at_server(server, canon),
        Part::Orders(orders) => {
            canon.put(orders.iter().map(|order| order.number).collect::<Vec<_>>());
        }
        Part::Retained(retained) => {
            for (line, payload) in retained {
                message(*line, payload, canon);
            }
        }
        Part::Lane(lane) => {
            canon.put(lane.is_some());
            for (line, letter) in lane.iter().flat_map(|inbox| inbox.all()) {
                canon.put(letter.retained);
                message(line, &letter.payload, canon);
            }
        }
        Part::Rows(rows) => rows.look(canon),
        Part::Told(told) => look_at_told(told, canon),
        Part::Device(it) => {
            it.look(canon);
            if let Some(info) = it.info() {
                message(Line::Info(it.number), info, canon);
            }
            canon.lasting();
            it.look_at_disk(canon);
        }
        Part::Link(link) => {
            let session = link.session.as_ref();
            canon.put(session.map(|session| session.follows()));
            for will in session.iter().flat_map(|session| session.will()) {
                message(Line::Presence(0), will, canon);
            }
            for (line, letter) in session.iter().flat_map(|session| session.inbox.all()) {
                message(line, &letter.payload, canon);
            }
            for will in &link.wills {
                message(Line::Presence(0), will, canon);
            }
        }
        Part::Served { rows, difference } => {
            look_at_difference(difference, canon);
            look_at_rows(rows, canon);
        }
        Part::Past(past) => canon.put(past),
        Part::Misled(misled) => canon.put(misled),
    }
}

fn message(line: Line, payload: &[u8], canon: &mut Canon) {
    fn read<M: Message>(payload: &[u8]) -> Option<M> {
        decode_prefix(payload).ok().map(|(message, _)| message)
    }
    fn put(what: Option<impl Serialize>, payload: &[u8], canon: &mut Canon) {
        canon.put(&what);
        if what.is_none() {
            canon.put_bytes(payload);
        }
    }
    canon.put(line);
    match line {
        Line::Group(_) | Line::Device(_) | Line::Release(_) => canon.put_bytes(payload),
        Line::Status(_) => put(read::<DeviceStatus>(payload), payload, canon),
        Line::Presence(_) => put(read::<Presence>(payload), payload, canon),
        Line::Info(_) => {
            let info = read::<DeviceInfo>(payload).map(|mut info| {
                let spec = info.stored_spec.take();
                let spec = spec.as_deref().and_then(read::<DeviceSpec>);
                (info, spec)
            });
            put(info, payload, canon);
        }
    }
}

fn look_at_server(server: &Server, canon: &mut Canon) {
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
    canon.put((up, connected, ahead_ms, uptime_ms));
    canon.put((answers, seeks));
    for input in found {
        match input {
            Input::LineFound(found) => canon.put(found),
            other => unreachable!("{other:?} is found nowhere in a world that is explored"),
        }
    }
    canon.put((keep_ms, sweeps));
    look_at_difference(engine.difference(), canon);
    look_at_rows(rows, canon);
}

fn look_at_difference(difference: &Difference, canon: &mut Canon) {
    canon.put(difference.marked().collect::<Vec<_>>());
    canon.put((difference.generations(), difference.outbox()));
    canon.put(difference.known());
}

fn look_at_rows(rows: &MemoryRows, canon: &mut Canon) {
    for (key, bytes) in rows.scan(&Key(Vec::new())) {
        row(key, bytes, canon);
    }
}

fn row(key: &Key, bytes: &[u8], canon: &mut Canon) {
    fn read<M: Message>(bytes: &[u8]) -> Option<M> {
        decode(bytes).ok()
    }
    let (prefix, rest) = key.0.split_first().unwrap_or((&0, &[]));
    // Releases are given.
    if let 4 | 5 = prefix {
        return;
    }
    canon.put(prefix);
    if *prefix != 11 {
        canon.put_bytes(rest);
    }
    match prefix {
        // What was answered is said again, and decides nothing.
        10 => {}
        3 => canon.put(read::<DeviceRow>(bytes)),
        7 => canon.put(read::<RecordRow>(bytes)),
        8 => canon.put(read::<CounterRow>(bytes)),
        9 => canon.put(read::<MemberRow>(bytes)),
        11 => match Timer::parse(key) {
            // An answer is remembered for longer than any world lasts.
            Some(Timer {
                due_ms,
                kind: kind @ TimerKind::Forget(..),
            }) => {
                canon.put(kind);
                canon.put_idle(due_ms);
            }
            Some(Timer { due_ms, kind }) => canon.put((kind, due_ms)),
            None => canon.put_bytes(rest),
        },
        13 => canon.put(read::<OutboxRow>(bytes)),
        _ => canon.put_bytes(bytes),
    }
}

/// Only what is in it counts: no state that is kept has any.
fn look_at_told(told: &Told, canon: &mut Canon) {
    let Told {
        published,
        committed,
        retried,
        approved,
        deeds,
    } = told;
    for (line, payload) in published {
        message(*line, payload.as_deref().unwrap_or_default(), canon);
    }
    for committed in committed {
        canon.put(committed.now);
        for write in &committed.writes {
            canon.put((&write.key.0, &write.bytes));
        }
    }
    canon.put((retried, approved, deeds));
}
