//! The rule table: the topics that each principal may publish and subscribe, as data. The front
//! door enforces the table, and the files of external brokers are rendered from it. Nothing
//! here authenticates anybody.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::filter::{Family, Filter, Pattern};
use crate::id::{ClaimId, DeviceId, GroupId, Shard, UserId};
use crate::topic::{Topic, TopicError, Topics, check_filter, check_topic, covers, matches};

/// The rights of an operator; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything, changes nothing.
    Viewer,
    /// Adds releases, creates and ends deployments.
    Deployer,
    /// Manages devices, groups and users.
    Admin,
}

impl Role {
    /// Its word in commands, files and sentences.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }
}

/// The orchestrator's name at a broker.
pub const SERVICE_USER: &str = "orchestrator";
/// How the names begin that Hoist's own programs come in by: no device is registered under one.
pub const OWN_PREFIX: &str = "hoist-";
/// The devices that `hoist doctor` comes in as.
pub const CANARIES: [&str; 2] = ["hoist-canary-1", "hoist-canary-2"];

/// The identity of a connection, once authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A device; its client id and user name are its id.
    Device(DeviceId),
    /// Somebody who asks, by a claim, for the certificate of the device whose id its client id
    /// is; nothing else is proven of it.
    Enrolling {
        /// The device.
        device: DeviceId,
        /// The claim.
        claim: ClaimId,
    },
    /// A person or program with commands.
    User {
        /// Its name, a level of its command topics.
        user: UserId,
        /// The rights of the user.
        role: Role,
        /// The only groups it may change; empty means all.
        groups: Vec<GroupId>,
    },
    /// The orchestrator.
    Service,
}

impl fmt::Display for Principal {
    /// As a log names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => write!(f, "device {device}"),
            Self::Enrolling { device, claim } => write!(f, "claim {claim}, for device {device}"),
            Self::User { user, .. } => write!(f, "user {user}"),
            Self::Service => f.write_str("the orchestrator"),
        }
    }
}

/// Which class of principals a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// Every device.
    Device,
    /// Whoever asks for the certificate of a device.
    Enrolling,
    /// Every user, whatever the role: commands above a role are refused by the
    /// orchestrator with `E_ROLE`, so that they are answered.
    User,
    /// The orchestrator.
    Service,
}

/// The action that a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// PUBLISH, and being a last will.
    Publish,
    /// SUBSCRIBE.
    Subscribe,
}

/// One row: `party` may do `action` on what `pattern` matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// For whom.
    pub party: PrincipalKind,
    /// Allowed to do what.
    pub action: Action,
    /// On which topics, below the namespace.
    pub pattern: Pattern,
}

const fn rule(party: PrincipalKind, action: Action, pattern: Pattern) -> Rule {
    Rule {
        party,
        action,
        pattern,
    }
}

/// The client's own topics of a kind.
const fn own(family: Family) -> Pattern {
    Pattern::Own(family)
}

/// Every topic of a kind.
const fn every(family: Family) -> Pattern {
    Pattern::Of(Filter::Every(family))
}

/// Whatever has the first level of a kind.
const fn below(family: Family) -> Pattern {
    Pattern::Of(Filter::Below(family))
}

/// The whole table; what no row allows is denied.
pub const RULES: &[Rule] = &[
    rule(PrincipalKind::Device, Action::Publish, own(Family::Status)),
    rule(
        PrincipalKind::Device,
        Action::Publish,
        own(Family::Presence),
    ),
    rule(PrincipalKind::Device, Action::Publish, own(Family::Info)),
    rule(PrincipalKind::Device, Action::Publish, own(Family::Needs)),
    rule(
        PrincipalKind::Device,
        Action::Publish,
        own(Family::EnrollRequest),
    ),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        own(Family::EnrollAnswer),
    ),
    rule(
        PrincipalKind::Enrolling,
        Action::Publish,
        own(Family::EnrollRequest),
    ),
    rule(
        PrincipalKind::Enrolling,
        Action::Subscribe,
        own(Family::EnrollAnswer),
    ),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        own(Family::DeviceSpec),
    ),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        own(Family::Status),
    ),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        own(Family::Presence),
    ),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        every(Family::GroupSpec),
    ),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        every(Family::Release),
    ),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        every(Family::Blocks),
    ),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        every(Family::Root),
    ),
    rule(PrincipalKind::User, Action::Publish, own(Family::Command)),
    rule(PrincipalKind::User, Action::Subscribe, own(Family::Reply)),
    rule(
        PrincipalKind::User,
        Action::Subscribe,
        below(Family::Status),
    ),
    rule(
        PrincipalKind::User,
        Action::Subscribe,
        below(Family::Presence),
    ),
    rule(PrincipalKind::User, Action::Subscribe, below(Family::Info)),
    rule(PrincipalKind::User, Action::Subscribe, every(Family::View)),
    rule(PrincipalKind::User, Action::Subscribe, every(Family::Event)),
    rule(
        PrincipalKind::Service,
        Action::Publish,
        Pattern::Of(Filter::All),
    ),
    rule(
        PrincipalKind::Service,
        Action::Subscribe,
        Pattern::Of(Filter::All),
    ),
];

impl Rule {
    /// The rule's topic filter for one principal, or `None` when it is for others.
    #[must_use]
    pub fn filter(&self, principal: &Principal, topics: &Topics) -> Option<String> {
        let below = match (self.party, principal) {
            (PrincipalKind::Device, Principal::Device(device))
            | (PrincipalKind::Enrolling, Principal::Enrolling { device, .. }) => {
                let shard = alloc::format!("{}", Shard::of(device));
                self.pattern.filter(&shard, device.as_str())
            }
            (PrincipalKind::User, Principal::User { user, .. }) => {
                self.pattern.filter("+", user.as_str())
            }
            (PrincipalKind::Service, Principal::Service) => self.pattern.filter("+", "+"),
            _ => return None,
        };
        Some(alloc::format!("{}/{below}", topics.namespace()))
    }
}

/// Why a PUBLISH, will or SUBSCRIBE is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The topic or filter itself is malformed (`E_TOPIC`).
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// No rule allows it (`E_ACCESS`).
    #[error("no access rule allows this client that topic")]
    Rule,
}

/// Ok if a principal may publish on a topic, or leave a will there.
///
/// # Errors
/// [`Denied`] with the reason.
pub fn may_publish(principal: &Principal, topics: &Topics, topic: &str) -> Result<(), Denied> {
    check_topic(topic)?;
    let allowed = filters(principal, topics, Action::Publish).any(|filter| matches(&filter, topic));
    if !allowed {
        return Err(Denied::Rule);
    }
    topics.parse(topic)?;
    Ok(())
}

/// Ok if a principal may subscribe to a filter: everything that the filter can match is allowed.
///
/// # Errors
/// [`Denied`] with the reason.
pub fn may_subscribe(principal: &Principal, topics: &Topics, filter: &str) -> Result<(), Denied> {
    check_filter(filter)?;
    if filters(principal, topics, Action::Subscribe).any(|allowed| covers(&allowed, filter)) {
        Ok(())
    } else {
        Err(Denied::Rule)
    }
}

fn filters(principal: &Principal, topics: &Topics, action: Action) -> impl Iterator<Item = String> {
    RULES
        .iter()
        .filter(move |rule| rule.action == action)
        .filter_map(move |rule| rule.filter(principal, topics))
}

/// The filters of topics that one client alone reads ([`single_reader`]).
pub const SINGLE_READER: [Filter; 3] = [
    Filter::Every(Family::DeviceSpec),
    Filter::Below(Family::Reply),
    Filter::Below(Family::Command),
];

/// The filters of what devices report ([`is_report`]).
pub const REPORTS: [Filter; 3] = [
    Filter::Below(Family::Status),
    Filter::Below(Family::Presence),
    Filter::Below(Family::Info),
];

/// True if one client alone reads a topic, besides the orchestrator's own subscriptions, so that a
/// broker need not route it (a device's own spec, a user's replies, commands).
#[must_use]
pub fn single_reader(topic: &Topic) -> bool {
    matches!(
        topic,
        Topic::DeviceSpec(_) | Topic::Reply { .. } | Topic::Command { .. }
    )
}

/// True if nothing on a topic is ever kept, whatever its sender says.
#[must_use]
pub fn passes(topic: &Topic) -> bool {
    matches!(topic, Topic::EnrollRequest(_) | Topic::EnrollAnswer(_))
}

/// True if the orchestrator decides on what devices say on a topic. A broker that can, tells a device
/// that its message arrived only when what was decided is durable.
#[must_use]
pub fn is_report(topic: &Topic) -> bool {
    matches!(
        topic,
        Topic::Status(_) | Topic::Presence(_) | Topic::Info(_)
    )
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
