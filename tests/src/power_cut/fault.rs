//! The events that must never happen, by name.

use std::fmt;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An install that is not idempotent ran twice in one attempt.
    DoubleInstall,
    /// An install ran whose intent was not durable.
    Unannounced,
    /// An install ran before its way back was durable.
    NoWayBack,
    /// A script, or what it installs, is not as signed.
    WrongContent(String),
    /// Something that the way back needs is gone before the release was confirmed.
    WayBackLost(String),
    /// The device never comes to an end.
    Stuck,
    /// An outcome did not reach the broker, or is doubled, or not true.
    LostOutcome(String),
    /// A status or session number repeats or falls.
    Numbers(String),
    /// A record that was written cannot be read back.
    Unreadable(String),
    /// An artifact began when none may.
    OutsideWindow(String),
    /// A release was confirmed that is to be confirmed by being online.
    Unconfirmed,
    /// Something was begun that is not this device's to begin.
    NotAdmitted,
    /// The program panicked.
    Panic(String),
}

impl Fault {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DoubleInstall => "doubleInstalls",
            Self::Unannounced => "unannouncedInstalls",
            Self::NoWayBack => "installsWithoutWayBack",
            Self::WrongContent(_) => "wrongContent",
            Self::WayBackLost(_) => "waysBackLost",
            Self::Stuck => "stuck",
            Self::LostOutcome(_) => "lostOutcomes",
            Self::Numbers(_) => "brokenNumbers",
            Self::Unreadable(_) => "unreadable",
            Self::OutsideWindow(_) => "outsideWindows",
            Self::Unconfirmed => "unconfirmed",
            Self::NotAdmitted => "notAdmitted",
            Self::Panic(_) => "panics",
        }
    }

    /// Every name.
    pub const NAMES: [&'static str; 13] = [
        "doubleInstalls",
        "unannouncedInstalls",
        "installsWithoutWayBack",
        "wrongContent",
        "waysBackLost",
        "stuck",
        "lostOutcomes",
        "brokenNumbers",
        "unreadable",
        "outsideWindows",
        "unconfirmed",
        "notAdmitted",
        "panics",
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Self::DoubleInstall
            | Self::Unannounced
            | Self::NoWayBack
            | Self::Stuck
            | Self::Unconfirmed
            | Self::NotAdmitted => Ok(()),
            Self::WrongContent(what)
            | Self::WayBackLost(what)
            | Self::LostOutcome(what)
            | Self::Numbers(what)
            | Self::Unreadable(what)
            | Self::OutsideWindow(what)
            | Self::Panic(what) => write!(f, ": {what}"),
        }
    }
}
