//! What operators do in the model.

use fastrand::Rng;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId};

use super::device::Device;

/// What an operator does in the model.
#[derive(Clone, Debug)]
pub enum Order {
    /// Creates a group.
    Group(GroupId),
    /// Registers a device.
    Device(DeviceId, GroupId),
    /// Adds a release with one artifact of this name.
    Release(String, String),
    /// Deploys a release to a group.
    Deploy(String, GroupId),
    /// Aborts a deployment.
    Abort(DeploymentId),
}

/// What operators will do, in this order: two groups, every device at some time, and a few
/// deployments of which some are aborted.
pub fn orders(rng: &mut Rng, devices: usize) -> Vec<Order> {
    let groups: Vec<GroupId> = ["eu", "us"]
        .map(|name| name.parse().expect("a valid id"))
        .into();
    let mut orders: Vec<Order> = groups.iter().cloned().map(Order::Group).collect();
    let mut later = Vec::new();
    for number in 0..devices {
        let group = groups[rng.usize(0..groups.len())].clone();
        later.push(Order::Device(Device::new(number).id, group));
    }
    let mut deployments = 0;
    for name in ["app", "config", "model"].iter().take(rng.usize(1..=3)) {
        orders.push(Order::Release((*name).to_owned(), "1.0.0".to_owned()));
        let group = groups[rng.usize(0..groups.len())].clone();
        later.push(Order::Deploy(format!("{name}@1.0.0"), group));
        deployments += 1;
    }
    rng.shuffle(&mut later);
    for id in 1..=deployments {
        if rng.bool() {
            later.push(Order::Abort(DeploymentId(id)));
        }
    }
    orders.extend(later);
    orders
}
