//! The command by which an operator restarts the broker.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use hoist_protocol::code::Code;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep};

use crate::failure::Failure;

/// The time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a command of the shell to its end, which is not later than `until`. The command has nothing
/// of ours: a broker that it starts would keep our output open, or write into it.
///
/// # Errors
/// `E_SYSTEM` with the reason.
pub(super) async fn run(command: &str, until: Instant) -> Result<(), Failure> {
    let failed = |why: String| {
        let what = format!("the command {command:?} of --restart {why}");
        Err(Failure::new(Code::System, what).help("try it by hand"))
    };
    let shell = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut shell = match shell {
        Ok(shell) => shell,
        Err(error) => return failed(format!("cannot be started: {error}")),
    };
    match ended(&mut shell, until).await {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => failed(format!("failed: {status}")),
        Ok(None) => {
            let group = i32::try_from(shell.id()).ok().and_then(Pid::from_raw);
            // It may have ended just now.
            let _gone = group.map(|group| kill_process_group(group, Signal::KILL));
            failed("did not end in time".to_owned())
        }
        Err(error) => failed(format!("cannot be waited for: {error}")),
    }
}

/// Its status, unless it takes longer.
async fn ended(shell: &mut Child, until: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        let status = shell.try_wait()?;
        if status.is_some() || Instant::now() >= until {
            return Ok(status);
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said_of(command: &str) -> String {
        let until = Instant::now() + Duration::from_secs(1);
        let ran = run(command, until).await;
        ran.map_or_else(|failure| failure.what, |()| "well".to_owned())
    }

    #[tokio::test]
    async fn a_command_is_waited_for_and_not_for_ever() {
        assert_eq!(said_of("true").await, "well");
        let failed = said_of("exit 3").await;
        assert!(failed.contains("failed: exit status: 3"), "{failed}");
        let endless = said_of("sleep 1000 | sleep 1000").await;
        assert!(endless.contains("did not end in time"), "{endless}");
        // What goes on behind it has nothing that somebody waits for.
        assert_eq!(said_of("sleep 2 &").await, "well");
    }
}
