//! The rule table: the topics that each principal may publish and subscribe, as data. The front
//! door enforces the table, and the files of external brokers are rendered from it. Nothing
//! here authenticates anybody.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

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

/// One row: `party` may do `action` on what `pattern` matches. `{self}` stands for the
/// device id or user name, `{shard}` for the device's shard; the namespace goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// For whom.
    pub party: PrincipalKind,
    /// Allowed to do what.
    pub action: Action,
    /// On which topics, below the namespace.
    pub pattern: &'static str,
}

const fn rule(party: PrincipalKind, action: Action, pattern: &'static str) -> Rule {
    Rule {
        party,
        action,
        pattern,
    }
}

/// The whole table; what no row allows is denied.
pub const RULES: &[Rule] = &[
    rule(PrincipalKind::Device, Action::Publish, "s/{shard}/{self}"),
    rule(PrincipalKind::Device, Action::Publish, "p/{shard}/{self}"),
    rule(PrincipalKind::Device, Action::Publish, "i/{shard}/{self}"),
    rule(PrincipalKind::Device, Action::Publish, "n/{shard}/{self}"),
    rule(PrincipalKind::Device, Action::Publish, "e/{shard}/{self}"),
    rule(
        PrincipalKind::Device,
        Action::Subscribe,
        "e/{shard}/{self}/answer",
    ),
    rule(
        PrincipalKind::Enrolling,
        Action::Publish,
        "e/{shard}/{self}",
    ),
    rule(
        PrincipalKind::Enrolling,
        Action::Subscribe,
        "e/{shard}/{self}/answer",
    ),
    rule(PrincipalKind::Device, Action::Subscribe, "d/{self}"),
    rule(PrincipalKind::Device, Action::Subscribe, "s/{shard}/{self}"),
    rule(PrincipalKind::Device, Action::Subscribe, "p/{shard}/{self}"),
    rule(PrincipalKind::Device, Action::Subscribe, "g/+"),
    rule(PrincipalKind::Device, Action::Subscribe, "r/+"),
    rule(PrincipalKind::Device, Action::Subscribe, "b/+"),
    rule(PrincipalKind::Device, Action::Subscribe, "k/+"),
    rule(PrincipalKind::User, Action::Publish, "cmd/{self}/+/+"),
    rule(PrincipalKind::User, Action::Subscribe, "reply/{self}/#"),
    rule(PrincipalKind::User, Action::Subscribe, "s/#"),
    rule(PrincipalKind::User, Action::Subscribe, "p/#"),
    rule(PrincipalKind::User, Action::Subscribe, "i/#"),
    rule(PrincipalKind::User, Action::Subscribe, "view/#"),
    rule(PrincipalKind::User, Action::Subscribe, "event/#"),
    rule(PrincipalKind::Service, Action::Publish, "#"),
    rule(PrincipalKind::Service, Action::Subscribe, "#"),
];

impl Rule {
    /// The rule's topic filter for one principal, or `None` when it is for others.
    #[must_use]
    pub fn filter(&self, principal: &Principal, topics: &Topics) -> Option<String> {
        let below = match (self.party, principal) {
            (PrincipalKind::Device, Principal::Device(device))
            | (PrincipalKind::Enrolling, Principal::Enrolling { device, .. }) => self
                .pattern
                .replace("{shard}", &alloc::format!("{}", Shard::of(device)))
                .replace("{self}", device.as_str()),
            (PrincipalKind::User, Principal::User { user, .. }) => {
                self.pattern.replace("{self}", user.as_str())
            }
            (PrincipalKind::Service, Principal::Service) => self.pattern.into(),
            _ => return None,
        };
        Some(topics.filter(&below))
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
mod tests {
    use super::*;

    fn device(id: &str) -> Principal {
        Principal::Device(id.parse().unwrap())
    }

    fn user(name: &str) -> Principal {
        Principal::User {
            user: name.parse().unwrap(),
            role: Role::Admin,
            groups: Vec::new(),
        }
    }

    #[test]
    fn a_device_writes_only_its_own_topics() {
        let topics = Topics::default();
        let own: DeviceId = "d1".parse().unwrap();
        let other: DeviceId = "d2".parse().unwrap();
        let may = |topic: Topic| may_publish(&device("d1"), &topics, &topics.format(&topic));
        assert_eq!(may(Topic::Status(own.clone())), Ok(()));
        assert_eq!(may(Topic::Presence(own.clone())), Ok(()));
        assert_eq!(may(Topic::Info(own.clone())), Ok(()));
        assert_eq!(may(Topic::Status(other)), Err(Denied::Rule));
        assert_eq!(may(Topic::DeviceSpec(own)), Err(Denied::Rule));
        assert_eq!(
            may(Topic::GroupSpec("eu".parse().unwrap())),
            Err(Denied::Rule)
        );
    }

    #[test]
    fn a_device_reads_only_its_own_spec_and_what_is_for_all() {
        let topics = Topics::default();
        let may = |filter: &str| may_subscribe(&device("d1"), &topics, filter).is_ok();
        assert!(may("hoist/d/d1") && may("hoist/g/eu") && may("hoist/r/+") && may("hoist/k/1"));
        assert!(!may("hoist/d/d2") && !may("hoist/d/+") && !may("hoist/#") && !may("#"));
        assert!(!may("hoist/s/+/+") && !may("hoist/cmd/#") && !may("$share/x/hoist/g/eu"));
    }

    #[test]
    fn whoever_enrolls_asks_for_its_own_certificate_and_does_nothing_else() {
        let topics = Topics::default();
        let enrolling = Principal::Enrolling {
            device: "d1".parse().unwrap(),
            claim: "c-1".parse().unwrap(),
        };
        let own: DeviceId = "d1".parse().unwrap();
        let other: DeviceId = "d2".parse().unwrap();
        let publish = |topic: &Topic| may_publish(&enrolling, &topics, &topics.format(topic));
        let subscribe = |topic: &Topic| may_subscribe(&enrolling, &topics, &topics.format(topic));
        assert_eq!(publish(&Topic::EnrollRequest(own.clone())), Ok(()));
        assert_eq!(subscribe(&Topic::EnrollAnswer(own.clone())), Ok(()));
        for topic in [
            Topic::EnrollRequest(other.clone()),
            Topic::EnrollAnswer(own.clone()),
            Topic::Presence(own.clone()),
            Topic::Info(own.clone()),
            Topic::Status(own.clone()),
        ] {
            assert_eq!(publish(&topic), Err(Denied::Rule), "{topic}");
        }
        for topic in [Topic::EnrollAnswer(other), Topic::DeviceSpec(own)] {
            assert_eq!(subscribe(&topic), Err(Denied::Rule), "{topic}");
        }
        assert_eq!(
            may_subscribe(&enrolling, &topics, "hoist/g/+"),
            Err(Denied::Rule)
        );
    }

    #[test]
    fn an_operator_commands_under_its_own_name_and_reads_what_people_read() {
        let topics = Topics::default();
        assert_eq!(
            may_publish(&user("alice"), &topics, "hoist/cmd/alice/r1/deploy"),
            Ok(())
        );
        assert_eq!(
            may_publish(&user("alice"), &topics, "hoist/cmd/bob/r1/deploy"),
            Err(Denied::Rule)
        );
        assert_eq!(
            may_publish(&user("alice"), &topics, "hoist/g/eu"),
            Err(Denied::Rule)
        );
        assert!(may_subscribe(&user("alice"), &topics, "hoist/view/#").is_ok());
        assert!(may_subscribe(&user("alice"), &topics, "hoist/s/#").is_ok());
        assert!(may_subscribe(&user("alice"), &topics, "hoist/reply/alice/r1").is_ok());
        assert!(may_subscribe(&user("alice"), &topics, "hoist/reply/bob/#").is_err());
        assert!(may_subscribe(&user("alice"), &topics, "hoist/cmd/#").is_err());
    }

    #[test]
    fn even_the_orchestrator_publishes_only_well_formed_topics() {
        let topics = Topics::default();
        assert!(may_publish(&Principal::Service, &topics, "hoist/g/eu").is_ok());
        assert!(may_publish(&Principal::Service, &topics, "hoist/nonsense").is_err());
        assert!(may_publish(&Principal::Service, &topics, "é/x").is_err());
        assert!(may_subscribe(&Principal::Service, &topics, "hoist/s/#").is_ok());
    }
}
