//! A revoked device, in words for people.

use hoist_protocol::id::DeviceId;

use crate::model::row::Revoked;
use crate::model::time::format_time;
use crate::query::explain::said::Finding;
use crate::reply::Why;

/// The way out of it is the same whatever is deployed.
pub(super) fn said(device: &DeviceId, revoked: &Revoked) -> Finding {
    let (at, by) = (format_time(revoked.at_ms), &revoked.by);
    let reason = match revoked.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    let says = format!("{by} revoked the device at {at}{reason}");
    let next = format!(
        "comes in again with another token, `hoist device token rotate {device}`, or once it has \
         enrolled anew and `hoist device approve {device} --fingerprint F` has named its key"
    );
    Finding::new(Why::Revoked, says, next)
}
