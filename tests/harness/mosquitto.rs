//! A Mosquitto as an operator would set it up for Hoist: by the files that Hoist makes for it. Here
//! everybody comes in by one listener, and only where a test is about passwords it wants some.

use std::net::{TcpListener, TcpStream};
use std::path::Path;

use hoist_broker_config::Limits;
use hoist_broker_config::render::{Login, Rendered, Secret, Site, mosquitto};
use hoist_protocol::access::PrincipalKind;
use hoist_protocol::code::Code;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::process::{Process, run};
use super::{eventually, write_private};

/// The variable that has every server of the tests work with a Mosquitto of its own.
pub const VARIABLE: &str = "HOIST_TEST_BROKER";
/// Its values: over TCP alone, and over TLS.
pub const TRANSPORTS: [&str; 2] = ["plain", "tls"];

/// The users whom the tests make: people are named one by one in an access list, because a
/// pattern would let a device command under its own name.
const PEOPLE: [&str; 9] = [
    "admin", "alice", "bob", "dora", "second", "vera", "viewer", "deployer", "stranger",
];

/// What is open at a broker that lets everybody in.
const ANYBODY: [Code; 3] = [
    Code::BrokerAnonymous,
    Code::BrokerPassword,
    Code::BrokerTakeover,
];

/// True if servers are to work with a Mosquitto.
pub fn is_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// True if what servers say to it is to be encrypted.
fn is_encrypted() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|transport| transport == TRANSPORTS[1])
}

/// A broker that can be killed and started again.
pub struct Mosquitto {
    dir: TempDir,
    /// Where the tests themselves listen in, without TLS.
    port: u16,
    /// Where servers, agents and operators come in.
    encrypted_port: Option<u16>,
    /// True if nobody needs a password.
    is_open: bool,
    process: Process,
}

/// The terms on which one starts.
struct Terms<'a> {
    /// The orchestrator's password; without it nobody needs one.
    token: Option<&'a str>,
    /// Settings in the place of others of the same name.
    settings: &'a [(&'a str, &'a str)],
    is_encrypted: bool,
}

impl Mosquitto {
    /// Starts one that keeps nothing and lets in everybody.
    pub fn start() -> Self {
        Self::start_by(&Terms {
            token: None,
            settings: &[],
            is_encrypted: is_encrypted(),
        })
    }

    /// Starts one that lets in nobody but the orchestrator and whom it is told of later.
    pub fn start_for(token: &str) -> Self {
        Self::start_by(&Terms {
            token: Some(token),
            settings: &[],
            is_encrypted: false,
        })
    }

    /// Starts one with other settings.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_by(&Terms {
            token: None,
            settings,
            is_encrypted: false,
        })
    }

    fn start_by(terms: &Terms<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let encrypted_port = terms.is_encrypted.then(free_port);
        let site = site(dir.path(), encrypted_port.unwrap_or(port), terms);
        let rendered = mosquitto::render(&site, "");
        let mut config = one_listener(&rendered, terms);
        if terms.is_encrypted {
            write_certificates(dir.path());
            config += &in_clear(&config, port);
        }
        config += &format!(
            "persistence_location {}/\nuser root\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join(mosquitto::CONFIG), config).unwrap();
        write_private(
            &dir.path().join(mosquitto::PEOPLE_ACL),
            access_list(&rendered),
        );
        let passwords = text(&rendered, mosquitto::PEOPLE_PASSWORDS);
        write_private(&dir.path().join(mosquitto::PEOPLE_PASSWORDS), passwords);
        let process = Self::spawn(&dir);
        let mut broker = Self {
            dir,
            port,
            encrypted_port,
            is_open: terms.token.is_none(),
            process,
        };
        broker.wait_open();
        broker
    }

    fn spawn(dir: &TempDir) -> Process {
        let settings = dir.path().join(mosquitto::CONFIG);
        let log = dir.path().join("mosquitto.log");
        Process::start(&program(), &["-c", settings.to_str().unwrap()], &log)
    }

    /// Until it accepts connections.
    fn wait_open(&mut self) {
        wait_open(&mut self.process, self.port);
    }

    /// `host:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The settings by which a server uses it.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--broker".to_owned()];
        match self.encrypted_port {
            None => arguments.push(format!("mqtt://{}", self.address())),
            Some(port) => {
                let ca = self.dir.path().join("ca.pem").display().to_string();
                arguments.push(format!("mqtts://127.0.0.1:{port}"));
                arguments.extend(["--broker-ca".to_owned(), ca]);
            }
        }
        if self.is_open {
            for risk in ANYBODY {
                arguments.extend(["--accept-risk".to_owned(), risk.as_str().to_owned()]);
            }
        }
        arguments
    }

    /// Lets a user in, at once.
    pub fn add_user(&self, user: &str, token: &str) {
        let file = self.dir.path().join(mosquitto::PEOPLE_PASSWORDS);
        let file = file.to_str().unwrap();
        let set = run("mosquitto_passwd", &["-b", file, user, token]);
        assert!(set.status.success(), "{set:?}");
        self.read_again();
    }

    /// Lets the orchestrator read and write, or only write.
    pub fn let_read(&self, reads: bool) {
        let terms = Terms {
            token: None,
            settings: &[],
            is_encrypted: false,
        };
        let list = match reads {
            true => access_list(&mosquitto::render(
                &site(self.dir.path(), self.port, &terms),
                "",
            )),
            // Without the patterns, which are for everybody.
            false => "user orchestrator\ntopic write hoist/#\n".to_owned(),
        };
        std::fs::write(self.dir.path().join(mosquitto::PEOPLE_ACL), list).unwrap();
        self.read_again();
    }

    fn read_again(&self) {
        read_again(&self.process);
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

/// Has a Mosquitto read its lists again.
pub fn read_again(process: &Process) {
    let told = || process.said().matches("Reloading config").count();
    let before = told();
    process.signal("HUP");
    eventually("the broker to read its files again", || {
        (told() > before).then_some(())
    });
}

/// Until a broker accepts connections.
pub fn wait_open(process: &mut Process, port: u16) {
    eventually("the broker to listen", || {
        if let Some(status) = process.ended() {
            panic!("the broker ended with {status}:\n{}", process.said());
        }
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
}

/// A port that nobody listens at.
fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// Where the distribution puts it is not everybody's path.
pub fn program() -> String {
    let sbin = "/usr/sbin/mosquitto";
    match Path::new(sbin).is_file() {
        true => sbin.to_owned(),
        false => "mosquitto".to_owned(),
    }
}

fn site(folder: &Path, port: u16, terms: &Terms<'_>) -> Site {
    let token = terms.token.unwrap_or("nobody asks for it");
    let login = |name: &str, party| Login {
        name: name.to_owned(),
        party,
        secret: Secret::Token(token.to_owned()),
    };
    let people = PEOPLE.iter().map(|name| Login {
        secret: Secret::Sha256([0; 32]),
        ..login(name, PrincipalKind::User)
    });
    let orchestrator = login("orchestrator", PrincipalKind::Service);
    Site {
        namespace: "hoist".parse().unwrap(),
        folder: folder.display().to_string(),
        host: "127.0.0.1".to_owned(),
        device_port: 1,
        people_port: port,
        certificate_port: None,
        is_encrypted: terms.is_encrypted,
        limits: Limits::default(),
        logins: people.chain([orchestrator]).collect(),
        shut_out: Vec::new(),
    }
}

fn text<'a>(rendered: &'a Rendered, name: &str) -> &'a str {
    let mut files = rendered.files.iter();
    &files.find(|file| file.name == name).unwrap().text
}

/// The rules for everybody at once.
fn access_list(rendered: &Rendered) -> String {
    let of = |name| text(rendered, name);
    format!("{}{}", of(mosquitto::PEOPLE_ACL), of(mosquitto::DEVICE_ACL))
}

/// The configuration without the listener that is for devices alone.
fn one_listener(rendered: &Rendered, terms: &Terms<'_>) -> String {
    let config = text(rendered, mosquitto::CONFIG);
    let (common, listeners) = config.split_once("\n# Devices that come in").unwrap();
    let (_, people) = listeners.split_once("\n# People").unwrap();
    let mut config = format!("{common}\n# People{people}log_type all\n");
    if terms.token.is_none() {
        config = config.replace("allow_anonymous false", "allow_anonymous true");
        config = without(&config, "password_file");
    }
    for (name, value) in terms.settings {
        config = format!("{name} {value}\n{}", without(&config, name));
    }
    config
}

fn without(config: &str, setting: &str) -> String {
    let kept = config.lines().filter(|line| !line.starts_with(setting));
    kept.map(|line| format!("{line}\n")).collect()
}

/// The same listener once more, without TLS.
fn in_clear(config: &str, port: u16) -> String {
    let listener = config.find("\nlistener ").unwrap();
    let (_, rest) = config[listener + 1..].split_once('\n').unwrap();
    let mut rest = rest.to_owned();
    for setting in ["certfile", "keyfile", "tls_version"] {
        rest = without(&rest, setting);
    }
    format!("listener {port} 127.0.0.1\n{rest}")
}

/// A CA and a certificate of a broker on this machine.
fn write_certificates(dir: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    write_private(&dir.join("server.pem"), format!("{certificate}{ca}"));
    write_private(&dir.join("server.key"), key.serialize_pem());
    write_private(&dir.join("ca.pem"), ca);
}
