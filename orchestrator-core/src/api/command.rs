//! The one list of verbs. Each is described on the type of its body ([`Body`]); the same types
//! are read by the server and written by the CLI.

use std::str::FromStr;

use hoist_protocol::access::Role;
use hoist_protocol::id::UserId;
use serde::{Deserialize, Deserializer};

use crate::api::body::{Ask, Body, Names};
use crate::api::object::Object;
use crate::model::now::Now;
use crate::query::{Queried, Reader};
use crate::reply::{Answer, ResultBody};
use crate::rules::stop::Stop;

pub use crate::api::body::VerbEffect;
pub use crate::api::commands::abort::Abort;
pub use crate::api::commands::approve::Approve;
pub use crate::api::commands::deploy::plan::Plan;
pub use crate::api::commands::deploy::rollout;
pub use crate::api::commands::deploy::{Deploy, Limit};
pub use crate::api::commands::device_add::DeviceAdd;
pub use crate::api::commands::device_approve::DeviceApprove;
pub use crate::api::commands::device_hold::DeviceHold;
pub use crate::api::commands::device_import::{DeviceImport, IMPORT_DEVICES_MAX, ImportDevice};
pub use crate::api::commands::device_label::DeviceLabel;
pub use crate::api::commands::device_move::DeviceMove;
pub use crate::api::commands::device_remove::DeviceRemove;
pub use crate::api::commands::device_revoke::DeviceRevoke;
pub use crate::api::commands::device_token_rotate::DeviceTokenRotate;
pub use crate::api::commands::enroll_create::EnrollCreate;
pub use crate::api::commands::enroll_revoke::EnrollRevoke;
pub use crate::api::commands::freeze::{Freeze, Unfreeze};
pub use crate::api::commands::group_create::GroupCreate;
pub use crate::api::commands::group_remove::GroupRemove;
pub use crate::api::commands::pause::{Pause, Resume};
pub use crate::api::commands::policy_put::PolicyPut;
pub use crate::api::commands::release_add::ReleaseAdd;
pub use crate::api::commands::release_remove::ReleaseRemove;
pub use crate::api::commands::retry::Retry;
pub use crate::api::commands::user_add::UserAdd;
pub use crate::api::commands::user_remove::UserRemove;
pub use crate::api::public_key::{PUBLIC_KEY_IS, parse_public_key};
pub use crate::query::body::{
    AuditList, DeploymentHistory, DeploymentList, DeploymentShow, DeviceList, DeviceShow,
    DeviceWhy, EnrollList, EnrollWaiting, EventList, GroupList, PassList, PolicyList, PolicyShow,
    ReleaseList, ReleaseShow, UserList,
};

macro_rules! verbs {
    ($($name:ident)*) => {
        /// The last level of a command topic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Verb {
            $(
                #[doc = concat!("The verb of [`", stringify!($name), "`]")]
                $name,
            )*
        }

        impl Verb {
            /// Every verb of this version.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its word in the topic.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $name::WORD,)* }
            }

            /// The least role that may use it.
            #[must_use]
            pub fn role(self) -> Role {
                match self { $(Self::$name => $name::ROLE,)* }
            }

            /// The name of its body's type, for documents.
            #[must_use]
            pub fn body(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The effect of the verb on the state: a verb that changes it is executed once per
            /// request id.
            #[must_use]
            pub fn effect(self) -> VerbEffect {
                match self { $(Self::$name => $name::EFFECT,)* }
            }

            /// True if the adapter that keeps the users carries the verb out.
            #[must_use]
            pub fn is_managed(self) -> bool {
                match self { $(Self::$name => $name::IS_MANAGED,)* }
            }

            /// True if a user who is limited to groups may not use it.
            #[must_use]
            pub fn is_of_all_groups(self) -> bool {
                match self { $(Self::$name => $name::OF_ALL_GROUPS,)* }
            }
        }

        /// A command as parsed from its verb and JSON.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Command {
            $(
                #[doc = concat!("A [`", stringify!($name), "`]")]
                $name($name),
            )*
        }

        impl Command {
            /// Its verb.
            #[must_use]
            pub fn verb(&self) -> Verb {
                match self { $(Self::$name(_) => Verb::$name,)* }
            }

            /// True for a dry run, which only says what would happen.
            #[must_use]
            pub fn is_dry(&self) -> bool {
                match self { $(Self::$name(body) => body.is_dry(),)* }
            }

            /// The release that it names, as it was typed.
            #[must_use]
            pub fn release_mut(&mut self) -> Option<&mut String> {
                match self { $(Self::$name(body) => body.release_mut(),)* }
            }

            pub(crate) fn names(&self) -> Names<'_> {
                match self { $(Self::$name(body) => body.names(),)* }
            }

            pub(crate) fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
                match self { $(Self::$name(body) => body.execute(ask),)* }
            }

            /// Answers a command that reads, to the user who sent it. A list goes on where it
            /// was: ask again with the same reader and command.
            ///
            /// # Errors
            /// [`Need`](crate::query::Need): answer it and ask again.
            pub fn answer(
                &self,
                reader: &mut Reader,
                user: &UserId,
                now: Now,
            ) -> Queried<ResultBody> {
                match self { $(Self::$name(body) => body.answer(reader, user, now),)* }
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
                    $(Verb::$name => Self::$name(Object::<$name>::deserialize(body)?.0),)*
                })
            }
        }
    };
}

verbs! {
    DeploymentList
    DeploymentShow
    DeploymentHistory
    DeviceList
    DeviceShow
    DeviceWhy
    GroupList
    ReleaseList
    ReleaseShow
    Plan
    PolicyList
    PolicyShow
    ReleaseAdd
    Deploy
    Abort
    Pause
    Resume
    Approve
    Retry
    Freeze
    Unfreeze
    PolicyPut
    DeviceAdd
    DeviceImport
    DeviceLabel
    DeviceMove
    DeviceHold
    DeviceRemove
    DeviceRevoke
    DeviceTokenRotate
    DeviceApprove
    EnrollCreate
    EnrollList
    EnrollWaiting
    EnrollRevoke
    PassList
    GroupCreate
    GroupRemove
    ReleaseRemove
    UserAdd
    UserList
    UserRemove
    EventList
    AuditList
}

impl FromStr for Verb {
    type Err = crate::model::error::Rejection;

    /// A verb is also understood as the command line calls it.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let word = match word {
            "deployment-abort" => "abort",
            "deployment-retry" => "retry",
            "deployment-pause" => "pause",
            "deployment-resume" => "resume",
            "deployment-approve" => "approve",
            "release-create" => "release-add",
            "device-passes" => "pass-list",
            "events" => "event-list",
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
