//! The body of `deploy` and `plan`.

use serde::{Deserialize, Serialize};

/// `deploy`: one release to one group, or to several, one deployment each. Also `plan`,
/// which only says what that would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deploy {
    /// `name@version`, or a release id.
    pub release: String,
    /// The group; this or `groups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Several groups, at most 32: one deployment each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// RFC 3339 time before which it is not listed (S2); at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// What ends it by itself (S10); nothing when absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::object::optional"
    )]
    pub limit: Option<Limit>,
    /// Whether it completes when every member is Successful (S1); default `aborted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_when: Option<CompleteWhen>,
    /// Seconds a device has from its start; at least 1, default 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u32>,
    /// Attempts a device has before it fails; at least 1, default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Devices spread their starts over this many seconds; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread_secs: Option<u32>,
    /// Also installs a release whose counter is below the installed one, down to the floor that
    /// a device has confirmed; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_downgrade: bool,
    /// Installs also where everything is there already (S12); default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reinstall: bool,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What ends a deployment by itself (S10).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// Completes when this many devices have started; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<u32>,
    /// RFC 3339 time at which it completes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// When a deployment completes by itself, limits aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompleteWhen {
    /// Never: later joiners get it until an operator aborts it.
    #[default]
    Aborted,
    /// When every member is Successful.
    AllSuccessful,
}
