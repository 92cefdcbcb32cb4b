//! A real `hoist serve`, killed at moments of all kinds while a simulated fleet works behind
//! lines that break; at the end the server's records must be the devices' own, exactly.

mod compare;
mod line;
mod server;

use std::error::Error;
use std::fs::{File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use self::compare::Found;
use self::line::Line;
use self::server::Server;

/// The first word that makes the program be `hoist`.
pub const HOIST: &str = "hoist";
const GROUP: &str = "sim";
/// Kills between two deployments.
const KILLS_EACH: u32 = 12;
/// One deployment in so many is aborted soon after.
const ABORTED: u32 = 4;
/// Whatever has not come to its end by then never will.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) type Failed = Box<dyn Error>;

/// How much goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How often the server is killed.
    pub kills: u32,
    /// Devices of the fleet.
    pub devices: u32,
    /// Decides what happens when.
    pub seed: u64,
}

/// Lets all of it happen.
///
/// # Errors
/// What could not be started, or never came to its end.
pub fn run(plan: Plan) -> Result<Found, Failed> {
    let began = Instant::now();
    let dir = tempfile::tempdir()?;
    let mut dice = fastrand::Rng::with_seed(plan.seed);
    let mut server = Server::start(dir.path())?;
    let line = Line::open(server.mqtt(), plan.seed)?;
    let fleet = Fleet::start(dir.path(), &server, &line, plan)?;
    until("the fleet is there", || {
        fleet.is_there(&server, plan.devices)
    })?;
    let mut deployments = 0;
    for kill in 0..plan.kills {
        if kill % KILLS_EACH == 0 {
            deployments += 1;
            deploy(dir.path(), &server, deployments)?;
            if deployments % ABORTED == 0 {
                let number = deployments.to_string();
                server.insist(&["deployment", "abort", &number, "--yes"])?;
            }
        }
        misfortune(&mut server, &line, &mut dice)?;
    }
    line.heal();
    until("every deployment is settled", || {
        server.is_settled(deployments)
    })?;
    let truth = fleet.end()?;
    let found = compare::compare(&server, plan, deployments, &truth)?;
    server.stop()?;
    Ok(found.after(began.elapsed()))
}

/// A moment of one of these kinds comes, and the server is killed in it.
fn misfortune(server: &mut Server, line: &Line, dice: &mut fastrand::Rng) -> Result<(), Failed> {
    match dice.u8(..8) {
        // In its start.
        0 | 1 => pause(dice.u64(..200)),
        // The network is gone first, for everybody.
        2 => {
            line.cut(dice.bool());
            pause(dice.u64(..800));
            line.heal();
            pause(dice.u64(..400));
        }
        // It stands still, as in a machine that is out of memory.
        3 => {
            server.signal("STOP")?;
            pause(dice.u64(..1_500));
            server.signal("CONT")?;
            pause(dice.u64(..300));
        }
        // While it works.
        _ => {
            server.wait_ready()?;
            pause(dice.u64(..1_200));
        }
    }
    server.kill_and_start()
}

fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

fn deploy(dir: &Path, server: &Server, number: u32) -> Result<(), Failed> {
    let release = dir.join(format!("app-{number}"));
    write_release(&release, number)?;
    let folder = release.display().to_string();
    server.insist(&["release", "create", &folder])?;
    let name = format!("app@{number}.0.0");
    server.insist(&["deploy", &name, "--group", GROUP])
}

fn write_release(dir: &Path, number: u32) -> Result<(), Failed> {
    std::fs::create_dir_all(dir.join("scripts"))?;
    std::fs::create_dir_all(dir.join("payload"))?;
    std::fs::write(dir.join("payload/content"), format!("content {number}"))?;
    let manifest = format!(
        "name = \"app\"\nversion = \"{number}.0.0\"\ntype = \"files\"\n\
         payload = [\"payload/content\"]\ncounter = {number}\n"
    );
    std::fs::write(dir.join("artifact.toml"), manifest)?;
    for script in ["install", "verify", "rollback"] {
        let path = dir.join("scripts").join(script);
        std::fs::write(&path, "#!/bin/sh\n")?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Asks again and again.
pub(crate) fn until(
    what: &str,
    mut holds: impl FnMut() -> Result<bool, Failed>,
) -> Result<(), Failed> {
    let began = Instant::now();
    while !holds()? {
        if began.elapsed() > PATIENCE {
            return Err(format!("it never came to be that {what}").into());
        }
        pause(100);
    }
    Ok(())
}

/// A port that nobody has.
pub(crate) fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// `hoist sim` behind the line.
struct Fleet {
    process: Child,
    said: PathBuf,
}

impl Fleet {
    fn start(dir: &Path, server: &Server, line: &Line, plan: Plan) -> Result<Self, Failed> {
        let (client, said) = (dir.join("fleet.toml"), dir.join("truth.json"));
        std::fs::write(&client, server.client_file(line.port())?)?;
        std::fs::set_permissions(&client, Permissions::from_mode(0o600))?;
        let process = Command::new(std::env::current_exe()?)
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

    fn is_there(&self, server: &Server, devices: u32) -> Result<bool, Failed> {
        let listed = server.ask(&["device", "list", "--group", GROUP, "-o", "name"]);
        let count = listed.map_or(0, |names| names.lines().count());
        Ok(u32::try_from(count)? == devices)
    }

    /// What the devices did.
    fn end(mut self) -> Result<Value, Failed> {
        server::signal(&self.process, "INT")?;
        self.process.wait()?;
        Ok(serde_json::from_slice(&std::fs::read(&self.said)?)?)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_waited = self.process.wait();
    }
}
