//! Why something is refused: one closed list of stable codes, each with a title, and a
//! [`Rejection`] that says what failed, why and what to do. Codes are append-only; they
//! are in replies, metrics and `hoist explain`.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($name:ident = $text:literal, $title:literal, $hint:literal;)*) => {
        /// A stable rejection code. Stored in replies: append only.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $(
                #[doc = concat!("`", $text, "`: ", $title, ".")]
                $name,
            )*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code people and scripts see.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// A few words saying what happened.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do when nothing more particular is known.
            #[must_use]
            pub fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)* }
            }
        }
    };
}

codes! {
    Command = "E_CMD", "the command is malformed", "compare the named field with the command table";
    Verb = "E_VERB", "there is no such command", "see `hoist --help` for the commands";
    Role = "E_ROLE", "not allowed for this user", "ask an admin for the role or the group";
    RequestReused = "E_REQUEST_REUSED", "the request id was used for another command", "choose a new request id for every new command";
    Retained = "E_RETAINED", "a retained command is never executed", "publish commands without the retain flag";
    Name = "E_NAME", "the name is not allowed", "use 1 to 64 of A-Z a-z 0-9 _ -";
    Time = "E_TIME", "the time is not usable", "write times as 2026-01-31T06:00:00Z";
    NotYet = "E_NOT_YET", "not supported by this version", "leave the named field out";
    Release = "E_RELEASE", "release not found", "list the releases with `hoist release list`";
    ReleaseExists = "E_RELEASE_EXISTS", "name and version are taken by other content", "raise the version of the release";
    ReleaseInvalid = "E_RELEASE_INVALID", "the release is not usable", "pack it again with `hoist release create`";
    Artifact = "E_ARTIFACT", "an artifact of the release is missing", "upload every artifact before adding the release";
    Group = "E_GROUP", "group not found", "list the groups with `hoist group list`, or create it";
    GroupInUse = "E_GROUP_IN_USE", "the group is in use", "move its devices and end its deployments first";
    Device = "E_DEVICE", "device not found", "list the devices with `hoist device list`";
    DeviceExists = "E_DEVICE_EXISTS", "the device exists with other properties", "choose another id, or change the existing device";
    Deployment = "E_DEPLOYMENT", "deployment not found", "list the deployments with `hoist deployment list`";
    Ended = "E_ENDED", "the deployment has ended", "create a new deployment";
    Conflict = "E_CONFLICT", "overlaps with an active deployment", "wait for it, abort it, or release a superset of its artifacts";
    HeadFull = "E_HEAD_FULL", "the group has 8 active deployments", "abort one or wait until one completes";
    Unknown = "E_UNKNOWN", "the device is not registered", "register it with `hoist device add`";
    Revoked = "E_REVOKED", "the device is revoked", "approve the device again, or take it out of service";
    Pending = "E_PENDING", "the device waits for approval", "approve it with `hoist device approve`";
    Reenrol = "E_REENROL", "the device presents another key than the pinned one", "approve it with `hoist device approve` if its storage was replaced";
    Signature = "E_SIG", "signature missing or wrong", "nothing, unless it repeats: then look at the device";
    Regress = "E_REGRESS", "a final outcome never changes inside a round", "nothing; the recorded outcome stands";
    Clone = "E_CLONE", "two devices use the same id", "take one of them out of service and re-enrol it";
    Decode = "E_DECODE", "the payload is malformed", "look at the sender";
    Version = "E_VERSION", "the payload is of a newer version", "update the server";
    Topic = "E_TOPIC", "the topic is not in the topic table", "see the topic table in docs/wire.md";
    Size = "E_SIZE", "larger than allowed", "send less";
    Cursor = "E_CURSOR", "the cursor is not one of this list", "start the list again without `after`";
    User = "E_USER", "user not found", "list the users with `hoist user list`";
    UserExists = "E_USER_EXISTS", "the user exists", "choose another name, or remove the user first";
    Internal = "E_INTERNAL", "the server could not do it", "look at the server's log";
    NotFailed = "E_NOT_FAILED", "the device has nothing to try again", "list those that have with `hoist device list --status failed --deployment N`";
    Round = "E_ROUND", "the round was never opened for this device", "nothing, unless it repeats: then look at the device; only `hoist deployment retry` opens rounds";
    Seq = "E_SEQ", "the device counts its reports from a lower number again", "nothing, unless it repeats: then its storage was lost, or two devices use one id";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal, as a value: what, why, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Rejection {
    /// Which rule refused.
    pub code: Code,
    /// One sentence with the particulars.
    pub detail: String,
    /// What to do, when more is known than [`Code::hint`].
    pub hint: Option<String>,
    /// The field of the command at fault.
    pub field: Option<String>,
    /// The name that was not found: the adapter looks for one like it ("did you mean").
    pub wanted: Option<String>,
}

impl Rejection {
    /// A refusal with its particulars.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: None,
            field: None,
            wanted: None,
        }
    }

    /// Says which name was not found.
    #[must_use]
    pub fn wanted(mut self, name: impl Into<String>) -> Self {
        self.wanted = Some(name.into());
        self
    }

    /// Names the field of the command at fault.
    #[must_use]
    pub fn field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// Says what to do in this very case.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_each_says_what_to_do() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert!(code.as_str().starts_with("E_"));
            assert!(!code.title().is_empty() && !code.hint().is_empty());
            assert!(
                Code::ALL[..index]
                    .iter()
                    .all(|c| c.as_str() != code.as_str())
            );
        }
    }
}
