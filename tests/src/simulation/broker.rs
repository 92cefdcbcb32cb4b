//! The modelled broker: retained messages, order inside a topic only, QoS 1 duplicates,
//! sessions of devices that lose what was on its way, the server's session that does not,
//! last wills that come late, retained messages that get lost and old ones that come back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::line::Line;

mod part;

/// A message's content, shared by everybody it is on its way to.
pub type Payload = Arc<[u8]>;

/// Old specs of a line that an attacker or a restored backup may bring back.
const PAST_MAX: usize = 4;

/// One message on its way.
#[derive(Clone, PartialEq)]
pub struct Letter {
    /// Its content.
    pub payload: Payload,
    /// True if the broker had kept the message.
    pub retained: bool,
}

impl Letter {
    fn live(payload: &Payload) -> Self {
        let (payload, retained) = (Arc::clone(payload), false);
        Self { payload, retained }
    }

    fn retained(payload: &Payload) -> Self {
        let (payload, retained) = (Arc::clone(payload), true);
        Self { payload, retained }
    }
}

/// The messages on their way to one client: a queue for each topic.
#[derive(Clone, Default, PartialEq)]
pub struct Inbox {
    /// Lines with something in their queue.
    lines: Vec<Line>,
    queues: BTreeMap<Line, VecDeque<Letter>>,
}

impl Inbox {
    fn queue(&mut self, line: Line) -> &mut VecDeque<Letter> {
        let queue = self.queues.entry(line).or_default();
        if queue.is_empty() {
            self.lines.push(line);
        }
        queue
    }

    fn push(&mut self, line: Line, letter: Letter) {
        self.queue(line).push_back(letter);
    }

    /// The lines that wait, in no particular but always the same order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The oldest message on a line.
    pub fn front(&self, line: Line) -> Option<&Letter> {
        self.queues.get(&line)?.front()
    }

    /// Takes the oldest message of a line away.
    pub fn pop(&mut self, line: Line) -> Option<Payload> {
        let queue = self.queues.get_mut(&line)?;
        let front = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&line);
            let place = self.lines.iter().position(|other| *other == line)?;
            self.lines.remove(place);
        }
        front.map(|letter| letter.payload)
    }

    /// Has the oldest message of a line come twice.
    fn repeat(&mut self, line: Line) {
        if let Some(queue) = self.queues.get_mut(&line) {
            let front = queue.front().cloned();
            front.into_iter().for_each(|front| queue.push_front(front));
        }
    }

    /// Every message by line, oldest first.
    pub fn all(&self) -> impl Iterator<Item = (Line, &Letter)> {
        let queues = self.queues.iter();
        queues.flat_map(|(line, queue)| queue.iter().map(|letter| (*line, letter)))
    }
}

/// A device's session.
#[derive(Clone, Default, PartialEq)]
pub struct Session {
    own: bool,
    group: Option<u8>,
    release: Option<u8>,
    will: Option<Payload>,
    /// The messages on their way to the client.
    pub inbox: Inbox,
}

impl Session {
    /// The message that is published when the session ends without a word.
    pub fn will(&self) -> Option<&Payload> {
        self.will.as_ref()
    }

    /// True if the session follows the device's own spec; then the group and the release it
    /// follows.
    pub fn follows(&self) -> (bool, Option<u8>, Option<u8>) {
        (self.own, self.group, self.release)
    }
}

/// A device's connection, and what is left of those before.
#[derive(Clone, Default, PartialEq)]
pub struct Link {
    /// The session, if it has one.
    pub session: Option<Session>,
    /// Wills that are still to be published.
    pub wills: Vec<Payload>,
}

/// Retained messages and sessions.
#[derive(Clone)]
pub struct Broker {
    retained: BTreeMap<Line, Payload>,
    devices: Vec<Option<Session>>,
    /// The server's session; it outlives the connection.
    pub server: Option<Inbox>,
    wills: Vec<(u16, Payload)>,
    past: Option<BTreeMap<Line, Vec<Payload>>>,
    /// True if a retained message comes to the server before older messages that are on their way:
    /// our own broker hands it out on another way.
    pub overtakes: bool,
}

impl Broker {
    /// A broker with nothing. `remembers` = old specs may come back.
    pub fn new(remembers: bool) -> Self {
        Self {
            retained: BTreeMap::new(),
            devices: Vec::new(),
            server: None,
            wills: Vec::new(),
            past: remembers.then(BTreeMap::new),
            overtakes: false,
        }
    }

    /// A device's session, if it has one.
    pub fn session(&self, device: u16) -> Option<&Session> {
        self.devices.get(usize::from(device))?.as_ref()
    }

    fn session_mut(&mut self, device: u16) -> Option<&mut Session> {
        self.devices.get_mut(usize::from(device))?.as_mut()
    }

    /// Opens a device's session with its will.
    pub fn connect(&mut self, device: u16, will: Payload) {
        let place = usize::from(device);
        if self.devices.len() <= place {
            self.devices.resize(place + 1, None);
        }
        self.devices[place] = Some(Session {
            will: Some(will),
            ..Session::default()
        });
    }

    /// Ends a device's session; its will is published some time later.
    pub fn disconnect(&mut self, device: u16) {
        let session = self.devices.get_mut(usize::from(device));
        if let Some(will) = session.and_then(Option::take).and_then(|s| s.will) {
            self.wills.push((device, will));
        }
    }

    /// Wills that are still to be published.
    pub fn wills(&self) -> &[(u16, Payload)] {
        &self.wills
    }

    /// Forgets what was to be published for a device.
    pub fn drop_wills(&mut self, device: u16) {
        self.wills.retain(|(other, _)| *other != device);
    }

    /// Publishes the oldest will of a device.
    pub fn publish_will(&mut self, device: u16) -> Option<Line> {
        let place = self.wills.iter().position(|(other, _)| *other == device)?;
        let (_, will) = self.wills.remove(place);
        self.publish(Line::Presence(device), &will);
        Some(Line::Presence(device))
    }

    /// Opens the server's session, or goes on with it, and delivers what is retained, of
    /// which a broker may leave some out.
    pub fn subscribe_server(&mut self, mut leaves_out: impl FnMut(Line) -> bool) {
        self.server.get_or_insert_default();
        let lines: Vec<Line> = self.retained.keys().copied().collect();
        for line in lines.into_iter().filter(|line| !leaves_out(*line)) {
            self.read(line);
        }
    }

    /// Subscribes a device to a line (in the place of another of its kind), and delivers
    /// what is retained.
    pub fn subscribe(&mut self, device: u16, line: Line) {
        let payload = self.retained.get(&line).map(Arc::clone);
        let Some(session) = self.session_mut(device) else {
            return;
        };
        match line {
            Line::Group(place) => {
                if let Some(left) = session.group.replace(place).filter(|left| *left != place) {
                    while session.inbox.pop(Line::Group(left)).is_some() {}
                }
            }
            Line::Release(place) => session.release = Some(place),
            Line::Device(_) => session.own = true,
            Line::Status(_) | Line::Presence(_) | Line::Info(_) => {}
        }
        if let Some(payload) = payload {
            session.inbox.push(line, Letter::retained(&payload));
        }
    }

    /// Delivers to the server what is retained on a line.
    pub fn read(&mut self, line: Line) {
        if let (Some(inbox), Some(payload)) = (&mut self.server, self.retained.get(&line)) {
            let queue = inbox.queue(line);
            match self.overtakes && !line.is_own() {
                // Among themselves they keep their order.
                true => {
                    let first_live = queue.iter().take_while(|letter| letter.retained).count();
                    queue.insert(first_live, Letter::retained(payload));
                }
                false => queue.push_back(Letter::retained(payload)),
            }
        }
    }

    /// Publishes a retained message; an empty one clears the line.
    pub fn publish(&mut self, line: Line, payload: &Payload) {
        if let Some(inbox) = &mut self.server {
            inbox.push(line, Letter::live(payload));
        }
        match line {
            Line::Device(number) => {
                if let Some(session) = self.session_mut(number).filter(|session| session.own) {
                    session.inbox.push(line, Letter::live(payload));
                }
            }
            Line::Group(_) | Line::Release(_) => {
                let follows = |session: &Session| match line {
                    Line::Group(place) => session.group == Some(place),
                    Line::Release(place) => session.release == Some(place),
                    _ => false,
                };
                let sessions = self.devices.iter_mut().flatten();
                for session in sessions.filter(|session| follows(session)) {
                    session.inbox.push(line, Letter::live(payload));
                }
            }
            Line::Status(_) | Line::Presence(_) | Line::Info(_) => {}
        }
        let before = if payload.is_empty() {
            self.retained.remove(&line)
        } else {
            self.retained.insert(line, Arc::clone(payload))
        };
        if let (Some(past), Some(before), true) = (&mut self.past, before, line.is_own()) {
            let past = past.entry(line).or_default();
            if past.len() == PAST_MAX {
                past.remove(0);
            }
            past.push(before);
        }
    }

    /// Specs that were retained once, by line.
    pub fn past(&self) -> impl Iterator<Item = (Line, &[Payload])> {
        let past = self.past.iter().flatten();
        past.map(|(line, payloads)| (*line, payloads.as_slice()))
    }

    /// Brings an old spec back as if it had been published.
    pub fn replay(&mut self, line: Line, place: usize) {
        let old = self.past.as_ref().and_then(|past| past.get(&line));
        if let Some(old) = old.and_then(|old| old.get(place)).map(Arc::clone) {
            self.publish(line, &old);
        }
    }

    /// Loses one retained message without telling anybody. While a copy is on its way the
    /// server would take that for the retained one.
    pub fn lose(&mut self, line: Line) {
        let inbox = self.server.as_ref();
        if inbox.is_none_or(|inbox| inbox.front(line).is_none()) {
            self.retained.remove(&line);
        }
    }

    /// Has the oldest message on a line to a device come twice.
    pub fn repeat(&mut self, device: u16, line: Line) {
        if let Some(session) = self.session_mut(device) {
            session.inbox.repeat(line);
        }
    }

    /// Takes the oldest message on a line to a device.
    pub fn pop(&mut self, device: u16, line: Line) -> Option<Payload> {
        self.session_mut(device)?.inbox.pop(line)
    }

    /// True if nothing is on its way to anybody and no will is due.
    pub fn is_quiet(&self) -> bool {
        let sessions = self.devices.iter().flatten();
        self.wills.is_empty()
            && self
                .server
                .as_ref()
                .is_none_or(|inbox| inbox.lines.is_empty())
            && sessions
                .map(|session| &session.inbox)
                .all(|inbox| inbox.lines.is_empty())
    }

    /// The message that is retained on a line.
    pub fn retained(&self, line: Line) -> Option<&Payload> {
        self.retained.get(&line)
    }

    /// Everything retained.
    pub fn all_retained(&self) -> impl Iterator<Item = (Line, &Payload)> {
        self.retained.iter().map(|(line, payload)| (*line, payload))
    }

    /// Restarts: sessions and wills are gone, and what it does not keep.
    pub fn restart(&mut self, mut keeps: impl FnMut(Line) -> bool) {
        self.retained.retain(|line, _| keeps(*line));
        self.devices.clear();
        self.wills.clear();
        self.server = None;
    }
}
