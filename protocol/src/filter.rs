//! The kinds of topics level by level, and the filters by which they are subscribed and allowed:
//! no other code writes a filter. A topic itself is a [`crate::topic::Topic`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A level below the namespace.
#[derive(Debug, Clone, Copy)]
enum Level {
    /// The same in every topic of the kind.
    Word(&'static str),
    /// The shard of a device.
    Shard,
    /// The id of the device or user whose topic it is.
    Own,
    /// Anything.
    Any,
    /// Anything, and whatever is below.
    Rest,
}

/// A kind of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Specs of groups.
    GroupSpec,
    /// Specs of devices.
    DeviceSpec,
    /// Manifests of releases.
    Release,
    /// Root documents.
    Root,
    /// Statuses of devices.
    Status,
    /// Presences of devices.
    Presence,
    /// The devices' words on themselves.
    Info,
    /// Requests for certificates.
    EnrollRequest,
    /// Their answers.
    EnrollAnswer,
    /// Blocks of artifacts.
    Blocks,
    /// The blocks that devices need.
    Needs,
    /// Commands of users.
    Command,
    /// Their answers.
    Reply,
    /// Views of every kind.
    View,
    /// Views of deployments.
    DeploymentView,
    /// Events of every kind.
    Event,
}

impl Family {
    /// Every one, in the order of the table.
    pub const ALL: [Self; 16] = [
        Self::GroupSpec,
        Self::DeviceSpec,
        Self::Release,
        Self::Root,
        Self::Status,
        Self::Presence,
        Self::Info,
        Self::EnrollRequest,
        Self::EnrollAnswer,
        Self::Blocks,
        Self::Needs,
        Self::Command,
        Self::Reply,
        Self::View,
        Self::DeploymentView,
        Self::Event,
    ];

    /// The first level, and those below it.
    const fn levels(self) -> (&'static str, &'static [Level]) {
        use Level::{Any, Own, Rest, Shard, Word};
        match self {
            Self::GroupSpec => ("g", &[Any]),
            Self::DeviceSpec => ("d", &[Own]),
            Self::Release => ("r", &[Any]),
            Self::Root => ("k", &[Any]),
            Self::Status => ("s", &[Shard, Own]),
            Self::Presence => ("p", &[Shard, Own]),
            Self::Info => ("i", &[Shard, Own]),
            Self::EnrollRequest => ("e", &[Shard, Own]),
            Self::EnrollAnswer => ("e", &[Shard, Own, Word("answer")]),
            Self::Blocks => ("b", &[Any]),
            Self::Needs => ("n", &[Shard, Own]),
            Self::Command => ("cmd", &[Own, Any, Any]),
            Self::Reply => ("reply", &[Own, Rest]),
            Self::View => ("view", &[Rest]),
            Self::DeploymentView => ("view", &[Word("deployment"), Any]),
            Self::Event => ("event", &[Rest]),
        }
    }

    /// The levels below the namespace, with a shard and an owner.
    fn filled(self, shard: &str, own: &str) -> String {
        let (first, levels) = self.levels();
        let below = levels.iter().map(|level| match level {
            Level::Word(word) => word,
            Level::Shard => shard,
            Level::Own => own,
            Level::Any => "+",
            Level::Rest => "#",
        });
        let all: Vec<&str> = core::iter::once(first).chain(below).collect();
        all.join("/")
    }
}

/// A filter below the namespace, by which nobody is told from another.
///
/// ```
/// use hoist_protocol::filter::{Family, Filter};
/// use hoist_protocol::topic::Topics;
/// let topics = Topics::default();
/// assert_eq!(topics.filter(Filter::Every(Family::Status)), "hoist/s/+/+");
/// assert_eq!(topics.filter(Filter::Below(Family::Status)), "hoist/s/#");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Everything.
    All,
    /// Every topic of a kind, level by level.
    Every(Family),
    /// Whatever has the first level of a kind.
    Below(Family),
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("#"),
            Self::Every(family) => f.write_str(&family.filled("+", "+")),
            Self::Below(family) => write!(f, "{}/#", family.levels().0),
        }
    }
}

/// The topics that an access rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Those of a kind that are the client's own.
    Own(Family),
    /// Those of a filter, whoever the client is.
    Of(Filter),
}

impl Pattern {
    /// The filter for a client of this shard and name, below the namespace.
    ///
    /// ```
    /// use hoist_protocol::filter::{Family, Pattern};
    /// let status = Pattern::Own(Family::Status);
    /// assert_eq!(status.filter("7f", "dev-01"), "s/7f/dev-01");
    /// ```
    #[must_use]
    pub fn filter(self, shard: &str, own: &str) -> String {
        match self {
            Self::Own(family) => family.filled(shard, own),
            Self::Of(filter) => alloc::format!("{filter}"),
        }
    }
}
