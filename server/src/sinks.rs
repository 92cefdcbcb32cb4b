//! Sinks: whom the server tells of every event, by a webhook or a program, once it is kept. They are
//! written in `sinks.toml` of the data directory and nowhere else: whoever could add one over the
//! network could have the server run programs, and speak to machines that only it reaches.
//!
//! Each sink is told in order and at least once, by a task of its own that reads the history: one
//! that hangs holds up nobody else.

mod deliver;
mod run;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::{Pem, Trust};
use hoist_protocol::code::Code;
use hoist_protocol::id::{IdError, Name};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, of_tls};
use crate::private_file::{self, PrivateFileError};
use crate::toml_file::parse_toml;

pub use deliver::{Delivery, deliver, test_event};
pub(crate) use run::Follower;
pub use state::{DEAD_MAX, Progress, Standing, standing};

/// The file in the data directory.
pub const FILE: &str = "sinks.toml";
/// The folder beside it, with how far each sink is.
pub const FOLDER: &str = "sinks";
/// Sinks at most: each reads the history by itself, and is a series of metrics.
pub const SINKS_MAX: usize = 16;
/// For one attempt, where nothing else is said.
const TIMEOUT_SECS: u64 = 10;
/// Attempts for one event, where nothing else is said: a day.
const GIVE_UP_SECS: u64 = 24 * 3_600;
/// Bytes of a secret at least.
const SECRET_BYTES_MIN: usize = 16;
/// The certificates that a distribution believes.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

const KEYS: [&str; 9] = [
    "sinks",
    "id",
    "webhook",
    "secret_file",
    "ca",
    "exec",
    "kinds",
    "timeout_secs",
    "give_up_secs",
];

/// One sink, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Its name.
    pub id: Name,
    /// The address that events are sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// The file with the secret that signs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The CAs that the address is believed by, as PEM [default: those of the system].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The program that gets events on its standard input, with its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<String>,
    /// Only events of these kinds; all when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Seconds for one attempt.
    #[serde(default = "timeout_secs")]
    pub timeout_secs: u64,
    /// Seconds after which an event is given up that was not taken.
    #[serde(default = "give_up_secs")]
    pub give_up_secs: u64,
}

fn timeout_secs() -> u64 {
    TIMEOUT_SECS
}

fn give_up_secs() -> u64 {
    GIVE_UP_SECS
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SinksFile {
    #[serde(default)]
    sinks: Vec<Sink>,
}

/// Where a sink's events go, with everything that is needed for it.
#[derive(Debug, Clone)]
pub enum Target {
    /// An address.
    Webhook {
        /// Where.
        endpoint: Endpoint,
        /// Whom to believe there.
        trust: Trust,
        /// Signs what is sent.
        secret: Secret,
    },
    /// A program and its arguments.
    Exec(Vec<String>),
}

/// A secret that signs events; never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Sink {
    /// A sink with the usual times, which goes nowhere yet.
    ///
    /// # Errors
    /// [`IdError`] for a name that is none.
    pub fn new(id: &str) -> Result<Self, IdError> {
        Ok(Self {
            id: id.parse()?,
            webhook: None,
            secret_file: None,
            ca: None,
            exec: Vec::new(),
            kinds: Vec::new(),
            timeout_secs: TIMEOUT_SECS,
            give_up_secs: GIVE_UP_SECS,
        })
    }

    /// The time for one attempt.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_secs.max(1))
    }

    /// True if it wants events of this kind.
    #[must_use]
    pub fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind)
    }

    /// Where its events go.
    ///
    /// # Errors
    /// `E_CONFIG` for what is none, `E_SECRET` for a secret that others can read, `E_CERT`.
    pub fn target(&self) -> Result<Target, Failure> {
        match (&self.webhook, self.exec.is_empty()) {
            (Some(url), true) => self.webhook(url),
            (None, false) => Ok(Target::Exec(self.exec.clone())),
            (Some(_), false) => Err(self.wrong("it has both a webhook and a program")),
            (None, true) => Err(self.wrong("it has neither a webhook nor a program")),
        }
    }

    fn webhook(&self, url: &str) -> Result<Target, Failure> {
        let endpoint = Endpoint::parse(url).map_err(|error| self.wrong(&error.to_string()))?;
        let trust = match endpoint.scheme() {
            Scheme::Https => self.trust()?,
            Scheme::Http => Trust::default(),
            _ => return Err(self.wrong("a webhook is at https:// or http://")),
        };
        let Some(file) = &self.secret_file else {
            return Err(self.wrong("a webhook needs a secret_file"));
        };
        let secret = Secret::read(file)?;
        Ok(Target::Webhook {
            endpoint,
            trust,
            secret,
        })
    }

    fn trust(&self) -> Result<Trust, Failure> {
        let file = self.ca.as_deref().unwrap_or(Path::new(SYSTEM_CA));
        let text = private_file::read_named(file).map_err(|error| {
            let what = format!(
                "cannot read the CAs of sink {} in {}",
                self.id,
                file.display()
            );
            Failure::because(Code::Config, what, &error).help("name them with `ca`")
        })?;
        let (name, text) = ("the CAs of a sink", text.as_bytes());
        Trust::pinned(Pem { name, text }).map_err(|error| of_tls(&error))
    }

    fn wrong(&self, why: &str) -> Failure {
        Failure::new(Code::Config, format!("sink {}: {why}", self.id))
    }
}

impl Secret {
    fn read(file: &Path) -> Result<Self, Failure> {
        let content = private_file::read(file).map_err(|error| match &error {
            PrivateFileError::Exposed { .. } => {
                Failure::because(Code::Secret, "the secret of a sink", &error)
                    .help("run `chmod 600` on it, and think about who has read it")
            }
            PrivateFileError::Io { .. } => {
                Failure::because(Code::Config, "the secret of a sink", &error)
            }
        })?;
        let text = String::from_utf8_lossy(&content);
        let secret = match text.trim().strip_prefix("whsec_") {
            // As others write one that is no text.
            Some(encoded) => data_encoding::BASE64.decode(encoded.as_bytes()).ok(),
            None => Some(text.trim().as_bytes().to_vec()),
        };
        secret
            .filter(|secret| secret.len() >= SECRET_BYTES_MIN)
            .map(Self)
            .ok_or_else(|| {
                let what = format!(
                    "{} has no secret of {SECRET_BYTES_MIN} bytes",
                    file.display()
                );
                Failure::new(Code::Config, what).help("make one: `openssl rand -hex 32`")
            })
    }
}

/// The sinks of a data directory; none where there is no file.
///
/// # Errors
/// `E_CONFIG` with the line, `E_SECRET` when others can read or write the file.
pub fn read(data_dir: &Path) -> Result<Vec<Sink>, Failure> {
    let path = data_dir.join(FILE);
    let content = match private_file::read(&path) {
        Ok(content) => content,
        Err(PrivateFileError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            return Ok(Vec::new());
        }
        Err(error @ PrivateFileError::Exposed { .. }) => {
            return Err(Failure::because(Code::Secret, FILE, &error)
                .help("it says which programs the server runs: `chmod 600` it"));
        }
        Err(error) => return Err(Failure::because(Code::Config, FILE, &error)),
    };
    let text = String::from_utf8_lossy(&content);
    let SinksFile { sinks } = parse_toml(&path, &text, &KEYS)?;
    if sinks.len() > SINKS_MAX {
        let what = format!("{} names more than {SINKS_MAX} sinks", path.display());
        return Err(Failure::new(Code::Config, what));
    }
    let twice = (1..sinks.len()).find(|at| sinks[..*at].iter().any(|it| it.id == sinks[*at].id));
    match twice {
        Some(at) => {
            let what = format!("{} names sink {} twice", path.display(), sinks[at].id);
            Err(Failure::new(Code::Config, what))
        }
        None => Ok(sinks),
    }
}

/// Writes the sinks of a data directory.
///
/// # Errors
/// `E_CONFIG` or `E_DATA_DIR`.
pub fn write(data_dir: &Path, sinks: Vec<Sink>) -> Result<(), Failure> {
    let text = toml::to_string(&SinksFile { sinks })
        .map_err(|error| Failure::because(Code::Config, FILE, &error))?;
    private_file::write(&data_dir.join(FILE), text.as_bytes())
        .map_err(|error| Failure::because(Code::DataDir, FILE, &error))
}

#[cfg(test)]
mod tests;
