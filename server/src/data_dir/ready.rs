//! The ready file: there while a server runs here, with its addresses.

use std::fs;
use std::path::PathBuf;

use hoist_orchestrator_core::reply::API_VERSION;
use hoist_protocol::code::Code;
use serde::Serialize;

use super::DataDir;
use crate::failure::Failure;
use crate::private_file;

impl DataDir {
    pub(super) fn ready(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// Where the server that runs here listens for HTTP, once it is ready.
    pub fn running_http(&self) -> Option<String> {
        let text = fs::read(self.ready()).ok()?;
        let ready: serde_json::Value = serde_json::from_slice(&text).ok()?;
        ready["http"].as_str().map(str::to_owned)
    }

    /// Drops the announcement of a server that was killed, because it is not true any more.
    pub(super) fn forget_ready(&self) {
        drop(Announced { path: self.ready() });
    }

    /// Says that the server is ready, until the result is dropped.
    ///
    /// # Errors
    /// `E_DATA_DIR`.
    pub fn announce(&self, ready: &ReadyFile) -> Result<Announced, Failure> {
        let path = self.ready();
        let text = serde_json::to_vec(ready)
            .map_err(|error| Failure::because(Code::DataDir, path.display(), &error))?;
        private_file::write(&path, &text).map_err(|error| self.unusable(error))?;
        Ok(Announced { path })
    }
}

/// `run.json`
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyFile {
    api_version: &'static str,
    pid: u32,
    mqtt: String,
    http: String,
    started_at: String,
}

impl ReadyFile {
    /// That of this process, with its addresses.
    pub fn new(mqtt: &str, http: &str, started: std::time::SystemTime) -> Self {
        Self {
            api_version: API_VERSION,
            pid: std::process::id(),
            mqtt: mqtt.to_owned(),
            http: http.to_owned(),
            started_at: humantime::format_rfc3339_seconds(started).to_string(),
        }
    }
}

/// The ready file; removed when dropped.
#[derive(Debug)]
pub struct Announced {
    path: PathBuf,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
