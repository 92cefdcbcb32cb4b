//! A failure in words, and what helps against it: a hint never offers what cannot.

use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Failure, ScriptExit};

/// What failed, in words: the script and how it ended, or what the device says of it.
pub(super) fn cause(failure: &Failure) -> String {
    let reason = failure.reason.word();
    if let Some(script) = failure.script {
        let end = match script.exit {
            ScriptExit::Code(code) => format!("ended with {code}"),
            ScriptExit::Signal(signal) => format!("was killed by signal {signal}"),
            ScriptExit::Timeout => "ran into its timeout".to_owned(),
            ScriptExit::NotStarted => "could not be started".to_owned(),
            ScriptExit::Interrupted => "was interrupted".to_owned(),
        };
        return format!("{reason}, {} {end}", script.kind.word());
    }
    let said = String::from_utf8_lossy(&failure.output);
    match said.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => format!("{reason} ({line})"),
        _ => reason.to_owned(),
    }
}

/// What helps a device that failed for a reason.
pub(super) enum Cure {
    /// Trying again can.
    Retry,
    /// Trying again can, once somebody did something.
    First(&'static str),
    /// Only another deployment can.
    Another(&'static str),
}

pub(super) fn cure(reason: Reason) -> Cure {
    match reason {
        Reason::Downgrade => Cure::Another(
            "deploy a release with a higher counter, or this one with `--allow-downgrade`",
        ),
        Reason::Incompatible => Cure::Another("deploy a release that is made for it"),
        Reason::BadSignature | Reason::BadArchive | Reason::BadRelease => {
            Cure::Another("pack and sign the release again, under a new version, and deploy that")
        }
        Reason::Unsupported => Cure::First("update the device's agent"),
        Reason::MissingDependency => Cure::First("install what it depends on"),
        Reason::NoSpace => Cure::First("free space on the device"),
        Reason::RollbackFailed => Cure::First("look after the device, which a person must"),
        Reason::ScriptFailed
        | Reason::ScriptTimeout
        | Reason::TimedOut
        | Reason::Unreachable
        | Reason::HashMismatch
        | Reason::LengthMismatch
        | Reason::StorageFailed
        | Reason::DownloadFailed
        | Reason::RebootFailed
        | Reason::Interrupted
        | Reason::Superseded
        | Reason::StateLost => Cure::Retry,
    }
}
