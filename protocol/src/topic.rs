//! The one topic table: [`Topics::format`] and [`Topics::parse`] are inverse, and no
//! other code builds or splits a topic; [`crate::filter`] has its filters. Nothing here decides who may use a topic:
//! that is [`crate::access`].

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use serde::Serialize;

use crate::filter::Filter;
use crate::id::{
    ArtifactId, DeploymentId, DeviceId, GroupId, IdError, Namespace, ReleaseId, RequestId, Shard,
    UserId,
};

/// Longest topic or filter, in bytes: AWS IoT's limit.
pub const TOPIC_BYTES_MAX: usize = 256;

/// One topic under a namespace. Text in brackets is the level below the namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Topic {
    /// `g/<group>`, retained: a [`crate::spec::GroupSpec`].
    GroupSpec(GroupId),
    /// `d/<device>`, retained: a [`crate::spec::DeviceSpec`].
    DeviceSpec(DeviceId),
    /// `r/<release-id>`, retained: a signed [`crate::release::ReleaseManifest`].
    Release(ReleaseId),
    /// `k/<n>`, retained: the [`crate::root::RootDocument`] with number n.
    Root(u32),
    /// `s/<shard>/<device>`, retained: a [`crate::status::DeviceStatus`].
    Status(DeviceId),
    /// `p/<shard>/<device>`, retained: a [`crate::device::Presence`].
    Presence(DeviceId),
    /// `i/<shard>/<device>`, retained: a [`crate::device::DeviceInfo`].
    Info(DeviceId),
    /// `e/<shard>/<device>`: a [`crate::enroll::EnrollRequest`].
    EnrollRequest(DeviceId),
    /// `e/<shard>/<device>/answer`: a [`crate::enroll::EnrollAnswer`].
    EnrollAnswer(DeviceId),
    /// `b/<artifact-id>`: blocks of an artifact over MQTT.
    Blocks(ArtifactId),
    /// `n/<shard>/<device>`: the bitmap of blocks a device still needs.
    Needs(DeviceId),
    /// `cmd/<user>/<request>/<verb>`: a JSON command.
    Command {
        /// The user who commands; the broker lets nobody write another's.
        user: UserId,
        /// The caller's id of this command.
        request: RequestId,
        /// The verb; any id, so that an unknown verb can be answered.
        verb: RequestId,
    },
    /// `reply/<user>/<request>`: the JSON answer.
    Reply {
        /// The user who asked.
        user: UserId,
        /// The id the question had.
        request: RequestId,
    },
    /// `view/…`, retained: JSON for people.
    View(View),
    /// `event/<kind>`: JSON events.
    Event(UserEventKind),
}

/// A retained JSON view for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum View {
    /// `view/deployment/<n>`
    Deployment(DeploymentId),
    /// `view/group/<group>`
    Group(GroupId),
    /// `view/fleet`
    Fleet,
    /// `view/health`
    Health,
}

/// The kind of an event: one topic level.
pub type UserEventKind = RequestId;

/// Why a text is not one of Hoist's topics (`E_TOPIC`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Longer than [`TOPIC_BYTES_MAX`] or empty.
    #[error("a topic has 1 to {TOPIC_BYTES_MAX} bytes, this has {length}")]
    Length {
        /// Its length in bytes.
        length: usize,
    },
    /// A character that is not printable ASCII, or a wildcard in a topic.
    #[error("a topic holds only printable ASCII and no wildcard, not {found:?}")]
    Character {
        /// The first offending character.
        found: char,
    },
    /// The first level is not the namespace.
    #[error("the first level of a topic is the namespace {namespace}")]
    Namespace {
        /// The namespace expected.
        namespace: String,
    },
    /// No row of the topic table has this shape.
    #[error("no topic of this protocol looks like {topic}")]
    Unknown {
        /// The text.
        topic: String,
    },
    /// A level is not a valid id.
    #[error("bad id in topic: {source}")]
    Id {
        /// The fault of the id.
        #[from]
        source: IdError,
    },
    /// The shard level is not the device's shard.
    #[error("shard {found} is not the shard of this device, {expected}")]
    Shard {
        /// In the topic.
        found: String,
        /// The device's.
        expected: String,
    },
    /// A wildcard in the wrong place, or a shared subscription.
    #[error("bad topic filter: {why}")]
    Filter {
        /// The fault of the filter.
        why: &'static str,
    },
}

/// The topics of one namespace.
///
/// ```
/// use hoist_protocol::topic::{Topic, Topics};
/// let topics = Topics::default();
/// let spec = Topic::GroupSpec("eu".parse().unwrap());
/// assert_eq!(topics.format(&spec), "hoist/g/eu");
/// assert_eq!(topics.parse("hoist/g/eu"), Ok(spec));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topics {
    namespace: Namespace,
}

impl Topics {
    /// The topics below `namespace`.
    #[must_use]
    pub fn new(namespace: Namespace) -> Self {
        Self { namespace }
    }

    /// The first level of every topic.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The text of a topic.
    #[must_use]
    pub fn format(&self, topic: &Topic) -> String {
        format!("{}/{topic}", self.namespace)
    }

    /// The topic of a text.
    ///
    /// # Errors
    /// [`TopicError`] when the text is in no row of the table or holds a bad id.
    pub fn parse(&self, text: &str) -> Result<Topic, TopicError> {
        check_topic(text)?;
        let below = text
            .strip_prefix(self.namespace.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| TopicError::Namespace {
                namespace: self.namespace.to_string(),
            })?;
        below.parse()
    }

    /// The text of a filter of this namespace.
    #[must_use]
    pub fn filter(&self, filter: Filter) -> String {
        format!("{}/{filter}", self.namespace)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupSpec(group) => write!(f, "g/{group}"),
            Self::DeviceSpec(device) => write!(f, "d/{device}"),
            Self::Release(release) => write!(f, "r/{release}"),
            Self::Root(number) => write!(f, "k/{number}"),
            Self::Status(device) => write!(f, "s/{}/{device}", Shard::of(device)),
            Self::Presence(device) => write!(f, "p/{}/{device}", Shard::of(device)),
            Self::Info(device) => write!(f, "i/{}/{device}", Shard::of(device)),
            Self::EnrollRequest(device) => write!(f, "e/{}/{device}", Shard::of(device)),
            Self::EnrollAnswer(device) => write!(f, "e/{}/{device}/answer", Shard::of(device)),
            Self::Blocks(artifact) => write!(f, "b/{artifact}"),
            Self::Needs(device) => write!(f, "n/{}/{device}", Shard::of(device)),
            Self::Command {
                user,
                request,
                verb,
            } => write!(f, "cmd/{user}/{request}/{verb}"),
            Self::Reply { user, request } => write!(f, "reply/{user}/{request}"),
            Self::View(View::Deployment(id)) => write!(f, "view/deployment/{id}"),
            Self::View(View::Group(group)) => write!(f, "view/group/{group}"),
            Self::View(View::Fleet) => f.write_str("view/fleet"),
            Self::View(View::Health) => f.write_str("view/health"),
            Self::Event(kind) => write!(f, "event/{kind}"),
        }
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    /// Parses the levels below the namespace.
    fn from_str(below: &str) -> Result<Self, TopicError> {
        let unknown = || TopicError::Unknown {
            topic: below.to_owned(),
        };
        let mut levels = below.split('/');
        let kind = levels.next().unwrap_or_default();
        let rest = [levels.next(), levels.next(), levels.next(), levels.next()];
        Ok(match (kind, rest) {
            ("g", [Some(group), None, ..]) => Self::GroupSpec(group.parse()?),
            ("d", [Some(device), None, ..]) => Self::DeviceSpec(device.parse()?),
            ("r", [Some(release), None, ..]) => Self::Release(release.parse()?),
            ("k", [Some(number), None, ..]) => Self::Root(canonical(number).ok_or_else(unknown)?),
            ("s", [Some(shard), Some(device), None, _]) => Self::Status(sharded(shard, device)?),
            ("p", [Some(shard), Some(device), None, _]) => Self::Presence(sharded(shard, device)?),
            ("i", [Some(shard), Some(device), None, _]) => Self::Info(sharded(shard, device)?),
            ("e", [Some(shard), Some(device), None, _]) => {
                Self::EnrollRequest(sharded(shard, device)?)
            }
            ("e", [Some(shard), Some(device), Some("answer"), None]) => {
                Self::EnrollAnswer(sharded(shard, device)?)
            }
            ("b", [Some(artifact), None, ..]) => Self::Blocks(artifact.parse()?),
            ("n", [Some(shard), Some(device), None, _]) => Self::Needs(sharded(shard, device)?),
            ("cmd", [Some(user), Some(request), Some(verb), None]) => Self::Command {
                user: user.parse()?,
                request: request.parse()?,
                verb: verb.parse()?,
            },
            ("reply", [Some(user), Some(request), None, _]) => Self::Reply {
                user: user.parse()?,
                request: request.parse()?,
            },
            ("view", [Some("deployment"), Some(number), None, _]) => Self::View(View::Deployment(
                DeploymentId(canonical(number).ok_or_else(unknown)?),
            )),
            ("view", [Some("group"), Some(group), None, _]) => {
                Self::View(View::Group(group.parse()?))
            }
            ("view", [Some("fleet"), None, ..]) => Self::View(View::Fleet),
            ("view", [Some("health"), None, ..]) => Self::View(View::Health),
            ("event", [Some(kind), None, ..]) => Self::Event(kind.parse()?),
            _ => return Err(unknown()),
        })
    }
}

/// A decimal number written the one way [`Topics::format`] writes it.
fn canonical(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn sharded(shard: &str, device: &str) -> Result<DeviceId, TopicError> {
    let device: DeviceId = device.parse()?;
    let expected = Shard::of(&device).to_string();
    if shard != expected {
        return Err(TopicError::Shard {
            found: shard.to_owned(),
            expected,
        });
    }
    Ok(device)
}

/// Checks what every topic name must be: bounded, printable ASCII, no wildcard, no NUL.
/// A multi-byte character kills rumqttd's router, so nothing else may pass.
///
/// # Errors
/// [`TopicError::Length`] or [`TopicError::Character`].
pub fn check_topic(topic: &str) -> Result<(), TopicError> {
    if topic.is_empty() || topic.len() > TOPIC_BYTES_MAX {
        return Err(TopicError::Length {
            length: topic.len(),
        });
    }
    match topic
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '+' | '#'))
    {
        Some(found) => Err(TopicError::Character { found }),
        None => Ok(()),
    }
}

/// Checks the syntax of a subscription filter: wildcards stand alone in their level,
/// `#` only last, no shared subscription.
///
/// # Errors
/// [`TopicError`] naming what is wrong.
pub fn check_filter(filter: &str) -> Result<(), TopicError> {
    if filter.is_empty() || filter.len() > TOPIC_BYTES_MAX {
        return Err(TopicError::Length {
            length: filter.len(),
        });
    }
    if let Some(found) = filter.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(TopicError::Character { found });
    }
    if filter.starts_with('$') {
        return Err(TopicError::Filter {
            why: "shared and system subscriptions are not served",
        });
    }
    let last = filter.split('/').count() - 1;
    for (index, level) in filter.split('/').enumerate() {
        match level {
            "#" if index != last => {
                return Err(TopicError::Filter {
                    why: "# is not the last level",
                });
            }
            "#" | "+" => {}
            _ if level.contains(['#', '+']) => {
                return Err(TopicError::Filter {
                    why: "a wildcard shares its level with text",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// True if `filter` matches `topic`, by the rules of MQTT 3.1.1.
///
/// ```
/// use hoist_protocol::topic::matches;
/// assert!(matches("hoist/s/+/+", "hoist/s/7f/dev-01"));
/// assert!(matches("hoist/#", "hoist"));
/// assert!(!matches("hoist/+", "hoist/s/7f"));
/// ```
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    let mut topic = topic.split('/');
    let mut filter = filter.split('/');
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(pattern), Some(level)) if pattern == level => {}
            _ => return false,
        }
    }
}

/// True if every topic that `filter` can match is also matched by `allowed`.
///
/// ```
/// use hoist_protocol::topic::covers;
/// assert!(covers("hoist/s/#", "hoist/s/7f/+"));
/// assert!(!covers("hoist/g/+", "hoist/#"));
/// ```
#[must_use]
pub fn covers(allowed: &str, filter: &str) -> bool {
    let mut filter = filter.split('/');
    let mut allowed = allowed.split('/');
    loop {
        match (allowed.next(), filter.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(pattern), Some(level)) if pattern == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
#[path = "topic_tests.rs"]
mod tests;
