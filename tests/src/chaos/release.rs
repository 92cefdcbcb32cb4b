//! The releases that are deployed: their scripts write down what they do, and one of the real
//! agents fails each now and then.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Failed;

/// The deeds of a device's scripts, a line each, in the work folder of `app`: deployment, attempt,
/// and one of the words below.
pub(super) const LOG: &str = "done.log";
pub(super) const INSTALL: &str = "install";
pub(super) const VERIFIED: &str = "verified";
const REFUSED: &str = "refused";
const ROLLBACK: &str = "rollback";

/// Writes `app@NUMBER.0.0`, which this device cannot install.
pub(super) fn write(dir: &Path, number: u32, doomed: &str) -> Result<(), Failed> {
    std::fs::create_dir_all(dir.join("scripts"))?;
    std::fs::create_dir_all(dir.join("payload"))?;
    std::fs::write(dir.join("payload/content"), format!("content {number}"))?;
    let manifest = format!(
        "name = \"app\"\nversion = \"{number}.0.0\"\ntype = \"files\"\n\
         payload = [\"payload/content\"]\ncounter = {number}\n"
    );
    std::fs::write(dir.join("artifact.toml"), manifest)?;
    let say = |word: &str| format!("echo \"$HOIST_DEPLOYMENT $HOIST_ATTEMPT {word}\" >> {LOG}\n");
    let verify = format!(
        "if [ \"$HOIST_DEVICE\" = '{doomed}' ]; then\n{}exit 1\nfi\n{}",
        say(REFUSED),
        say(VERIFIED)
    );
    let scripts = [
        ("install", say(INSTALL)),
        ("verify", verify),
        ("rollback", say(ROLLBACK)),
    ];
    for (script, body) in scripts {
        let path = dir.join("scripts").join(script);
        // It takes a moment, in which its agent may be killed.
        std::fs::write(&path, format!("#!/bin/sh\nsleep 0.1\n{body}sleep 0.1\n"))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    Ok(())
}
