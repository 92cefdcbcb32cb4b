//! Ranges of keys.

use hoist_protocol::id::{DeploymentId, GroupId};

use super::{Key, number, text};

/// Prefixes to scan by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefix {
    /// Every group.
    Groups,
    /// Every device.
    Devices,
    /// Every release, by its id.
    Releases,
    /// Every release, by `name@version`.
    ReleaseNames,
    /// Every release of a name, by version.
    Versions(String),
    /// Every deployment.
    Deployments,
    /// The records of a deployment, by device.
    Records(DeploymentId),
    /// The counters of a deployment, by shard.
    Counters(DeploymentId),
    /// Rounds that were opened for devices of a deployment alone, by device.
    Opened(DeploymentId),
    /// Slots of a deployment that devices took along, by device.
    Slots(DeploymentId),
    /// The rollout of a deployment.
    Rollout(DeploymentId),
    /// The history of a deployment, by number.
    History(DeploymentId),
    /// The members of a group, by device.
    Members(GroupId),
    /// Every device whose spec is not known to be out.
    Outbox,
    /// Every device of which tokens are revoked.
    Revoked,
    /// Every group that was removed.
    RemovedGroups,
    /// Every claim.
    Claims,
    /// Every board that waits for approval, by its device and place.
    Waiting,
    /// Every policy, by its name.
    Policies,
    /// Every item of the audit trail, by its number.
    Audit,
    /// Every event that is kept, by its number.
    Events,
}

impl Prefix {
    /// The bytes with which every key of the range starts.
    #[must_use]
    pub fn bytes(&self) -> Key {
        match self {
            Self::Groups => Key(vec![2]),
            Self::Devices => Key(vec![3]),
            Self::Releases => Key(vec![4]),
            Self::ReleaseNames => Key(vec![5]),
            Self::Versions(name) => {
                let named = format!("{name}@");
                Key([&[5_u8][..], named.as_bytes()].concat())
            }
            Self::Deployments => Key(vec![6]),
            Self::Records(id) => number(7, *id, &[]),
            Self::Counters(id) => number(8, *id, &[]),
            Self::Opened(id) => number(16, *id, &[]),
            Self::Slots(id) => number(20, *id, &[]),
            Self::Rollout(id) => number(30, *id, &[]),
            Self::History(id) => number(31, *id, &[]),
            Self::Members(group) => text(9, &[group.as_str(), ""]),
            Self::Outbox => Key(vec![13]),
            Self::Revoked => Key(vec![14]),
            Self::RemovedGroups => Key(vec![21]),
            Self::Claims => Key(vec![25]),
            Self::Waiting => Key(vec![26]),
            Self::Policies => Key(vec![36]),
            Self::Audit => Key(vec![29]),
            Self::Events => Key(vec![39]),
        }
    }

    /// The number behind the prefix of a key in this range.
    #[must_use]
    pub fn deployment(&self, key: &Key) -> Option<DeploymentId> {
        let rest = key.0.strip_prefix(self.bytes().0.as_slice())?;
        let (number, _) = rest.split_first_chunk::<4>()?;
        Some(DeploymentId(u32::from_be_bytes(*number)))
    }

    /// The text behind the prefix of a key in this range: a device, a group, a name.
    #[must_use]
    pub fn rest(&self, key: &Key) -> Option<String> {
        let rest = key.0.strip_prefix(self.bytes().0.as_slice())?;
        std::str::from_utf8(rest).ok().map(str::to_owned)
    }
}
