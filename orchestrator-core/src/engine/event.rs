//! The engine's words for what reaches it and what it wants: the runtime around it turns them
//! into packets, reads and writes.

use hoist_protocol::topic::Topic;

use crate::api::response::{Decision, Response};
use crate::engine::arrival::{Arrival, Asked};
use crate::engine::delivery::{Receipt, Waiter};
use crate::model::damage::Damage;
use crate::model::effect::{self, Effect};
use crate::model::kept::Kept;
use crate::model::key::Key;
use crate::model::txn::{Stored, Undecided, Write};

/// Something that happened to the server.
#[derive(Debug, Clone)]
pub enum Event {
    /// A connection to the broker is up; everything sent on the one before may be lost.
    Connected(Session),
    /// Every subscription of the connection is granted.
    Subscribed,
    /// The connection is gone.
    Disconnected,
    /// Something to decide, in this order.
    Arrived(Vec<Arrival>),
    /// It is time to look which timers are due.
    Timers,
    /// It is time to look at what was sent long ago and never seen back, and at specs past half
    /// of their validity (W2).
    Review,
    /// More may have become durable than was followed by anything: all that is shared goes out
    /// again, if it can be seen at the broker.
    Refresh,
    /// The rows of [`Turn::Load`], in its order; none where there is no row.
    Loaded(Vec<Option<Stored>>),
    /// The rows of [`Turn::Scan`].
    Scanned(Page),
    /// The writes of [`Turn::Commit`] are durable.
    Durable,
    /// Nothing of [`Turn::Commit`] was written: somebody else wrote in between.
    Conflict,
}

/// The broker's memory of the session before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Session {
    /// It has kept what was for us.
    Resumed,
    /// It knows nothing of us: it restarted, or gave the session up.
    #[default]
    Fresh,
}

/// The next thing that the engine waits for, or that is to be done.
#[derive(Debug)]
#[must_use]
pub enum Turn {
    /// Rows to read; answered by [`Event::Loaded`].
    Load(Vec<Key>),
    /// A part of a range to read; answered by [`Event::Scanned`].
    Scan(Scan),
    /// Rows to make durable, all or none; answered by [`Event::Durable`] or [`Event::Conflict`].
    Commit(Vec<Write>),
    /// To be done, in this order.
    Outputs(Vec<Output>),
    /// Nothing, until something happens.
    Idle,
}

/// Rows that are missing, unless one is damaged.
pub(crate) fn missing(undecided: Undecided) -> Result<Vec<Key>, Damage> {
    match undecided {
        Undecided::Missing(keys) => Ok(keys),
        Undecided::Damaged(damage) => Err(damage),
    }
}

/// A part of a key range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// With which every key of the range begins.
    pub prefix: Key,
    /// Only keys above this one.
    pub after: Option<Key>,
    /// Most rows wanted.
    pub limit: usize,
}

/// The rows of a scan, in order of their keys.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Keys and rows.
    pub rows: Vec<(Key, Vec<u8>)>,
    /// True if more follow.
    pub more: bool,
}

/// An event, and where it is kept: nowhere when nothing could be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The event.
    pub event: effect::Event,
    /// Its place in the history.
    pub kept: Option<Kept>,
}

/// Something to do outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A retained message; empty, it clears the topic. What cannot be sent is sent again on the
    /// next connection.
    Publish {
        /// Where.
        topic: Topic,
        /// The content.
        payload: Vec<u8>,
    },
    /// A topic whose retained message is to be delivered again.
    Read(Topic),
    /// A delivery that is done with.
    Acknowledge(Receipt),
    /// A command and what was decided on it, for whoever keeps a record; what follows from it
    /// comes behind.
    Decided(Box<(Asked, Decision)>),
    /// Something that people are told.
    Told(Box<Told>),
    /// An effect that is not the engine's own.
    Effect(Effect),
    /// The answer to a command.
    Respond(Box<Response>, Option<Waiter>),
    /// A spec with our signature lies on a topic of which the store knows nothing: it stays.
    Stray(Topic),
}
