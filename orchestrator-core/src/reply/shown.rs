//! Which view shows what a command did.

use hoist_protocol::topic::View;

use super::Answer;

impl Answer {
    /// The views of the deployments that the answer is about: who reads one of them after the
    /// answer must find there what the command did. Others follow as soon as they may: a
    /// command that changes one device has no other place to be seen in a hurry.
    #[must_use]
    pub fn shown_in(&self) -> Vec<View> {
        let deployments = match self {
            Self::Deployed { items, .. } | Self::DeployedBeside { items, .. } => {
                items.iter().map(|item| item.deployment).collect()
            }
            Self::Aborted(result) => vec![result.deployment],
            Self::Retried(result) => vec![result.deployment],
            Self::WentOn(result) => vec![result.deployment],
            Self::Refused(_)
            | Self::PolicyPut(_)
            | Self::ReleaseAdded(_)
            | Self::ReleaseRemoved(_)
            | Self::UserManaged(_)
            | Self::DeviceAdded { .. }
            | Self::DeviceRemoved { .. }
            | Self::GroupCreated { .. }
            | Self::GroupRemoved { .. }
            | Self::DeviceMoved { .. }
            | Self::DeviceHeld { .. }
            | Self::DeviceApproved { .. }
            | Self::Planned(_)
            | Self::DevicePlanned { .. }
            | Self::Imported(_)
            | Self::ClaimCreated { .. }
            | Self::ClaimNamed { .. }
            | Self::DeviceRevoked { .. }
            | Self::TokenRotated { .. }
            | Self::DeviceLabeled(_)
            | Self::PassBegun(_)
            | Self::Frozen(_)
            | Self::ImportPlanned(_) => Vec::new(),
        };
        deployments.into_iter().map(View::Deployment).collect()
    }
}
