//! The one space of names: a broker may know its clients by names alone, and whoever has the name of
//! another one would have the rights of both.

use hoist_protocol::access::{OWN_PREFIX, SERVICE_USER};
use hoist_protocol::id::DeviceId;

use crate::model::error::{Code, Rejection};

/// Refuses to register a device under a name that a user or the server has.
pub(crate) fn may_be_registered(device: &DeviceId, is_user: bool) -> Result<(), Rejection> {
    let name = device.as_str();
    let why = if is_user {
        format!("{name} is the name of a user")
    } else if name == SERVICE_USER {
        format!("{name} is the name of the server itself")
    } else if name.starts_with(OWN_PREFIX) {
        format!("names that begin with {OWN_PREFIX} are those of the server's own programs")
    } else {
        return Ok(());
    };
    Err(Rejection::new(Code::Name, why)
        .field("device")
        .hint("register the device under another id"))
}
