//! A Mosquitto as an operator would set it up for Hoist: nothing on disk, and an access list
//! that follows `hoist_protocol::access`.

use std::fmt::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use hoist_protocol::access::{Action, PrincipalKind, RULES};
use tempfile::TempDir;

use super::eventually;
use super::process::{Process, run};

/// The variable that has every server of the tests work with a Mosquitto of its own.
pub const VARIABLE: &str = "HOIST_TEST_BROKER";

/// The users whom the tests make: people are named one by one in an access list, because a
/// pattern would let a device command under its own name.
const PEOPLE: [&str; 9] = [
    "admin", "alice", "bob", "dora", "second", "vera", "viewer", "deployer", "stranger",
];

/// The bounds that a broker needs for Hoist.
pub const BOUNDS: &str = "message_size_limit 1000000\nmax_queued_messages 0\n\
    max_inflight_messages 1000\npersistent_client_expiration 7d\nset_tcp_nodelay true\n";

/// True if servers are to work with a Mosquitto.
pub fn is_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|wanted| wanted == "mosquitto")
}

/// A broker that can be killed and started again.
pub struct Mosquitto {
    dir: TempDir,
    port: u16,
    process: Process,
}

impl Mosquitto {
    /// Starts one that keeps nothing.
    pub fn start() -> Self {
        Self::start_with("persistence false\n")
    }

    /// Starts one that lets in nobody but this user and whom it is told of later.
    pub fn start_for(user: &str, token: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passwords");
        std::fs::write(&file, "").unwrap();
        set_password(&file, user, token);
        let more = format!("allow_anonymous false\npassword_file {}\n", file.display());
        Self::start_in(dir, &more)
    }

    /// Starts one with these settings.
    pub fn start_with(more: &str) -> Self {
        Self::start_in(
            tempfile::tempdir().unwrap(),
            &format!("allow_anonymous true\n{more}"),
        )
    }

    fn start_in(dir: TempDir, more: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let path = |name: &str| dir.path().join(name).display().to_string();
        let settings = format!(
            "listener {port} 127.0.0.1\nuser root\nacl_file {}\npersistence_location {}/\n\
             {BOUNDS}{more}",
            path("acl"),
            dir.path().display(),
        );
        std::fs::write(path("acl"), access_list(&PEOPLE)).unwrap();
        std::fs::write(path("mosquitto.conf"), settings).unwrap();
        let process = Self::spawn(&dir);
        let mut broker = Self { dir, port, process };
        broker.wait_open();
        broker
    }

    fn spawn(dir: &TempDir) -> Process {
        let settings = dir.path().join("mosquitto.conf");
        let log = dir.path().join("mosquitto.log");
        Process::start(&program(), &["-c", settings.to_str().unwrap()], &log)
    }

    /// Until it accepts connections.
    fn wait_open(&mut self) {
        let address = self.address();
        eventually("the broker to listen", || {
            if let Some(status) = self.process.ended() {
                panic!("the broker ended with {status}:\n{}", self.process.said());
            }
            TcpStream::connect(&address).ok()
        });
    }

    /// `host:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The settings by which a server uses it.
    pub fn arguments(&self) -> [String; 2] {
        ["--broker".to_owned(), format!("mqtt://{}", self.address())]
    }

    /// Lets a user in, at once.
    pub fn add_user(&self, user: &str, token: &str) {
        set_password(&self.dir.path().join("passwords"), user, token);
        self.read_again();
    }

    /// Lets the orchestrator read and write, or only write.
    pub fn let_read(&self, reads: bool) {
        let list = match reads {
            true => access_list(&PEOPLE),
            // Without the patterns, which are for everybody.
            false => "user orchestrator\ntopic write hoist/#\n".to_owned(),
        };
        std::fs::write(self.dir.path().join("acl"), list).unwrap();
        self.read_again();
    }

    fn read_again(&self) {
        let told = || self.process.said().matches("Reloading config").count();
        let before = told();
        self.process.signal("HUP");
        eventually("the broker to read its files again", || {
            (told() > before).then_some(())
        });
    }

    /// Has it write what it holds to its disk, this message among it.
    pub fn save(&self, message: &[u8]) {
        self.process.signal("USR1");
        let file = self.dir.path().join("mosquitto.db");
        eventually("the broker to save what it holds", || {
            let saved = std::fs::read(&file).ok()?;
            let mut parts = saved.windows(message.len());
            parts.any(|part| part == message).then_some(())
        });
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same port and with what it kept.
    pub fn start_again(&mut self) {
        self.process = Self::spawn(&self.dir);
        self.wait_open();
    }
}

fn set_password(file: &Path, user: &str, token: &str) {
    let file = file.to_str().unwrap();
    let set = run("mosquitto_passwd", &["-b", file, user, token]);
    assert!(set.status.success(), "{set:?}");
}

/// Where the distribution puts it is not everybody's path.
fn program() -> String {
    let sbin = "/usr/sbin/mosquitto";
    match Path::new(sbin).is_file() {
        true => sbin.to_owned(),
        false => "mosquitto".to_owned(),
    }
}

/// The access rules as Mosquitto reads them. It knows no shards: `+` stands for one, which is
/// as good, because the device's own id is behind it.
pub fn access_list(people: &[&str]) -> String {
    let mut list = String::new();
    let word = |action: Action| match action {
        Action::Publish => "write",
        Action::Subscribe => "read",
    };
    let rules = |party: PrincipalKind| RULES.iter().filter(move |rule| rule.party == party);
    list.push_str("user orchestrator\ntopic readwrite hoist/#\n\n");
    for user in people {
        writeln!(list, "user {user}").unwrap();
        for rule in rules(PrincipalKind::User) {
            let pattern = rule.pattern.replace("{self}", user);
            writeln!(list, "topic {} hoist/{pattern}", word(rule.action)).unwrap();
        }
        list.push('\n');
    }
    for rule in rules(PrincipalKind::Device) {
        let pattern = rule.pattern.replace("{shard}", "+").replace("{self}", "%u");
        writeln!(list, "pattern {} hoist/{pattern}", word(rule.action)).unwrap();
    }
    list
}
