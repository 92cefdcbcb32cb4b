//! Reasons that keep this device from starting anything new: a person's `hold` file, or scripts
//! that could not be executed. What has started is finished.

use hoist_protocol::code::Code;
use hoist_protocol::device::Trouble;

use super::program::CANNOT_EXECUTE;
use super::runner::Agent;
use crate::machine::Starts;

impl Agent {
    /// Looks at both, and lets the machine know.
    pub(super) fn look_at_vetoes(&mut self) {
        self.look_whether_scripts_start();
        let held = self.dir.held_by().is_some();
        let starts = match !held && self.executes {
            true => Starts::Allowed,
            false => Starts::Vetoed,
        };
        self.session.set_starts(starts);
        if std::mem::replace(&mut self.held, held) == held {
            self.act();
        } else {
            self.changed();
        }
    }

    /// A release whose scripts cannot start could not be rolled back either: none is begun.
    fn look_whether_scripts_start(&mut self) {
        let executes = (self.can_execute)(self.dir.path());
        if executes == self.executes {
            return;
        }
        self.executes = executes;
        if executes {
            tracing::info!("scripts can be executed again");
        } else {
            let dir = self.dir.path().display();
            tracing::error!(code = Code::Script.as_str(), %dir, "nothing new starts: {CANNOT_EXECUTE}");
        }
        self.changed();
    }

    /// The trouble that the server is told: this one, or one that is worse: nothing is obeyed at
    /// all.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let said = self.distrust.filter(|distrust| distrust.is_said);
        let distrust = said.map(|distrust| distrust.trouble);
        let veto = match self.executes {
            false => Some(Trouble::CannotExecute),
            true => self.held.then_some(Trouble::Held),
        };
        distrust.or(veto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::config::{BOOT_ID_FILE, HostConfig};

    #[test]
    fn scripts_that_could_not_be_executed_veto_starts_and_the_server_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let host = HostConfig {
            device: "dev-01".parse().unwrap(),
            device_type: String::new(),
            state_dir: dir.path().join("state"),
            attributes: Vec::new(),
            environment: Vec::new(),
            reboot_command: Vec::new(),
            boot_id_file: BOOT_ID_FILE.into(),
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let _inside = runtime.enter();
        let mut agent = Agent::open(host, None).unwrap();
        agent.look_at_vetoes();
        assert_eq!(
            (agent.trouble(), agent.session.machine().starts()),
            (None, Starts::Allowed)
        );
        agent.can_execute = |_| false;
        agent.look_at_vetoes();
        let told = (agent.trouble(), agent.session.machine().starts());
        assert_eq!(told, (Some(Trouble::CannotExecute), Starts::Vetoed));
        agent.can_execute = |_| true;
        agent.look_at_vetoes();
        assert_eq!(
            (agent.trouble(), agent.session.machine().starts()),
            (None, Starts::Allowed)
        );
        // So does a person's file, and the server is told of that as well.
        let hold = dir.path().join("state/hold");
        std::fs::write(&hold, "").unwrap();
        agent.look_at_vetoes();
        let told = (agent.trouble(), agent.session.machine().starts());
        assert_eq!(told, (Some(Trouble::Held), Starts::Vetoed));
        std::fs::remove_file(&hold).unwrap();
        agent.look_at_vetoes();
        assert_eq!(
            (agent.trouble(), agent.session.machine().starts()),
            (None, Starts::Allowed)
        );
    }
}
