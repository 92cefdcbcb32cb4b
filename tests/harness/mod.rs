//! Real programs under test: servers, agents, operators and MQTT clients, each with its
//! own folder and free ports. Waits are bounded and on conditions.

pub mod between;
pub mod device;
pub mod disk;
pub mod meddler;
pub mod mosquitto;
pub mod mqtt;
pub mod operator;
pub mod page;
pub mod process;
pub mod release;
pub mod rendered;
pub mod server;
pub mod sim;
pub mod slow;
pub mod sources;
pub mod tap;
pub mod wire;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Writes a file for its owner only, as whoever has a token in it must.
pub fn write_private(path: &Path, text: impl AsRef<[u8]>) {
    let _old = fs::remove_file(path);
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.unwrap().write_all(text.as_ref()).unwrap();
}

/// Longest wait for anything a healthy program does: generous, because two cores may be
/// shared by everything that runs at the same time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives a value, looking again every few milliseconds.
///
/// # Panics
/// When nothing came within [`PATIENCE`]; `what` says what was waited for.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    // Nobody ever sends: receiving with a timeout is the pause between two looks.
    let (_quiet, pause) = mpsc::channel::<()>();
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain for {what}"
        );
        let _ = pause.recv_timeout(Duration::from_millis(20));
    }
}
