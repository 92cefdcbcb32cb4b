//! Closed lists that only JSON has: they say less than the types of the protocol, or more.

use hoist_protocol::status::{Rollback, ScriptExit, Step};

use crate::model::word::Worded;

/// The presence of a device, as far as the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PresenceWord {
    /// Known to be connected.
    Online,
    /// Known not to be.
    Offline,
    /// Not heard of since the broker started.
    #[default]
    Unknown,
}

impl From<Option<bool>> for PresenceWord {
    fn from(online: Option<bool>) -> Self {
        match online {
            Some(true) => Self::Online,
            Some(false) => Self::Offline,
            None => Self::Unknown,
        }
    }
}

impl Worded for PresenceWord {
    const ALL: &'static [Self] = &[Self::Online, Self::Offline, Self::Unknown];

    fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

/// A [`Step`] without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepWord {
    /// Fetching artifacts.
    Downloading,
    /// Everything is fetched and verified.
    Downloaded,
    /// Scripts run.
    Installing,
    /// Waiting for the reboot and its evidence.
    Rebooting,
    /// Waiting to try again.
    Retrying,
}

impl From<Step> for StepWord {
    fn from(step: Step) -> Self {
        match step {
            Step::Downloading(_) => Self::Downloading,
            Step::Downloaded => Self::Downloaded,
            Step::Installing => Self::Installing,
            Step::Rebooting => Self::Rebooting,
            Step::Retrying | Step::RetryingAfter(_) => Self::Retrying,
        }
    }
}

impl Worded for StepWord {
    const ALL: &'static [Self] = &[
        Self::Downloading,
        Self::Downloaded,
        Self::Installing,
        Self::Rebooting,
        Self::Retrying,
    ];

    fn word(self) -> &'static str {
        let step = match self {
            Self::Downloading => Step::Downloading(0),
            Self::Downloaded => Step::Downloaded,
            Self::Installing => Step::Installing,
            Self::Rebooting => Step::Rebooting,
            Self::Retrying => Step::Retrying,
        };
        step.word()
    }
}

/// A [`ScriptExit`] without its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptEnd {
    /// By itself, with a code.
    Exit,
    /// Killed by a signal.
    Signal,
    /// Stopped after its timeout.
    Timeout,
    /// Never started.
    NotStarted,
    /// Cut off by a power loss or restart.
    Interrupted,
}

impl From<ScriptExit> for ScriptEnd {
    fn from(exit: ScriptExit) -> Self {
        match exit {
            ScriptExit::Code(_) => Self::Exit,
            ScriptExit::Signal(_) => Self::Signal,
            ScriptExit::Timeout => Self::Timeout,
            ScriptExit::NotStarted => Self::NotStarted,
            ScriptExit::Interrupted => Self::Interrupted,
        }
    }
}

impl Worded for ScriptEnd {
    const ALL: &'static [Self] = &[
        Self::Exit,
        Self::Signal,
        Self::Timeout,
        Self::NotStarted,
        Self::Interrupted,
    ];

    fn word(self) -> &'static str {
        let exit = match self {
            Self::Exit => ScriptExit::Code(0),
            Self::Signal => ScriptExit::Signal(0),
            Self::Timeout => ScriptExit::Timeout,
            Self::NotStarted => ScriptExit::NotStarted,
            Self::Interrupted => ScriptExit::Interrupted,
        };
        exit.word()
    }
}

/// The rollback of a failed device, as far as the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackWord {
    /// As the device says.
    Said(Rollback),
    /// The server inferred the failure, and the device has not said (S7).
    Unknown,
}

impl Worded for RollbackWord {
    const ALL: &'static [Self] = &[
        Self::Said(Rollback::NotNeeded),
        Self::Said(Rollback::Succeeded),
        Self::Said(Rollback::Failed),
        Self::Unknown,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Said(rollback) => rollback.word(),
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use hoist_protocol::device::Trouble;
    use hoist_protocol::reason::Reason;
    use hoist_protocol::status::ScriptKind;

    use super::*;
    use crate::model::row::EndReason;
    use crate::model::word::Word;

    /// Each value is written as its own word and read back as itself.
    fn there_and_back<T: Worded + PartialEq + Debug>() {
        for (index, value) in T::ALL.iter().enumerate() {
            let json = serde_json::to_string(&Word::Of(*value)).unwrap();
            assert_eq!(json, format!("{:?}", value.word()));
            let back: Word<T> = serde_json::from_str(&json).unwrap();
            assert_eq!(back, *value);
            let earlier = &T::ALL[..index];
            assert!(earlier.iter().all(|other| other.word() != value.word()));
        }
    }

    #[test]
    fn every_list_is_written_and_read_as_its_own_words() {
        there_and_back::<EndReason>();
        there_and_back::<Reason>();
        there_and_back::<Rollback>();
        there_and_back::<ScriptKind>();
        there_and_back::<Trouble>();
        there_and_back::<PresenceWord>();
        there_and_back::<RollbackWord>();
        there_and_back::<ScriptEnd>();
        there_and_back::<StepWord>();
    }
}
