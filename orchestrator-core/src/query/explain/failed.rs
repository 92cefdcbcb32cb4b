//! A failure in words.

use hoist_protocol::status::{Failure, ScriptExit};

/// The cause of a failure in words: the script and its end, or the device's own words.
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
