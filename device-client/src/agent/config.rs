//! `agent.toml`: who this device is, where its broker is, what it trusts. Strict: a typo
//! stops the agent with file, line and suggestion. Secrets never appear in debug output.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_net::endpoint::Endpoint;
use hoist_net::tls::{Pem, Trust};
use hoist_protocol::id::{DeviceId, Namespace};

mod certificate;
mod error;
mod render;
mod value;

pub use certificate::{CertificateError, CertificateFiles, CertificateTexts};
pub use error::ConfigError;
pub use render::{NewAgent, render};
pub use value::Token;

use super::download::{Address, Proxies};
use super::environment;
use super::files::folder_of;
use super::pairs::Pairs;
use super::strict_toml::{self, Located, Table, TomlError, line_of_key};
use value::{is_private, parse_broker, parse_keep_alive, parse_root_number, parse_sha256};

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
    pub broker: Endpoint,
    /// The CA that broker and artifacts are believed by, for `mqtts` and `https`.
    pub trust: Trust,
    /// The device's password there, unless a certificate takes its place; the user name is the
    /// device id.
    pub token: Token,
    /// The certificate that it shows the broker.
    pub certificate: Option<CertificateFiles>,
    /// SHA-256 of the pinned root document.
    pub root_sha256: [u8; 32],
    /// Its number.
    pub root_number: u32,
    /// Base URL of artifacts where a spec names none.
    pub artifacts: Option<String>,
    /// The way there; not from the file.
    pub proxies: Proxies,
    /// Longest silence on the connection.
    pub keep_alive: Duration,
}

const KEYS: [&str; 19] = [
    "device",
    "namespace",
    "broker",
    "ca",
    "ca_file",
    "client_cert",
    "client_key",
    "token",
    "token_file",
    "root_sha256",
    "root_number",
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
    ca: Option<String>,
    ca_file: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    root_sha256: String,
    root_number: Option<u64>,
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
            ca: table.string("ca")?,
            ca_file: table.path("ca_file")?,
            client_cert: table.path("client_cert")?,
            client_key: table.path("client_key")?,
            token: table.string("token")?,
            token_file: table.path("token_file")?,
            root_sha256: table.required("root_sha256")?,
            root_number: table.number("root_number", u32::MAX.into())?,
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
        folder_of(self.path)
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
            (None, None) if raw.client_cert.is_some() => Ok(Token(String::new())),
            (None, None) => Err(self.refuse(
                "token",
                "neither token nor token_file is set: `hoist device add` prints one".into(),
            )),
        }
    }

    /// The CA that is pinned, written here or in a file of its own.
    fn trust(&self, raw: &RawConfig) -> Result<Trust, ConfigError> {
        let (key, name, text) = match (&raw.ca, &raw.ca_file) {
            (None, None) => return Ok(Trust::default()),
            (Some(_), Some(_)) => {
                return Err(self.refuse("ca_file", "both ca and ca_file are set: keep one".into()));
            }
            (Some(text), None) => ("ca", "ca".to_owned(), text.clone()),
            (None, Some(file)) => {
                let path = self.folder().join(file);
                ("ca_file", path.display().to_string(), read(&path)?.0)
            }
        };
        let pinned = Trust::pinned(Pem {
            name: &name,
            text: text.as_bytes(),
        });
        pinned.map_err(|error| self.refuse(key, error.to_string()))
    }

    fn server(&self, raw: &RawConfig) -> Result<ServerConfig, ConfigError> {
        let broker = parse_broker(&raw.broker).map_err(|detail| self.refuse("broker", detail))?;
        let artifacts = raw.artifacts.as_deref().map(Address::parse).transpose();
        let artifacts = artifacts.map_err(|error| {
            self.refuse("artifacts", format!("artifacts cannot be used: {error}"))
        })?;
        let trust = self.trust(raw)?;
        for (key, is_encrypted) in [
            ("broker", broker.scheme().is_encrypted()),
            ("artifacts", artifacts.is_some_and(|at| at.is_encrypted())),
        ] {
            if is_encrypted && trust.is_none() {
                let detail = format!(
                    "{key} is reached by TLS, and nothing says whose certificate to believe: `hoist device add` prints it as `ca`"
                );
                return Err(self.refuse(key, detail));
            }
        }
        let root_sha256 = parse_sha256(&raw.root_sha256)
            .ok_or_else(|| self.refuse("root_sha256", "root_sha256 is not 64 hex digits".into()))?;
        let root_number = parse_root_number(raw.root_number)
            .ok_or_else(|| self.refuse("root_number", "root_number is not 1 or more".into()))?;
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
            certificate: self.certificate((&raw.client_cert, &raw.client_key), &trust)?,
            trust,
            token: self.token(raw)?,
            root_sha256,
            root_number,
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
    if is_private(mode) {
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
