//! The command table: verbs, the role each needs, and the JSON of each command. The same
//! types are read by the server and written by the CLI. Nothing is executed here.

use std::str::FromStr;

use hoist_protocol::access::Role;
use serde::{Deserialize, Deserializer, Serialize};

mod deploy;
mod import;
mod object;
mod read;
mod release;

pub use deploy::{CompleteWhen, Deploy, Limit};
pub use import::{DeviceImport, IMPORT_DEVICES_MAX, ImportDevice, PUBLIC_KEY_IS, parse_public_key};
pub use read::{
    DeploymentList, DeploymentRef, DeviceList, DeviceRef, DeviceWhy, Page, ReleaseList, ReleaseRef,
};
pub use release::{ReleaseAdd, ReleaseRemove};

/// Largest command or reply, in bytes of JSON: fits the front door's packet limit.
pub const JSON_BYTES_MAX: usize = 16 * 1024;

macro_rules! verbs {
    ($($name:ident = $word:literal, $role:ident, $effect:ident, $body:ty;)*) => {
        /// The last level of a command topic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Verb {
            $(
                #[doc = concat!("`", $word, "`")]
                $name,
            )*
        }

        impl Verb {
            /// Every verb of this version.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its word in the topic.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The least role that may use it.
            #[must_use]
            pub fn role(self) -> Role {
                match self { $(Self::$name => Role::$role,)* }
            }

            /// The name of its body's type, for documents.
            #[must_use]
            pub fn body(self) -> &'static str {
                match self { $(Self::$name => stringify!($body),)* }
            }

            /// Whether it changes anything: then it is executed once per request id.
            #[must_use]
            pub fn effect(self) -> VerbEffect {
                match self { $(Self::$name => VerbEffect::$effect,)* }
            }
        }

        /// A command as parsed from its verb and JSON.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Command {
            $(
                #[doc = concat!("`", $word, "`")]
                $name($body),
            )*
        }

        impl Command {
            /// Its verb.
            #[must_use]
            pub fn verb(&self) -> Verb {
                match self { $(Self::$name(_) => Verb::$name,)* }
            }

            /// Reads the body of a command of this verb, which is an object.
            ///
            /// # Errors
            /// The deserializer's: unknown, missing or mistyped fields.
            pub fn deserialize<'de, D: Deserializer<'de>>(
                verb: Verb,
                body: D,
            ) -> Result<Self, D::Error> {
                Ok(match verb {
                    $(Verb::$name => {
                        Self::$name(object::Object::<$body>::deserialize(body)?.0)
                    })*
                })
            }
        }
    };
}

verbs! {
    DeploymentList = "deployment-list", Viewer, Reads, DeploymentList;
    DeploymentShow = "deployment-show", Viewer, Reads, DeploymentRef;
    DeviceList = "device-list", Viewer, Reads, DeviceList;
    DeviceShow = "device-show", Viewer, Reads, DeviceRef;
    DeviceWhy = "device-why", Viewer, Reads, DeviceWhy;
    GroupList = "group-list", Viewer, Reads, Page;
    ReleaseList = "release-list", Viewer, Reads, ReleaseList;
    ReleaseShow = "release-show", Viewer, Reads, ReleaseRef;
    Plan = "plan", Viewer, Reads, Deploy;
    ReleaseAdd = "release-add", Deployer, Changes, ReleaseAdd;
    Deploy = "deploy", Deployer, Changes, Deploy;
    Abort = "abort", Deployer, Changes, Abort;
    Retry = "retry", Deployer, Changes, Retry;
    DeviceAdd = "device-add", Admin, Changes, DeviceAdd;
    DeviceImport = "device-import", Admin, Changes, DeviceImport;
    DeviceMove = "device-move", Admin, Changes, DeviceMove;
    DeviceHold = "device-hold", Admin, Changes, DeviceHold;
    DeviceRemove = "device-remove", Admin, Changes, DeviceRemove;
    DeviceApprove = "device-approve", Admin, Changes, DeviceApprove;
    GroupCreate = "group-create", Admin, Changes, GroupRef;
    GroupRemove = "group-remove", Admin, Changes, GroupRef;
    ReleaseRemove = "release-remove", Admin, Changes, ReleaseRemove;
    UserAdd = "user-add", Admin, Changes, UserAdd;
    UserList = "user-list", Admin, Reads, Page;
    UserRemove = "user-remove", Admin, Changes, UserRef;
}

impl Command {
    /// Whether it is only to say what would happen.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        match self {
            Self::Deploy(deploy) => deploy.dry_run,
            Self::Abort(abort) => abort.dry_run,
            Self::Retry(retry) => retry.dry_run,
            Self::DeviceMove(to) => to.dry_run,
            Self::DeviceHold(hold) => hold.dry_run,
            Self::DeviceRemove(remove) => remove.dry_run,
            Self::DeviceApprove(approve) => approve.dry_run,
            Self::DeviceAdd(add) => add.dry_run,
            Self::DeviceImport(import) => import.dry_run,
            Self::ReleaseAdd(add) => add.dry_run,
            Self::ReleaseRemove(remove) => remove.dry_run,
            Self::GroupCreate(group) | Self::GroupRemove(group) => group.dry_run,
            Self::UserAdd(add) => add.dry_run,
            Self::UserRemove(remove) => remove.dry_run,
            Self::DeploymentList(_)
            | Self::DeploymentShow(_)
            | Self::DeviceList(_)
            | Self::DeviceShow(_)
            | Self::DeviceWhy(_)
            | Self::GroupList(_)
            | Self::ReleaseList(_)
            | Self::ReleaseShow(_)
            | Self::Plan(_)
            | Self::UserList(_) => false,
        }
    }
}

impl Command {
    /// The release that it names, as it was typed.
    #[must_use]
    pub fn release_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Deploy(deploy) | Self::Plan(deploy) => Some(&mut deploy.release),
            Self::ReleaseShow(show) => Some(&mut show.release),
            Self::ReleaseRemove(remove) => Some(&mut remove.release),
            _ => None,
        }
    }
}

/// Whether a verb changes state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerbEffect {
    /// Runs again on every repeat.
    Reads,
    /// Executed once per user and request id, then answered the same.
    Changes,
}

impl FromStr for Verb {
    type Err = crate::model::error::Rejection;

    /// A verb is also understood as the command line calls it.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let word = match word {
            "deployment-abort" => "abort",
            "deployment-retry" => "retry",
            "release-create" => "release-add",
            word => word,
        };
        let found = Self::ALL.iter().find(|verb| verb.word() == word);
        found.copied().ok_or_else(|| {
            crate::model::error::Rejection::new(
                crate::model::error::Code::Verb,
                format!("no command is called {word}"),
            )
        })
    }
}

/// `abort`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Abort {
    /// Which deployment.
    pub deployment: u32,
    /// Why, for the record; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `retry`: devices that failed begin again (S13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Which deployment.
    pub deployment: u32,
    /// Only these, at most 256; every failed device when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `device-add`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceAdd {
    /// The device's id.
    pub device: String,
    /// Its type, which a release may require.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// Its group; `unassigned` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Facts for selecting devices: at most 16, without control characters.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub labels: std::collections::BTreeMap<String, String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `device-move`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceMove {
    /// The device's id.
    pub device: String,
    /// The group it is to obey.
    pub group: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `device-hold`: a held device finishes what it has started and starts nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceHold {
    /// The device's id.
    pub device: String,
    /// False lets it go again; default true.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub held: bool,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

fn yes() -> bool {
    true
}

/// `group-create`, `group-remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupRef {
    /// The group's id.
    pub group: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `device-remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceRemove {
    /// The device's id.
    pub device: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `device-approve`: the key that a device offers in the place of its pinned one is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceApprove {
    /// The device's id.
    pub device: String,
    /// The offered key's fingerprint, or its first 8 digits or more: refused when another key
    /// is on offer by now. Whatever is on offer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `user-add`; carried out by the adapter that keeps the users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserAdd {
    /// The user's name.
    pub user: String,
    /// What the user may do.
    pub role: Role,
    /// The only groups the user may change; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// SHA-256 of the token in hex; the token never travels.
    pub token_sha256: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `user-remove`; carried out by the adapter that keeps the users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserRef {
    /// The user's name.
    pub user: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}
