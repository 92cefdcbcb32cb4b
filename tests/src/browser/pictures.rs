//! Pictures of the pages for `docs/screenshots`: a server with a small fleet in the middle of a rollout, looked at
//! in a wide and a narrow window, in light and dark.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Browser;

/// The word by which the program is `hoist`.
pub const HOIST: &str = "hoist";
/// The word by which the program is `hoist-agent`.
pub const AGENT: &str = "hoist-agent";

/// Longest wait for the fleet to be as it is shown.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pages, and the names of their pictures.
const PAGES: [(&str, &str); 5] = [
    ("fleet", "/fleet"),
    ("deployment", "/deployments/1"),
    ("device", "/devices/press-07"),
    (
        "new",
        "/new?release=hello@1.0.0&group=pumps&phases=5%25,50%25",
    ),
    ("audit", "/audit"),
];
/// Windows, and the colors that are preferred there.
const LOOKS: [(&str, (u32, u32), &str); 4] = [
    ("1280-light", (1280, 800), "light"),
    ("1280-dark", (1280, 800), "dark"),
    ("390-light", (390, 844), "light"),
    ("390-dark", (390, 844), "dark"),
];

type Failed = Box<dyn Error>;

/// Takes all pictures into a folder.
///
/// # Errors
/// What could not be started or written.
pub fn take(into: &Path) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let mut stage = Stage::open(dir.path())?;
    stage.furnish()?;
    let browser = Browser::start(dir.path());
    browser.open(&format!("{}/login", stage.http));
    browser.write("#token", &stage.token);
    browser.click("form button.primary");
    browser.wait_text("h1", |text| text == "Fleet");
    fs::create_dir_all(into)?;
    for (look, size, scheme) in LOOKS {
        browser.look(size, scheme);
        for (name, path) in PAGES {
            browser.open(&format!("{}{path}", stage.http));
            browser.wait_text("h1", |text| !text.is_empty());
            fs::write(into.join(format!("{name}-{look}.webp")), browser.picture())?;
        }
    }
    Ok(())
}

/// A server with a fleet; everything ends with it.
struct Stage {
    data: PathBuf,
    dir: PathBuf,
    http: String,
    token: String,
    running: Vec<Child>,
}

impl Stage {
    fn open(dir: &Path) -> Result<Self, Failed> {
        let data = dir.join("data");
        let any = "127.0.0.1:0";
        let mut serve = own(HOIST);
        serve
            .args(["serve", "--mqtt", any, "--http", any, "--data-dir"])
            .arg(&data);
        let child = serve
            .stderr(fs::File::create(dir.join("server.log"))?)
            .spawn()?;
        let mut stage = Self {
            data,
            dir: dir.to_owned(),
            http: String::new(),
            token: String::new(),
            running: vec![child],
        };
        let run = stage.data.join("run.json");
        let ready = until("the server", || {
            serde_json::from_slice::<Value>(&fs::read(&run).ok()?).ok()
        })?;
        stage.http = ready["http"].as_str().unwrap_or_default().to_owned();
        let client = fs::read_to_string(stage.data.join("client.toml"))?;
        let line = client.lines().find(|line| line.starts_with("token"));
        let token = line
            .and_then(|line| line.split('"').nth(1))
            .ok_or("no token")?;
        token.clone_into(&mut stage.token);
        Ok(stage)
    }

    fn hoist(&self, words: &str) -> Result<Output, Failed> {
        let mut command = own(HOIST);
        command
            .arg("--data-dir")
            .arg(&self.data)
            .args(words.split(' '));
        let output = command.stdout(Stdio::piped()).output()?;
        match output.status.success() {
            true => Ok(output),
            false => {
                Err(format!("hoist {words}: {}", String::from_utf8_lossy(&output.stderr)).into())
            }
        }
    }

    /// Pumps in the middle of a rollout by phases, presses of which one failed, and a held device.
    fn furnish(&mut self) -> Result<(), Failed> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let hello = root.join("examples/hello");
        self.hoist(&format!("release create {}", hello.display()))?;
        let broken = self.dir.join("press-fw");
        copy(&hello, &broken)?;
        let manifest = fs::read_to_string(broken.join("artifact.toml"))?;
        fs::write(
            broken.join("artifact.toml"),
            manifest.replace("\"hello\"", "\"press-fw\""),
        )?;
        let verify = "#!/bin/sh\necho 'self-test: hydraulic sensor 3 answers 0 bar, expected 160 bar'\nexit 7\n";
        fs::write(broken.join("scripts/verify"), verify)?;
        self.hoist(&format!("release create {}", broken.display()))?;
        self.hoist("group create presses")?;
        self.hoist("device add valve-1 --label site=hamburg")?;
        self.hoist("device hold valve-1")?;
        self.fleet("pump", "pumps", "40")?;
        self.fleet("mixer", "mixers", "12")?;
        let added =
            self.hoist("device add press-07 --group presses --label site=hamburg --label line=3")?;
        let config = self.dir.join("press-07.toml");
        write_private(&config, &added.stdout)?;
        self.running.push(
            own(AGENT)
                .arg("--config")
                .arg(&config)
                .stderr(Stdio::null())
                .spawn()?,
        );
        self.online("pumps", 40)?;
        self.online("mixers", 12)?;
        self.hoist("deploy hello@1.0.0 --group pumps --phases 10%,60%,100% --approvals 1")?;
        self.counted("1", "waiting-approval")?;
        self.hoist("deployment approve 1")?;
        self.hoist("deploy hello@1.0.0 --group mixers")?;
        self.hoist("deploy press-fw@1.0.0 --group presses --attempts 1")?;
        self.counted("3", "\"failed\":1")?;
        self.counted("2", "\"settled\":true")?;
        Ok(())
    }

    /// Simulated devices of a group, of which some fail.
    fn fleet(&mut self, prefix: &str, group: &str, devices: &str) -> Result<(), Failed> {
        let mut sim = own(HOIST);
        sim.arg("--data-dir").arg(&self.data);
        sim.args([
            "sim",
            "--devices",
            devices,
            "--prefix",
            prefix,
            "--group",
            group,
        ]);
        sim.args(["--fail", "6%", "--loss", "5%", "--seed", "3", "--keep"]);
        self.running.push(sim.stderr(Stdio::null()).spawn()?);
        Ok(())
    }

    fn online(&self, group: &str, devices: u64) -> Result<(), Failed> {
        until(group, || {
            let said = self.hoist("group list -o json").ok()?;
            let list: Value = serde_json::from_slice(&said.stdout).ok()?;
            let items = list.as_array().or_else(|| list["items"].as_array());
            let mut items = items?.iter();
            let found = items.find(|item| item["group"] == group)?;
            (found["online"] == devices).then_some(())
        })
    }

    /// Waits until a deployment's JSON says something.
    fn counted(&self, number: &str, says: &str) -> Result<(), Failed> {
        until(says, || {
            let said = self
                .hoist(&format!("deployment show {number} -o json"))
                .ok()?;
            let shown = String::from_utf8(said.stdout).ok()?;
            let shown: String = shown.split_whitespace().collect();
            shown.contains(says).then_some(())
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn own(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn write_private(path: &Path, text: &[u8]) -> Result<(), Failed> {
    let mut options = fs::File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    Ok(file?.write_all(text)?)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failed> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().ok_or("no name")?);
        match path.is_dir() {
            true => copy(&path, &target)?,
            false => drop(fs::copy(&path, &target)?),
        }
    }
    Ok(())
}

fn until<T>(what: &str, condition: impl Fn() -> Option<T>) -> Result<T, Failed> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(value) = condition() {
            return Ok(value);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("waited in vain for {what}").into())
}
