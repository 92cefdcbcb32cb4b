//! `agent.toml`: who this device is, where its broker is, what it trusts. Strict: a typo
//! stops the agent with file, line and suggestion. Secrets never appear in debug output.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::id::{DeviceId, Namespace};

mod render;
mod value;

pub use render::{NewAgent, render};

use super::download::{Address, Proxies};
use super::environment;
use super::pairs::Pairs;
use super::strict_toml::{self, Located, Table, TomlError, line_of_key};
use value::{parse_broker, parse_keep_alive, parse_sha256};

/// Where Linux names the current boot.
pub const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
/// A radio is woken this rarely; a death is noticed after 1.5 times this.
pub const KEEP_ALIVE: Duration = Duration::from_secs(600);
/// The name of a device without a configuration.
const LOCAL_DEVICE: &str = "local";
/// Far more than any configuration needs.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// The agent's settings.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The device it runs on.
    pub host: HostConfig,
    /// The server it obeys.
    pub server: ServerConfig,
}

/// The facts that the agent must know of its device.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// This device.
    pub device: DeviceId,
    /// The type of the device; empty when it has none.
    pub device_type: String,
    /// Where everything is kept; `<device>.state` beside the configuration by default.
    pub state_dir: PathBuf,
    /// The attributes of the device, which a release may require.
    pub attributes: Pairs<String>,
    /// Variables that scripts get beside those of the agent.
    pub environment: Pairs<String>,
    /// Program and arguments that restart the device.
    pub reboot_command: Vec<String>,
    /// File whose content changes with every boot.
    pub boot_id_file: PathBuf,
}

/// The facts that the agent must know of its server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// First topic level.
    pub namespace: Namespace,
    /// The broker.
    pub broker: Broker,
    /// The device's password there; the user name is the device id.
    pub token: Token,
    /// SHA-256 of the pinned root document.
    pub root_sha256: [u8; 32],
    /// Base URL of artifacts where a spec names none.
    pub artifacts: Option<String>,
    /// The way there; not from the file.
    pub proxies: Proxies,
    /// Longest silence on the connection.
    pub keep_alive: Duration,
}

/// Address of a broker, from `mqtt://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A password.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The text does not fit; names line and remedy.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A secret that others can read or change.
    #[error("{} holds a token, and others can read or change it: `chmod 600 {}`; if somebody else may have seen it, take a new one: `hoist device remove ID`, then `hoist device add ID --out FILE`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// A file that the device obeys and runs, and that others can change.
    #[error("{} can be changed by others, who could make this device obey them: `chmod go-w {}`, and look at what it says", path.display(), path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
}

impl ConfigError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::File { .. } | Self::Toml(_) => Code::Config,
            Self::Exposed { .. } | Self::Writable { .. } => Code::Exposed,
        }
    }
}

const KEYS: [&str; 14] = [
    "device",
    "namespace",
    "broker",
    "token",
    "token_file",
    "root_sha256",
    "artifacts",
    "type",
    "state_dir",
    "attributes",
    "environment",
    "reboot_command",
    "boot_id_file",
    "keep_alive",
];

struct RawConfig {
    device: DeviceId,
    namespace: Option<Namespace>,
    broker: String,
    token: Option<String>,
    token_file: Option<PathBuf>,
    root_sha256: String,
    artifacts: Option<String>,
    device_type: String,
    state_dir: Option<PathBuf>,
    attributes: Pairs<String>,
    environment: Pairs<Located>,
    reboot_command: Option<Vec<String>>,
    boot_id_file: Option<PathBuf>,
    keep_alive: Option<String>,
}

impl RawConfig {
    fn read(table: &mut Table<'_>) -> Result<Self, TomlError> {
        let device = table.parsed("device")?;
        Ok(Self {
            device: table.require("device", device)?,
            namespace: table.parsed("namespace")?,
            broker: table.required("broker")?,
            token: table.string("token")?,
            token_file: table.path("token_file")?,
            root_sha256: table.required("root_sha256")?,
            artifacts: table.string("artifacts")?,
            device_type: table.string("type")?.unwrap_or_default(),
            state_dir: table.path("state_dir")?,
            attributes: table.pairs("attributes")?,
            environment: table.located_pairs("environment")?,
            reboot_command: table.strings("reboot_command")?,
            boot_id_file: table.path("boot_id_file")?,
            keep_alive: table.string("keep_alive")?,
        })
    }
}

impl AgentConfig {
    /// Reads a configuration. A file that holds the token, be it this one or the
    /// `token_file`, must be its owner's alone, and nobody else may change this one.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line where it is about the text.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (text, mode) = read(path)?;
        let raw = strict_toml::read(path, &text, &KEYS, RawConfig::read)?;
        if mode & 0o022 != 0 && raw.token.is_none() {
            let path = path.to_path_buf();
            return Err(ConfigError::Writable { path });
        }
        let source = Source {
            path,
            text: &text,
            mode,
        };
        Ok(Self {
            server: source.server(&raw)?,
            host: source.host(raw)?,
        })
    }
}

/// The file that a configuration is read from.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    mode: u32,
}

impl Source<'_> {
    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("."))
    }

    fn refuse(&self, key: &str, detail: String) -> ConfigError {
        ConfigError::Toml(TomlError {
            path: self.path.to_path_buf(),
            line: line_of_key(self.text, key),
            detail,
            hint: None,
        })
    }

    fn token(&self, raw: &RawConfig) -> Result<Token, ConfigError> {
        match (&raw.token, &raw.token_file) {
            (Some(token), None) => {
                private(self.path, self.mode)?;
                Ok(Token(token.clone()))
            }
            (None, Some(file)) => Ok(Token(read_token(&self.folder().join(file))?)),
            (Some(_), Some(_)) => Err(self.refuse(
                "token_file",
                "both token and token_file are set: keep one".into(),
            )),
            (None, None) => Err(self.refuse(
                "token",
                "neither token nor token_file is set: `hoist device add` prints one".into(),
            )),
        }
    }

    fn server(&self, raw: &RawConfig) -> Result<ServerConfig, ConfigError> {
        let broker = parse_broker(&raw.broker).ok_or_else(|| {
            let detail = match raw.broker.contains('@') {
                // It may be a password: it is not repeated.
                true => "broker holds a user name or password, expected mqtt://host:port: the device is the user, its token the password".to_owned(),
                false => format!("broker is {:?}, expected mqtt://host:port", raw.broker),
            };
            self.refuse("broker", detail)
        })?;
        if let Some(Err(error)) = raw.artifacts.as_deref().map(Address::parse) {
            return Err(self.refuse("artifacts", format!("artifacts cannot be used: {error}")));
        }
        let root_sha256 = parse_sha256(&raw.root_sha256)
            .ok_or_else(|| self.refuse("root_sha256", "root_sha256 is not 64 hex digits".into()))?;
        let keep_alive = match &raw.keep_alive {
            None => KEEP_ALIVE,
            Some(text) => parse_keep_alive(text).ok_or_else(|| {
                let detail = format!("keep_alive is {text:?}, expected 5s to 18h, like \"10m\"");
                self.refuse("keep_alive", detail)
            })?,
        };
        Ok(ServerConfig {
            namespace: raw.namespace.clone().unwrap_or_default(),
            broker,
            token: self.token(raw)?,
            root_sha256,
            artifacts: raw.artifacts.clone(),
            proxies: Proxies::default(),
            keep_alive,
        })
    }

    fn host(&self, raw: RawConfig) -> Result<HostConfig, ConfigError> {
        let state_dir = raw.state_dir.unwrap_or_else(|| state_dir_of(&raw.device));
        let state_dir = std::path::absolute(self.folder().join(state_dir));
        let state_dir = state_dir.map_err(|source| ConfigError::File {
            path: self.path.to_path_buf(),
            source,
        })?;
        let reboot_command = raw.reboot_command.unwrap_or_else(reboot_command);
        if reboot_command.is_empty() {
            let detail = "reboot_command is empty: name a program and its arguments";
            return Err(self.refuse("reboot_command", detail.into()));
        }
        environment::check(&raw.environment).map_err(|(line, detail)| {
            ConfigError::Toml(TomlError {
                path: self.path.to_path_buf(),
                line,
                detail,
                hint: None,
            })
        })?;
        let environment = raw.environment.into_iter();
        Ok(HostConfig {
            environment: environment
                .map(|(name, value)| (name, value.text))
                .collect(),
            device: raw.device,
            device_type: raw.device_type,
            state_dir,
            attributes: raw.attributes,
            reboot_command,
            boot_id_file: raw.boot_id_file.unwrap_or_else(|| BOOT_ID_FILE.into()),
        })
    }
}

impl HostConfig {
    /// A device without a configuration, which only its owner installs on: everything is
    /// kept below the current folder.
    ///
    /// # Errors
    /// [`ConfigError::File`] when there is no current folder.
    pub fn local() -> Result<Self, ConfigError> {
        let Ok(device) = LOCAL_DEVICE.parse() else {
            unreachable!("the name is a valid id");
        };
        let state_dir = state_dir_of(&device);
        let state_dir = std::path::absolute(&state_dir).map_err(|source| ConfigError::File {
            path: state_dir,
            source,
        })?;
        Ok(Self {
            device,
            device_type: String::new(),
            state_dir,
            attributes: Pairs::new(),
            environment: Pairs::new(),
            reboot_command: reboot_command(),
            boot_id_file: BOOT_ID_FILE.into(),
        })
    }
}

fn state_dir_of(device: &DeviceId) -> PathBuf {
    PathBuf::from(format!("{device}.state"))
}

fn reboot_command() -> Vec<String> {
    vec!["reboot".into()]
}

fn read(path: &Path) -> Result<(String, u32), ConfigError> {
    let content = || -> io::Result<(String, u32)> {
        let mut file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        let mut text = String::new();
        file.by_ref()
            .take(CONFIG_BYTES_MAX + 1)
            .read_to_string(&mut text)?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok((text, mode))
    };
    content().map_err(|source| ConfigError::File {
        path: path.to_path_buf(),
        source,
    })
}

/// Making it private here would hide that somebody else may have the token by now.
fn private(path: &Path, mode: u32) -> Result<(), ConfigError> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.to_path_buf();
    Err(ConfigError::Exposed { path })
}

fn read_token(path: &Path) -> Result<String, ConfigError> {
    let (text, mode) = read(path)?;
    private(path, mode)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
