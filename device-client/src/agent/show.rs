//! The agent's word of itself to the people at the device.

use std::fmt::Write as _;
use std::sync::Arc;

use hoist_protocol::code::Code;
use hoist_protocol::status::{Failure, FinalResult, Rollback, ScriptExit, Success};

use super::config::HostConfig;
use super::files::{Files, SystemFiles};
use super::inventory::{Condition, Inventory};
use super::journal::{Found, TwoSlots};
use super::storage::{StorageError, is_turned_out};
use crate::machine::{Job, Stage};
use crate::record::{RECORD_BYTES_MAX, RING_BYTES_MAX, Record, Ring};

/// The text of `status`: what is installed, what runs, and how the last deployments ended. Reads
/// only.
///
/// # Errors
/// [`StorageError`].
pub(super) fn status(host: &HostConfig) -> Result<String, StorageError> {
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let dir = &host.state_dir;
    let inventory = Inventory::load(files.as_ref(), dir)?;
    let (_, record) = TwoSlots::<Record>::open(files.clone(), dir, "journal", RECORD_BYTES_MAX)?;
    let turned_out = is_turned_out(files.as_ref(), dir);
    let (_, ring) = TwoSlots::<Ring>::open(files, dir, "outcomes", RING_BYTES_MAX)?;
    let mut text = format!("device {}\n", host.device);
    let mut line = |line: String| text.push_str(&(line + "\n"));
    if turned_out {
        line(format!(
            "removed or revoked ({}): it starts nothing until the server lets it in again",
            Code::Revoked
        ));
    }
    if dir.join("hold").exists() {
        line(format!("held by {}", dir.join("hold").display()));
    }
    for installed in &inventory.installed {
        let doubt = match installed.condition {
            Condition::Confirmed => "",
            Condition::InDoubt => " (in doubt: its rollback failed, or memory was lost)",
        };
        line(format!(
            "installed {} {} counter {}{doubt}",
            installed.name, installed.version, installed.counter
        ));
    }
    if inventory.floor > 0 {
        line(format!("floor {}", inventory.floor));
    }
    match &record {
        Found::Content(record) => record.job.iter().for_each(|job| line(running(job))),
        Found::Lost => line(lost("journal")),
        Found::Nothing => {}
    }
    match ring {
        Found::Content(ring) => {
            for outcome in &ring.outcomes {
                let result = result(&outcome.result);
                line(format!("deployment {} {result}", outcome.deployment));
            }
        }
        Found::Lost => line(lost("outcomes")),
        Found::Nothing => {}
    }
    Ok(text)
}

fn lost(what: &str) -> String {
    format!(
        "{what} damaged ({}): the agent asks the server",
        Code::State
    )
}

fn running(job: &Job) -> String {
    let what = match job.is_local() {
        true => "local release".to_owned(),
        false => format!("deployment {}", job.deployment),
    };
    let doing = match job.stage {
        Stage::Fetching => "fetching".to_owned(),
        Stage::Waiting => "waiting to try again".to_owned(),
        Stage::Script { kind, .. } => format!("running {}", kind.word()),
        Stage::Rebooting { .. } => "rebooting".to_owned(),
        Stage::RollingBack { .. } => "rolling back".to_owned(),
        Stage::Confirming { .. } => "waiting to come online".to_owned(),
        Stage::Committing | Stage::Failing { .. } => "ending".to_owned(),
    };
    format!("{what} in progress: {doing}, attempt {}", job.attempt.0)
}

/// A final result in one line.
pub(super) fn result(result: &FinalResult) -> String {
    match result {
        FinalResult::Successful(Success::Installed) => "successful".to_owned(),
        FinalResult::Successful(Success::Already) => "successful (already there)".to_owned(),
        FinalResult::Failed(failure) => format!(
            "failed {} (rollback {})",
            failure.reason.word(),
            failure.rollback.word()
        ),
    }
}

/// A failure of a release of so many artifacts in a sentence, with the end of the script's
/// output below it.
pub(super) fn failure(failure: &Failure, artifacts: usize) -> String {
    let mut text = String::new();
    let artifact = failure
        .artifact
        .filter(|_| artifacts > 1)
        .map(|index| format!("artifact {}: ", index + 1));
    text.push_str(&artifact.unwrap_or_default());
    match failure.script {
        Some(script) => {
            let end = match script.exit {
                ScriptExit::Code(code) => format!("ended with exit code {code}"),
                ScriptExit::Signal(signal) => format!("was killed by signal {signal}"),
                ScriptExit::Timeout => "ran longer than its timeout".to_owned(),
                ScriptExit::NotStarted => "could not be started".to_owned(),
                ScriptExit::Interrupted => "was interrupted".to_owned(),
            };
            // Writing into a string cannot fail.
            let _written = write!(text, "{} {end}", script.kind.word());
        }
        None => text.push_str(failure.reason.word()),
    }
    text.push_str(match failure.rollback {
        Rollback::NotNeeded => "; nothing was changed",
        Rollback::Succeeded => "; what was there before is back",
        Rollback::Failed => "; the way back failed, this device needs a person",
    });
    for line in String::from_utf8_lossy(&failure.output).lines() {
        let _written = write!(text, "\n  | {line}");
    }
    text
}
