//! Release directories with real shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The folder of one artifact, or of a release of one artifact, that keeps `./content` and its predecessor, and
/// logs every script it runs in `./scripts.log`, both in its work folder.
pub struct Release {
    dir: PathBuf,
    trace: Option<PathBuf>,
}

const PRE_INSTALL: &str = "echo pre-install >> scripts.log";
const INSTALL: &str = "echo install >> scripts.log
[ ! -e content ] || cp content content.old
cp \"$HOIST_PAYLOAD_DIR/content\" content";
const VERIFY: &str = "echo verify >> scripts.log
cmp content \"$HOIST_PAYLOAD_DIR/content\"";
const ROLLBACK: &str = "echo rollback >> scripts.log
if [ -e content.old ]; then mv content.old content; else rm -f content; fi";

const SCRIPTS: [(&str, &str); 4] = [
    ("pre-install", PRE_INSTALL),
    ("install", INSTALL),
    ("verify", VERIFY),
    ("rollback", ROLLBACK),
];

impl Release {
    /// Writes a release `name@version` of one artifact whose payload is `content`.
    pub fn write(parent: &Path, name: &str, version: &str, counter: u64, content: &str) -> Self {
        let dir = parent.join(format!("{name}-{version}"));
        let release = Self::artifact(dir, name, version, content.as_bytes());
        release.setting(&format!("counter = {counter}"));
        release
    }

    /// Writes a release `name@version` of several artifacts, given by name and content;
    /// returns its folder and its artifacts.
    pub fn write_many(
        parent: &Path,
        (name, version, counter): (&str, &str, u64),
        artifacts: &[(&str, &[u8])],
    ) -> (PathBuf, Vec<Self>) {
        let dir = parent.join(format!("{name}-{version}"));
        let folder = |(artifact, content): &(&str, &[u8])| {
            Self::artifact(dir.join(artifact), artifact, version, content)
        };
        let written = artifacts.iter().map(folder).collect();
        let names: Vec<&str> = artifacts.iter().map(|(artifact, _)| *artifact).collect();
        let manifest = format!(
            "name = \"{name}\"\nversion = \"{version}\"\ncounter = {counter}\nartifacts = {names:?}\n"
        );
        fs::write(dir.join("release.toml"), manifest).unwrap();
        (dir, written)
    }

    fn artifact(dir: PathBuf, name: &str, version: &str, content: &[u8]) -> Self {
        fs::create_dir_all(dir.join("payload")).unwrap();
        fs::create_dir_all(dir.join("scripts")).unwrap();
        fs::write(dir.join("payload/content"), content).unwrap();
        let manifest = format!(
            "name = \"{name}\"\nversion = \"{version}\"\ntype = \"files\"\n\
             payload = [\"payload/content\"]\n"
        );
        fs::write(dir.join("artifact.toml"), manifest).unwrap();
        let release = Self { dir, trace: None };
        for (kind, script) in SCRIPTS {
            release.script(kind, script);
        }
        release
    }

    /// Makes every script, also those written later, begin by saying in `trace` who runs:
    /// [`runs`] reads it.
    pub fn traced(mut self, trace: &Path) -> Self {
        self.trace = Some(trace.to_owned());
        for (kind, script) in SCRIPTS {
            self.script(kind, script);
        }
        self
    }

    /// Replaces one script.
    pub fn script(&self, kind: &str, body: &str) {
        let say = self.trace.as_ref().map(|trace| {
            format!(
                "echo \"$HOIST_DEVICE $HOIST_DEPLOYMENT $HOIST_ATTEMPT $HOIST_ARTIFACT {kind} \
                 $HOIST_BOOT_REASON\" >> {}\n",
                trace.display()
            )
        });
        let say = say.unwrap_or_default();
        self.program(kind, &format!("#!/bin/sh\nset -eu\n{say}{body}\n"));
    }

    /// Replaces one script by a whole program text.
    pub fn program(&self, kind: &str, text: &str) {
        let file = self.dir.join("scripts").join(kind);
        fs::write(&file, text).unwrap();
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

/// One run of a traced script, as it said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// On which device.
    pub device: String,
    /// For which deployment.
    pub deployment: u64,
    /// In which attempt.
    pub attempt: u32,
    /// Of which artifact.
    pub artifact: String,
    /// Which script.
    pub kind: String,
    /// The word on the last boot that it got.
    pub boot: String,
}

impl Run {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap();
        Self {
            device: word(),
            deployment: word().parse().unwrap(),
            attempt: word().parse().unwrap(),
            artifact: word(),
            kind: word(),
            boot: word(),
        }
    }

    /// `artifact kind`, to compare sequences.
    pub fn what(&self) -> String {
        format!("{} {}", self.artifact, self.kind)
    }
}

/// Every run that a trace holds, oldest first.
pub fn runs(trace: &Path) -> Vec<Run> {
    let text = fs::read_to_string(trace).unwrap_or_default();
    text.lines().map(Run::parse).collect()
}

/// The scripts that a deployment ran on a device, as `artifact kind`, oldest first.
pub fn ran(trace: &Path, device: &str, deployment: u64) -> Vec<String> {
    let runs = runs(trace).into_iter();
    runs.filter(|run| run.device == device && run.deployment == deployment)
        .map(|run| run.what())
        .collect()
}
