//! The question before something is removed.

use std::io::IsTerminal;

use hoist_device_client::agent::said;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;

/// Asks whether something may be removed; says so when not.
///
/// # Errors
/// `E_CONFIRM` where there is nobody to ask.
pub(crate) fn may_remove(what: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        let why = format!("removing {what} needs a yes");
        return Err(Failure::new(Code::Confirm, why).help("repeat it with --yes"));
    }
    let yes = confirmed(&format!("remove {what} for good? [y/N] "));
    if !yes {
        said::say("nothing was changed");
    }
    Ok(yes)
}

/// Asks on the terminal; anything but a clear yes is a no.
pub(crate) fn confirmed(question: &str) -> bool {
    let mut answer = String::new();
    said::write(question.as_bytes());
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
