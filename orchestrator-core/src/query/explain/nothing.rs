//! Why no deployment concerns a device at all.

use hoist_protocol::device::Trouble;
use hoist_protocol::id::{DeviceId, GroupId};

use crate::model::row::DeviceRow;
use crate::query::explain::{revoked, trouble};
use crate::reply::{Nothing, Why};

/// Says it; what is wrong with the device itself comes first.
pub(crate) fn nothing(device: &DeviceId, row: &DeviceRow, trouble: Option<Trouble>) -> Nothing {
    if let Some(end) = row.revoked() {
        return revoked::said(device, end).into();
    }
    if let Some(trouble) = trouble {
        return trouble::said(trouble, device).into();
    }
    if row.group == GroupId::unassigned() {
        return Nothing {
            why: Why::Unassigned,
            says: "the device is in no group yet, and nothing is deployed to unassigned devices"
                .to_owned(),
            next: format!("put it into one: hoist device move {device} --group GROUP"),
        };
    }
    let group = &row.group;
    Nothing {
        why: Why::NoDeployment,
        says: match row.latest {
            None => format!("nothing is deployed to its group {group}"),
            Some(latest) => format!(
                "nothing is deployed to its group {group}; its newest deployment, {latest}, was \
                 removed long after it was over"
            ),
        },
        next: format!("starts what is deployed next: hoist deploy RELEASE --group {group}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_a_group_without_deployments_is_told_what_would_reach_it_or_what_is_wrong_with_it()
     {
        let device = "d1".parse().unwrap();
        let mut row = DeviceRow::new(0);
        assert_eq!(nothing(&device, &row, None).why, Why::Unassigned);
        row.group = "eu".parse().unwrap();
        assert_eq!(nothing(&device, &row, None).why, Why::NoDeployment);
        row.latest = Some(hoist_protocol::id::DeploymentId(3));
        let said = nothing(&device, &row, None).says;
        assert!(said.contains("deployment, 3, was removed"), "{said}");
        let trouble = Some(Trouble::CannotExecute);
        assert_eq!(nothing(&device, &row, trouble).why, Why::CannotExecute);
    }
}
