//! Why users stay as they are.

use hoist_protocol::access::Role;
use hoist_protocol::id::{GroupId, UserId};

use crate::private_file::PrivateFileError;

/// Why users stay as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersError {
    /// The name is taken, by somebody with another token.
    #[error(
        "user {name} exists as {}{}; a token is shown once and never again",
        role.word(), limited(groups)
    )]
    Exists {
        /// Which.
        name: UserId,
        /// The rights of the user.
        role: Role,
        /// The groups that it is limited to.
        groups: Vec<GroupId>,
    },
    /// Another user has the token.
    #[error("another user has this token: each needs one of its own")]
    Shared,
    /// The asking user has less than that user has or would have.
    #[error(
        "{by} has no rights over {name}: an administrator limited to groups ({}) adds, changes \
         and removes only users limited to them",
        joined(groups)
    )]
    Beyond {
        /// The user who asks.
        by: UserId,
        /// About whom.
        name: UserId,
        /// The groups that the one who asks is limited to.
        groups: Vec<GroupId>,
    },
    /// Nobody would be left who can add another one.
    #[error("{name} is the only administrator of all groups")]
    LastAdmin {
        /// Which.
        name: UserId,
    },
    /// Nobody has the name.
    #[error("there is no user {name}")]
    Unknown {
        /// Which.
        name: UserId,
    },
    /// The file is not what is in effect, and would be lost.
    #[error("users.toml on the server is not in effect and is not written over: {why}")]
    NotInEffect {
        /// The fault of the file.
        why: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

fn limited(groups: &[GroupId]) -> String {
    match groups {
        [] => String::new(),
        groups => format!(" of groups {}", joined(groups)),
    }
}

fn joined(groups: &[GroupId]) -> String {
    let names: Vec<&str> = groups.iter().map(GroupId::as_str).collect();
    names.join(", ")
}
