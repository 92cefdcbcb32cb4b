//! The signals that ask a program to end: SIGTERM, SIGINT, and SIGHUP, which comes when
//! the terminal is closed.

use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from its making on, so that no signal between two waits is missed.
pub(crate) struct Ends {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Ends {
    /// Starts listening. A hang-up that is ignored already, as `nohup` asks, stays ignored.
    ///
    /// # Errors
    /// `E_SYSTEM`.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::because(Code::System, "cannot listen to signals", &error))
        };
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hang_up = match ignores_hang_up(&status) {
            true => None,
            false => Some(listen(SignalKind::hangup())?),
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up,
        })
    }

    /// Waits for one of them. Cancel-safe.
    pub(crate) async fn requested(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// True if the kernel's account of this process says that SIGHUP, signal 1, is ignored.
fn ignores_hang_up(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_that_nohup_ignores_stays_ignored() {
        assert!(ignores_hang_up("Name:\thoist\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hang_up(
            "Name:\thoist\nSigIgn:\t0000000000001000\n"
        ));
        assert!(!ignores_hang_up(""));
    }
}
