//! `hoist sim` behind the line.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::compare::{Lived, Word};
use super::line::Line;
use super::server::{Server, signal};
use super::{Failed, GROUP, HOIST, Plan};

pub(super) struct Fleet {
    process: Child,
    said: PathBuf,
}

impl Fleet {
    pub(super) fn start(
        dir: &Path,
        server: &Server,
        line: &Line,
        plan: Plan,
    ) -> Result<Self, Failed> {
        let (client, said) = (dir.join("fleet.toml"), dir.join("truth.json"));
        std::fs::write(&client, server.client_file(line)?)?;
        std::fs::set_permissions(&client, Permissions::from_mode(0o600))?;
        let process = Command::new("/proc/self/exe")
            .args([HOIST, "--client"])
            .arg(&client)
            .args(["sim", "--json", "--keep", "--fail", "10%", "--loss", "5%"])
            .args(["--flap", "20s", "--group", GROUP])
            .args(["--devices", &plan.devices.to_string()])
            .args(["--seed", &plan.seed.to_string()])
            .stdin(Stdio::null())
            .stdout(File::create(&said)?)
            .spawn()?;
        Ok(Self { process, said })
    }

    /// True if all of the fleet is registered.
    pub(super) fn is_there(&self, server: &Server, devices: u32) -> Result<bool, Failed> {
        let list = [
            "device", "list", "--group", GROUP, "--limit", "100000", "-o", "name",
        ];
        let count = server
            .asker()
            .ask(&list)
            .map_or(0, |names| names.lines().count());
        Ok(u32::try_from(count)? == devices)
    }

    /// Ends it, and says what its devices did in each deployment.
    pub(super) fn end(&mut self, truth: &mut BTreeMap<u32, Lived>) -> Result<(), Failed> {
        signal(&self.process, "INT")?;
        self.process.wait()?;
        let said: Value = serde_json::from_slice(&std::fs::read(&self.said)?)?;
        let deployments = said["deployments"].as_object();
        for (number, told) in deployments.ok_or("the fleet took part in nothing")? {
            let lived = truth.entry(number.parse()?).or_default();
            let outcomes = told["outcomes"]
                .as_array()
                .ok_or("the fleet names nobody")?;
            for item in outcomes {
                let device = item["device"].as_str().ok_or("a device has no name")?;
                lived.words.insert(device.to_owned(), Word::read(item));
            }
            let started = told["started"].as_u64().unwrap_or_default();
            lived.unended += started.saturating_sub(u64::try_from(outcomes.len())?);
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_waited = self.process.wait();
    }
}
