//! Refusals, counted in memory, so that a flood of it costs neither a commit nor a line of the log
//! each: the first of a sender and code shows at once, the rest now and then.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hoist_orchestrator_core::model::effect::Sender;
use hoist_orchestrator_core::model::error::Code;
use hoist_orchestrator_core::model::row::Refusal;
use hoist_protocol::id::{DeviceId, Seq, UserId};

/// Registered devices and codes that are remembered: three for each of the 10 000 that the
/// broker lets in, because one wrong key makes all of them refuse at once.
const REGISTERED_MAX: usize = 32_768;
/// Other senders and codes that are remembered. Names can be made up: they take no room from
/// registered devices.
const OTHERS_MAX: usize = 4_096;
/// Shortest time between two writes about one device and code.
const WRITE_PAUSE: Duration = Duration::from_secs(5);
/// Shortest time between two lines in the log, or two events, about one sender and code.
const TELL_PAUSE: Duration = Duration::from_secs(60);
/// Shortest time between two looks for room.
const ROOM_PAUSE: Duration = Duration::from_secs(1);
/// Devices and codes written at once.
const DUE_MAX: usize = 256;

/// The sender of something, without what it sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Device(DeviceId),
    User(UserId),
    Nobody,
}

/// The facts known of one sender and code.
#[derive(Debug, Default)]
struct Known {
    last_ms: u64,
    seq: Option<Seq>,
    heard: Option<Instant>,
    log: Pending,
    write: Pending,
    tell: Pending,
}

/// Something that happens not too often, and what has gathered for it.
#[derive(Debug, Default)]
struct Pending {
    count: u64,
    done: Option<Instant>,
}

impl Pending {
    /// The count that has gathered, if it is time.
    fn take(&mut self, pause: Duration, at: Instant) -> Option<u64> {
        let late = self
            .done
            .is_none_or(|done| at.saturating_duration_since(done) >= pause);
        if !late || self.count == 0 {
            return None;
        }
        self.done = Some(at);
        Some(std::mem::take(&mut self.count))
    }
}

/// The facts to be written, and perhaps told, about one device and code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) device: DeviceId,
    /// As it is to be added to its row.
    pub(crate) refusal: Refusal,
    /// The number since the last event, if there is to be one.
    pub(crate) told: Option<u64>,
}

/// Everything that was refused lately.
#[derive(Debug)]
pub(crate) struct Refusals {
    registered: Table,
    others: Table,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            registered: Table::of(REGISTERED_MAX),
            others: Table::of(OTHERS_MAX),
        }
    }
}

/// Senders and codes, so many at most. Beyond it, those that were quiet for long make room,
/// and else nobody is told of the new ones.
#[derive(Debug)]
struct Table {
    known: HashMap<(Who, Code), Known>,
    most: usize,
    looked: Option<Instant>,
    /// When it was last said that it is full.
    told: Option<Instant>,
}

impl Refusals {
    /// Counts a refusal at a Unix time in ms. How many there were since the last line in the
    /// log about this sender and code, if it is time for another.
    pub(crate) fn note(
        &mut self,
        code: Code,
        sender: &Sender,
        unix_ms: u64,
        at: Instant,
    ) -> Option<u64> {
        let (who, seq) = match sender {
            Sender::Device { device, seq } => (Who::Device(device.clone()), *seq),
            Sender::User { user, .. } => (Who::User(user.clone()), None),
            Sender::Nobody => (Who::Nobody, None),
        };
        self.count(code, (who, seq), unix_ms, at)
    }

    /// The same for an upload of a user.
    pub(crate) fn note_upload(
        &mut self,
        code: Code,
        user: &UserId,
        unix_ms: u64,
        at: Instant,
    ) -> Option<u64> {
        self.count(code, (Who::User(user.clone()), None), unix_ms, at)
    }

    fn count(
        &mut self,
        code: Code,
        (who, seq): (Who, Option<Seq>),
        unix_ms: u64,
        at: Instant,
    ) -> Option<u64> {
        let table = match (&who, code) {
            // A device whose reports are refused for anything else is registered.
            (Who::Device(_), code) if code != Code::Unknown => &mut self.registered,
            _ => &mut self.others,
        };
        let known = table.entry((who, code), at)?;
        (known.last_ms, known.seq, known.heard) = (unix_ms, seq, Some(at));
        for pending in [&mut known.log, &mut known.write, &mut known.tell] {
            pending.count += 1;
        }
        known.log.take(TELL_PAUSE, at)
    }

    /// Forgets what was refused of a device: it was registered or removed, and whatever was
    /// said in its name before is not the word of its next life.
    pub(crate) fn forget(&mut self, device: &DeviceId) {
        let who = Who::Device(device.clone());
        for table in [&mut self.registered, &mut self.others] {
            for code in Code::ALL {
                table.known.remove(&(who.clone(), *code));
            }
        }
    }

    /// The facts about devices that it is time to write.
    pub(crate) fn due(&mut self, at: Instant) -> Vec<Due> {
        let tables = [&mut self.registered, &mut self.others];
        let known = tables.into_iter().flat_map(|table| &mut table.known);
        let due = known.filter_map(|((who, code), known)| {
            let Who::Device(device) = who else {
                return None;
            };
            let count = known.write.take(WRITE_PAUSE, at)?;
            let refusal = Refusal {
                code: *code,
                at_ms: known.last_ms,
                count,
                seq: known.seq,
            };
            Some(Due {
                device: device.clone(),
                refusal,
                told: known.tell.take(TELL_PAUSE, at),
            })
        });
        due.take(DUE_MAX).collect()
    }
}

impl Table {
    fn of(most: usize) -> Self {
        Self {
            known: HashMap::new(),
            most,
            looked: None,
            told: None,
        }
    }

    /// The facts known of a sender and code; none when there is no room for it.
    fn entry(&mut self, key: (Who, Code), at: Instant) -> Option<&mut Known> {
        if !self.known.contains_key(&key) && !self.has_room(at) {
            return None;
        }
        Some(self.known.entry(key).or_default())
    }

    fn has_room(&mut self, at: Instant) -> bool {
        let quiet = |since: Option<Instant>, pause| {
            since.is_none_or(|since| at.saturating_duration_since(since) >= pause)
        };
        if self.known.len() >= self.most && quiet(self.looked, ROOM_PAUSE) {
            self.looked = Some(at);
            self.known
                .retain(|_, known| !quiet(known.heard, TELL_PAUSE));
        }
        let has_room = self.known.len() < self.most;
        if !has_room && quiet(self.told, TELL_PAUSE) {
            self.told = Some(at);
            let most = self.most;
            tracing::warn!(
                most,
                "more senders are refused than are remembered: some are not counted"
            );
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> Sender {
        Sender::Device {
            device: name.parse().unwrap(),
            seq: Some(Seq(3)),
        }
    }

    #[test]
    fn a_flood_is_one_line_one_write_and_one_event_at_first() {
        // bad-inputs row 87
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let lines: Vec<u64> = (0..1_000)
            .filter_map(|ms| refusals.note(Code::Regress, &device("d1"), ms, start))
            .collect();
        assert_eq!(lines, [1]);
        let due = refusals.due(start);
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].refusal.count, due[0].refusal.at_ms), (1_000, 999));
        assert_eq!(due[0].told, Some(1_000));
        assert_eq!(refusals.due(start), []);
    }

    #[test]
    fn what_follows_is_written_and_told_after_its_pause() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        refusals.note(Code::Regress, &device("d1"), 0, start);
        refusals.due(start);
        for code in [Code::Regress, Code::Regress, Code::Round] {
            refusals.note(code, &device("d1"), 1, start);
        }
        let due = refusals.due(start);
        assert_eq!(due.len(), 1, "another code is another matter: {due:?}");
        let later = start + WRITE_PAUSE;
        let due = refusals.due(later);
        assert_eq!((due[0].refusal.count, due[0].told), (2, None));
        let later = start + TELL_PAUSE;
        assert_eq!(
            refusals.note(Code::Regress, &device("d1"), 2, later),
            Some(3)
        );
        let due = refusals.due(later);
        assert_eq!((due[0].refusal.count, due[0].told), (1, Some(3)));
    }

    #[test]
    fn what_was_refused_before_a_device_was_registered_is_never_written() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        for code in [Code::Unknown, Code::Signature] {
            refusals.note(code, &device("d1"), 0, start);
            refusals.note(code, &device("d2"), 0, start);
        }
        refusals.forget(&"d1".parse().unwrap());
        let due = refusals.due(start);
        let left: Vec<&str> = due.iter().map(|due| due.device.as_str()).collect();
        assert_eq!(left, ["d2", "d2"]);
        assert_eq!(
            refusals.note(Code::Unknown, &device("d1"), 1, start),
            Some(1)
        );
        assert_eq!(refusals.due(start)[0].refusal.count, 1, "it counts anew");
    }

    #[test]
    fn names_that_somebody_makes_up_take_bounded_room_and_give_it_back() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let note = |refusals: &mut Refusals, number: usize, at| {
            refusals.note(Code::Unknown, &device(&format!("d{number}")), 0, at)
        };
        for number in 0..OTHERS_MAX {
            assert_eq!(note(&mut refusals, number, start), Some(1));
        }
        assert_eq!(note(&mut refusals, OTHERS_MAX, start), None);
        assert_eq!(refusals.others.known.len(), OTHERS_MAX);
        assert_eq!(note(&mut refusals, OTHERS_MAX, start + TELL_PAUSE), Some(1));
        assert_eq!(refusals.others.known.len(), 1);
    }

    #[test]
    fn a_whole_fleet_that_is_refused_is_counted_beside_names_that_are_made_up() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let mut note = |code, name: String| refusals.note(code, &device(&name), 0, start);
        for number in 0..=OTHERS_MAX {
            note(Code::Unknown, format!("made-up-{number}"));
        }
        for number in 0..10_000 {
            let noted = note(Code::Signature, format!("d{number}"));
            assert_eq!(noted, Some(1), "{number}");
        }
    }
}
