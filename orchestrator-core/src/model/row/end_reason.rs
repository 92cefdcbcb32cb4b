//! Why a deployment ended: stored, and a word in JSON that people can have explained.

use serde::{Deserialize, Serialize};

/// Why a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// An operator aborted it.
    Operator,
    /// A newer one took its place (S11).
    Superseded,
    /// Its end time came.
    EndTime,
    /// Every member is Successful.
    AllSuccessful,
    /// Its number of devices has started.
    DeviceLimit,
    /// When its start time came it could not be listed: overlap or a full spec.
    Conflict,
    /// The server lost its store: it may have been aborted since, and nobody knows.
    Recovered,
    /// More devices failed than its rollout bears.
    Failures,
}

impl EndReason {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Operator,
        Self::Superseded,
        Self::EndTime,
        Self::AllSuccessful,
        Self::DeviceLimit,
        Self::Conflict,
        Self::Recovered,
        Self::Failures,
    ];

    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Superseded => "superseded",
            Self::EndTime => "end-time",
            Self::AllSuccessful => "all-successful",
            Self::DeviceLimit => "device-limit",
            Self::Conflict => "conflict",
            Self::Recovered => "recovered",
            Self::Failures => "failures",
        }
    }

    /// The reason's meaning for the deployment, in sentences for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Operator => {
                "An operator aborted it: devices that had not started never start, those in \
                 progress finish or roll back."
            }
            Self::Superseded => {
                "A newer deployment to its group with the same artifacts took its place: devices \
                 that had not started it get the newer one, those in progress end it first."
            }
            Self::EndTime => {
                "Its end time came: devices that had not started never start, those in progress \
                 finish."
            }
            Self::AllSuccessful => {
                "Every member of its group was successful, and it was to end then: devices that \
                 join later do not get it."
            }
            Self::DeviceLimit => {
                "As many devices as its limit allows have started: the others never start it."
            }
            Self::Conflict => {
                "When its start time came it could not start: an active deployment to its group \
                 has some of its artifacts, or the group has as many active ones as it may."
            }
            Self::Failures => {
                "More devices failed than its rollout bears: devices that had not started never \
                 start, those in progress finish or roll back."
            }
            Self::Recovered => {
                "The server was recovered from what was left of it. Whether the deployment was \
                 ended since is not known: devices that had not started never start, those in \
                 progress finish."
            }
        }
    }

    /// The advice for this reason, without a full stop.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Operator => "see who did and why with `hoist deployment show NUMBER`",
            Self::Superseded => "nothing; see the newer deployment in `hoist deployment list`",
            Self::EndTime | Self::AllSuccessful => "deploy again to reach the other devices",
            Self::DeviceLimit => "deploy again, with a higher limit or none",
            Self::Failures => {
                "look at the failures with `hoist deployment show NUMBER`, and deploy a release \
                 that mends them"
            }
            Self::Recovered => "deploy again: devices that have it answer that it is there already",
            Self::Conflict => "wait for or abort what is in its way, then deploy again",
        }
    }
}
