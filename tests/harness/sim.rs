//! A simulated fleet in front of a server, whose devices say at the end what they did.

use serde_json::Value;

use super::process::{HOIST, Process};
use super::server::Server;

/// `hoist sim`: one device in ten fails, and it ends when a deployment to it is settled.
pub struct Sim(Process);

impl Sim {
    /// Starts so many devices, in group `sim`.
    pub fn start(server: &Server, devices: u64) -> Self {
        let client = server.data().join("client.toml");
        let mut args = vec!["--client", client.to_str().unwrap(), "sim", "--devices"];
        let devices = devices.to_string();
        args.push(&devices);
        args.extend(["--fail", "10%", "--seed", "7"]);
        args.extend(["--json", "--keep", "--until-settled"]);
        let log = server.scratch().join("sim.log");
        Self(Process::start(HOIST, &args, &log))
    }

    /// The deeds of the devices, once it has ended.
    pub fn truth(mut self) -> Value {
        assert!(self.0.wait().success());
        let said = self.0.said();
        let truth = said.lines().find(|line| line.starts_with('{')).unwrap();
        serde_json::from_str(truth).unwrap()
    }
}
