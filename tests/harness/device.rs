//! A device under test: its `agent.toml`, its boot id, its reboot command, and the real
//! agent process, which can be killed and booted at will.

use std::fs;
use std::path::{Path, PathBuf};

use super::process::Process;
use super::server::Server;

/// A registered device whose agent is stopped at first.
pub struct Device {
    id: String,
    config: PathBuf,
    boots: u32,
    agent: Option<Process>,
}

impl Device {
    /// Registers a device; `more` are arguments of `device add`.
    pub fn add(server: &Server, id: &str, more: &[&str]) -> Self {
        let config = server.add_device(id, more);
        let device = Self {
            id: id.to_owned(),
            config,
            boots: 1,
            agent: None,
        };
        let asked = device.beside("reboots");
        device.setting(&format!(
            "reboot_command = [\"sh\", \"-c\", \"echo reboot >> {}\"]",
            asked.display()
        ));
        device.setting(&format!(
            "boot_id_file = \"{}\"",
            device.beside("boot").display()
        ));
        device.write_boot_id();
        device
    }

    /// Adds a line to agent.toml.
    pub fn setting(&self, line: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, format!("{text}{line}\n")).unwrap();
    }

    /// Replaces text in agent.toml.
    pub fn replace_setting(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "{from} is in {text}");
        fs::write(&self.config, text.replace(from, to)).unwrap();
    }

    /// All of agent.toml.
    pub fn settings(&self) -> String {
        fs::read_to_string(&self.config).unwrap()
    }

    /// Replaces all of agent.toml.
    pub fn write_settings(&self, text: &str) {
        fs::write(&self.config, text).unwrap();
    }

    /// The lines that its agents have said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.beside("log")).unwrap_or_default()
    }

    /// Its agent.toml.
    pub fn config(&self) -> &Path {
        &self.config
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.config.with_extension(what)
    }

    fn write_boot_id(&self) {
        fs::write(self.beside("boot"), format!("boot {}\n", self.boots)).unwrap();
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.beside("state")
    }

    /// A file in the work folder of one of its artifacts; empty when there is none.
    pub fn content(&self, artifact: &str) -> String {
        let file = self.work(artifact).join("content");
        fs::read_to_string(file).unwrap_or_default()
    }

    /// Where the scripts of an artifact run.
    pub fn work(&self, artifact: &str) -> PathBuf {
        self.state().join("work").join(artifact)
    }

    /// Starts the agent.
    pub fn start(&mut self, server: &Server) {
        self.agent = Some(server.agent(&self.config));
    }

    /// `kill -9` of the agent, if it runs.
    pub fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            assert_eq!(agent.ended(), None, "the agent never ends by itself");
            agent.kill();
        }
    }

    /// The power goes and comes: the agent starts again in the same boot.
    pub fn restart(&mut self, server: &Server) {
        self.kill();
        self.start(server);
    }

    /// The device reboots: the agent starts again in another boot.
    pub fn reboot(&mut self, server: &Server) {
        self.kill();
        self.boots += 1;
        self.write_boot_id();
        self.start(server);
    }

    /// The number of times that its reboot command ran.
    pub fn reboots_asked(&self) -> usize {
        let asked = fs::read_to_string(self.beside("reboots")).unwrap_or_default();
        asked.lines().count()
    }

    /// True if the agent is alive.
    pub fn is_alive(&mut self) -> bool {
        let agent = self.agent.as_mut();
        agent.is_some_and(|agent| agent.ended().is_none())
    }
}
