//! Release directories with real shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A release directory of one artifact that keeps `./content` and its predecessor, and
/// logs every script it runs in `./scripts.log`, both in its work folder.
pub struct Release {
    dir: PathBuf,
}

const PRE_INSTALL: &str = "echo pre-install >> scripts.log";
const INSTALL: &str = "echo install >> scripts.log
[ ! -e content ] || cp content content.old
cp \"$HOIST_PAYLOAD_DIR/content\" content";
const VERIFY: &str = "echo verify >> scripts.log
cmp content \"$HOIST_PAYLOAD_DIR/content\"";
const ROLLBACK: &str = "echo rollback >> scripts.log
if [ -e content.old ]; then mv content.old content; else rm -f content; fi";

impl Release {
    /// Writes a release `name@version` whose payload is `content`.
    pub fn write(parent: &Path, name: &str, version: &str, counter: u64, content: &str) -> Self {
        let dir = parent.join(format!("{name}-{version}"));
        fs::create_dir_all(dir.join("payload")).unwrap();
        fs::create_dir_all(dir.join("scripts")).unwrap();
        fs::write(dir.join("payload/content"), content).unwrap();
        let manifest = format!(
            "name = \"{name}\"\nversion = \"{version}\"\ntype = \"files\"\ncounter = {counter}\n\
             payload = [\"payload/content\"]\n"
        );
        fs::write(dir.join("artifact.toml"), manifest).unwrap();
        let release = Self { dir };
        for (kind, script) in [
            ("pre-install", PRE_INSTALL),
            ("install", INSTALL),
            ("verify", VERIFY),
            ("rollback", ROLLBACK),
        ] {
            release.script(kind, script);
        }
        release
    }

    /// Replaces one script.
    pub fn script(&self, kind: &str, body: &str) {
        let file = self.dir.join("scripts").join(kind);
        fs::write(&file, format!("#!/bin/sh\nset -eu\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Removes one script.
    pub fn remove_script(&self, kind: &str) {
        fs::remove_file(self.dir.join("scripts").join(kind)).unwrap();
    }

    /// Adds a line to artifact.toml.
    pub fn setting(&self, line: &str) {
        let file = self.dir.join("artifact.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}{line}\n")).unwrap();
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
