//! The bodies of the commands that only read.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::reply::StatusWord;

/// Items of a page at most, and when nothing is said; bytes end it first when names are long.
pub(crate) const ITEMS_MAX: u32 = 20;
/// The same of devices; long inventories end a page first.
pub(crate) const DEVICES_MAX: u32 = 100;

/// The same of the audit trail, which somebody may want as a whole.
pub(crate) const AUDIT_MAX: u32 = 100;
/// Events in one page.
pub(crate) const EVENTS_MAX: u32 = 100;

/// The most items wanted, from 1 to so many.
fn items<'json, D: Deserializer<'json>, const MOST: u32>(json: D) -> Result<Option<u32>, D::Error> {
    let wanted = Option::deserialize(json)?;
    match wanted {
        Some(items) if !(1..=MOST).contains(&items) => Err(D::Error::custom(format!(
            "{items} is not a whole number from 1 to {MOST}"
        ))),
        wanted => Ok(wanted),
    }
}

/// `device-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceShow {
    /// The device's id.
    pub device: String,
}

/// `device-why`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceWhy {
    /// The device's id.
    pub device: String,
    /// Only this deployment, also one that is over; all that concern the device when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<u32>,
}

/// The same of a deployment's history.
pub(crate) const HISTORY_MAX: u32 = 100;

/// `deployment-history`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentHistory {
    /// The deployment's number.
    pub deployment: u32,
    /// Most items wanted, 1 to 100; default 100.
    #[serde(
        default,
        deserialize_with = "items::<_, HISTORY_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl DeploymentHistory {
    /// The word of its verb, which also marks its cursors.
    pub(crate) const VERB: &'static str = "deployment-history";
}

/// `deployment-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentShow {
    /// The deployment's number.
    pub deployment: u32,
}

/// `release-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseShow {
    /// `name@version`, or a release id.
    pub release: String,
}

/// `enroll-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollList {
    /// Most items wanted, 1 to 20; default 20.
    #[serde(
        default,
        deserialize_with = "items::<_, ITEMS_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl EnrollList {
    pub(crate) const VERB: &'static str = "enroll-list";
}

/// `enroll-waiting`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollWaiting {
    /// Most items wanted, 1 to 20; default 20.
    #[serde(
        default,
        deserialize_with = "items::<_, ITEMS_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl EnrollWaiting {
    pub(crate) const VERB: &'static str = "enroll-waiting";
}

/// `group-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupList {
    /// Most items wanted, 1 to 20; default 20.
    #[serde(
        default,
        deserialize_with = "items::<_, ITEMS_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl GroupList {
    /// The word of its verb, which also marks its cursors.
    pub(crate) const VERB: &'static str = "group-list";
}

/// `policy-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyList {
    /// Most items wanted, 1 to 20; default 20.
    #[serde(
        default,
        deserialize_with = "items::<_, ITEMS_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl PolicyList {
    /// The word of its verb, which also marks its cursors.
    pub(crate) const VERB: &'static str = "policy-list";
}

/// `policy-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyShow {
    /// Its name for the newest version, or `name@version`.
    pub policy: String,
}

/// `user-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserList {
    /// Most items wanted, 1 to 20; default 20.
    #[serde(
        default,
        deserialize_with = "items::<_, ITEMS_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// `release-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseList {
    /// Only the versions of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Most items wanted, 1 to 20; default 20.
    #[serde(
        default,
        deserialize_with = "items::<_, ITEMS_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl ReleaseList {
    /// The word of its verb, which also marks its cursors.
    pub(crate) const VERB: &'static str = "release-list";
}

/// `deployment-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentList {
    /// Only those of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Most items wanted, 1 to 20; default 20.
    #[serde(
        default,
        deserialize_with = "items::<_, ITEMS_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl DeploymentList {
    /// The word of its verb, which also marks its cursors.
    pub(crate) const VERB: &'static str = "deployment-list";
}

/// `device-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceList {
    /// Only members of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only those with these labels, as `site=eu,board in (a,b),!broken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Only those with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusWord>,
    /// Those whom this deployment counts, as it sees them: who has begun, and who is Pending or never
    /// started, wherever they are now. Every device, as its newest deployment sees it, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<u32>,
    /// Most items wanted, 1 to 100; default 100.
    #[serde(
        default,
        deserialize_with = "items::<_, DEVICES_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl DeviceList {
    /// The word of its verb, which also marks its cursors.
    pub(crate) const VERB: &'static str = "device-list";
}

/// `pass-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PassList {}

/// `event-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventList {
    /// RFC 3339 time; only what was decided then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only events of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The `id` of an event; only what came behind it. All, when it is of a store that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_event: Option<String>,
    /// Most items wanted, 1 to 100; default 100.
    #[serde(
        default,
        deserialize_with = "items::<_, EVENTS_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl EventList {
    /// The word of its verb, which also marks its cursors.
    pub(crate) const VERB: &'static str = "event-list";
}

/// `audit-list`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditList {
    /// Only what this user sent; whoever was a user once is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// RFC 3339 time; only what was sent then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Most items wanted, 1 to 100; default 100.
    #[serde(
        default,
        deserialize_with = "items::<_, AUDIT_MAX>",
        skip_serializing_if = "Option::is_none"
    )]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl AuditList {
    /// The word of its verb, which also marks its cursors.
    pub(crate) const VERB: &'static str = "audit-list";
}
