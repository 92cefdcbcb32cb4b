//! The release that the demo rolls out and the devices that get it: a real release directory with
//! real shell scripts, and devices that have its predecessor installed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

/// Name of the release and of its one artifact.
pub(crate) const NAME: &str = "sensor-fw";
/// `name@version` of what is rolled out.
pub(crate) const RELEASE: &str = "sensor-fw@1.1.0";
/// The file the scripts replace, in the work folder of the artifact.
pub(crate) const FIRMWARE: &str = "firmware";
/// A sensor with this file in its work folder never answers.
const BROKEN: &str = "sensor-broken";
/// Big enough to be cut while it is fetched, small enough for a thousand devices.
const FIRMWARE_BYTES: usize = 128 * 1024;

const ARTIFACT: &str = r#"name = "sensor-fw"
version = "1.1.0"
type = "files"
counter = 2
payload = ["payload/firmware"]
"#;

const SCRIPTS: [(&str, &str); 4] = [
    ("pre-install", r#"[ -s "$HOIST_PAYLOAD_DIR/firmware" ]"#),
    (
        "install",
        r#"cp firmware firmware.old
cp "$HOIST_PAYLOAD_DIR/firmware" firmware"#,
    ),
    (
        "verify",
        r#"cmp firmware "$HOIST_PAYLOAD_DIR/firmware"
if [ -e sensor-broken ]; then
    echo "the sensor does not answer with firmware $HOIST_NEW_VERSION"
    exit 1
fi"#,
    ),
    ("rollback", "mv firmware.old firmware"),
];

/// Writes the release directory.
pub(crate) fn write_release(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir.join("payload"))?;
    fs::create_dir_all(dir.join("scripts"))?;
    fs::write(dir.join("artifact.toml"), ARTIFACT)?;
    let mut firmware = format!("{RELEASE}\n").into_bytes();
    firmware.resize(FIRMWARE_BYTES, b'.');
    fs::write(dir.join("payload/firmware"), firmware)?;
    for (kind, body) in SCRIPTS {
        let path = dir.join("scripts").join(kind);
        fs::write(&path, format!("#!/bin/sh\nset -eu\n{body}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The content of a device's firmware before the rollout.
pub(crate) fn old_firmware(device: &str) -> String {
    format!("{NAME}@1.0.0 as {device} had it\n")
}

/// Puts the predecessor into a device's work folder; a broken sensor will fail `verify`.
pub(crate) fn preinstall(work: &Path, device: &str, sensor: Sensor) -> io::Result<()> {
    fs::create_dir_all(work)?;
    fs::write(work.join(FIRMWARE), old_firmware(device))?;
    match sensor {
        Sensor::Works => Ok(()),
        Sensor::Broken => fs::write(work.join(BROKEN), ""),
    }
}

/// The sensor of a device, which will answer after the update or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sensor {
    /// It will.
    Works,
    /// Never again.
    Broken,
}
