//! Which value a setting has and where it comes from: flag, then variable, then settings
//! file, then default. Flags and variables are inputs here; only the file is read.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::id::Namespace;
use hoist_server::failure::Failure;
use hoist_server::toml_file::parse_toml;
use serde::Deserialize;
use tracing_subscriber::filter::LevelFilter;

use crate::args::{Global, Serve};
use crate::output::Format;

mod doors;
mod rows;

pub(crate) use doors::DoorSettings;

/// Reads one variable; injected so that tests need no process environment.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag of this name.
    Flag(&'static str),
    /// A variable of this name.
    Variable(&'static str),
    /// The settings file.
    File(PathBuf),
    /// Built in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// Everything that can be set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) data_dir: Setting<PathBuf>,
    /// Named explicitly; without it the usual places are searched.
    pub(crate) client: Option<Setting<PathBuf>>,
    /// `hoist serve`: the broker it works with. Else it overrides the address of the client file.
    pub(crate) broker: Option<Setting<String>>,
    /// Where devices reach an external broker, when it is another address.
    pub(crate) device_broker: Option<Setting<String>>,
    /// Risks of an external broker that are taken: codes.
    pub(crate) accept_risk: Option<Setting<Vec<String>>>,
    /// Overrides the token of the client file.
    pub(crate) token_file: Option<Setting<PathBuf>>,
    /// The orchestrator's name at an external broker.
    pub(crate) broker_user: Option<Setting<String>>,
    /// Holds its password there.
    pub(crate) broker_token_file: Option<Setting<PathBuf>>,
    /// The CA that it is believed by.
    pub(crate) broker_ca: Option<Setting<PathBuf>>,
    pub(crate) output: Setting<Format>,
    pub(crate) log: Setting<String>,
    pub(crate) mqtt: Setting<String>,
    pub(crate) http: Setting<String>,
    /// Names and encryption of both.
    pub(crate) doors: DoorSettings,
    pub(crate) namespace: Setting<Namespace>,
    /// Contact with a working device may be lost for this long before it is shown (S6).
    pub(crate) grace: Setting<Duration>,
    /// No timer fires this soon after the orchestrator connected (S7).
    pub(crate) settle: Setting<Duration>,
    /// MiB that uploads of artifacts leave to the store.
    pub(crate) space_reserve_mib: Setting<u64>,
    /// MiB of one user's uploads that no release names.
    pub(crate) upload_quota_mib: Setting<u64>,
    /// The time that artifacts are kept that no release names; absent = for ever.
    pub(crate) keep_unused_artifacts: Option<Setting<Duration>>,
    /// The time that deployments are kept that are over on every device; absent = for ever.
    pub(crate) keep_ended_deployments: Option<Setting<Duration>>,
    /// The time that devices are kept that are away and not heard; absent = for ever.
    pub(crate) keep_silent_devices: Option<Setting<Duration>>,
}

/// The settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    client: Option<PathBuf>,
    broker: Option<String>,
    device_broker: Option<String>,
    accept_risk: Option<Vec<String>>,
    broker_user: Option<String>,
    broker_token_file: Option<PathBuf>,
    broker_ca: Option<PathBuf>,
    token_file: Option<PathBuf>,
    output: Option<Format>,
    #[serde(default, deserialize_with = "log")]
    log: Option<String>,
    mqtt: Option<String>,
    http: Option<String>,
    listen: Option<String>,
    name: Option<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    tls_min: Option<String>,
    no_tls: Option<bool>,
    namespace: Option<Namespace>,
    #[serde(default, deserialize_with = "duration")]
    grace: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    settle: Option<Duration>,
    space_reserve_mib: Option<u64>,
    upload_quota_mib: Option<u64>,
    #[serde(default, deserialize_with = "duration")]
    keep_unused_artifacts: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    keep_ended_deployments: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    keep_silent_devices: Option<Duration>,
}

const FILE_KEYS: [&str; 28] = [
    "data_dir",
    "client",
    "broker",
    "device_broker",
    "accept_risk",
    "broker_user",
    "broker_token_file",
    "broker_ca",
    "token_file",
    "output",
    "log",
    "mqtt",
    "http",
    "listen",
    "name",
    "tls_cert",
    "tls_key",
    "client_ca",
    "tls_min",
    "no_tls",
    "namespace",
    "grace",
    "settle",
    "space_reserve_mib",
    "upload_quota_mib",
    "keep_unused_artifacts",
    "keep_ended_deployments",
    "keep_silent_devices",
];

fn duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::rate::parse_duration(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

fn log<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    log_level(text).map(Some).map_err(serde::de::Error::custom)
}

/// Reads a level.
///
/// # Errors
/// What is wanted instead.
pub(crate) fn level(text: &str) -> Result<LevelFilter, String> {
    text.parse().map_err(|_| {
        format!("log level {text:?} does not exist; use off, error, warn, info, debug or trace")
    })
}

/// A level that exists, as it was written.
fn log_level(text: String) -> Result<String, String> {
    level(&text).map(|_| text)
}

/// The name of a variable and how its text is read.
type Variable<T> = (&'static str, fn(String) -> Result<T, String>);

/// Chooses the first source that has a value.
struct Choice<'a> {
    variables: Variables<'a>,
    file: PathBuf,
}

impl Choice<'_> {
    fn of<T>(
        &self,
        flag: Option<(&'static str, T)>,
        variable: Option<Variable<T>>,
        file: Option<T>,
    ) -> Result<Option<Setting<T>>, Failure> {
        if let Some((name, value)) = flag {
            return Ok(Some(Setting {
                value,
                origin: Origin::Flag(name),
            }));
        }
        if let Some((name, parse)) = variable
            && let Some(text) = (self.variables)(name)
        {
            let value = parse(text.to_string_lossy().into_owned())
                .map_err(|why| Failure::new(Code::Config, format!("variable {name}: {why}")))?;
            return Ok(Some(Setting {
                value,
                origin: Origin::Variable(name),
            }));
        }
        let origin = || Origin::File(self.file.clone());
        Ok(file.map(|value| Setting {
            value,
            origin: origin(),
        }))
    }
}

impl Choice<'_> {
    fn device_broker(
        &self,
        serve: &Serve,
        file: Option<String>,
    ) -> Result<Option<Setting<String>>, Failure> {
        let flag = serve.device_broker.clone();
        self.of(flag.map(|value| ("--device-broker", value)), None, file)
    }

    fn accept_risk(
        &self,
        serve: &Serve,
        file: Option<Vec<String>>,
    ) -> Result<Option<Setting<Vec<String>>>, Failure> {
        let flag = Some(serve.accept_risk.clone()).filter(|codes| !codes.is_empty());
        self.of(flag.map(|codes| ("--accept-risk", codes)), None, file)
    }
}

fn namespace(text: &str) -> Result<Namespace, Failure> {
    let parsed = text.parse::<Namespace>();
    parsed.map_err(|error| Failure::new(Code::Name, format!("--namespace {text:?}: {error}")))
}

fn path(text: String) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

fn or_default<T>(setting: Option<Setting<T>>, value: T) -> Setting<T> {
    setting.unwrap_or(Setting {
        value,
        origin: Origin::Default,
    })
}

impl Settings {
    /// Resolves every setting.
    ///
    /// # Errors
    /// `E_CONFIG` naming the file and line, the variable or the flag.
    pub(crate) fn resolve(
        global: &Global,
        serve: &Serve,
        variables: Variables<'_>,
    ) -> Result<Self, Failure> {
        let path_of_file = global.config.clone();
        let file = path_of_file
            .as_deref()
            .map(read)
            .transpose()?
            .unwrap_or_default();
        let choose = Choice {
            variables,
            file: path_of_file.unwrap_or_default(),
        };
        let namespace = serve.namespace.as_deref().map(namespace).transpose()?;
        let encryption = (file.tls_cert, file.tls_key, file.no_tls);
        let (hosts, terms) = ((file.listen, file.name), (file.client_ca, file.tls_min));
        let doors = DoorSettings::resolve(&choose, serve, hosts, encryption, terms)?;
        let data_dir = choose.of(
            global.data_dir.clone().map(|v| ("--data-dir", v)),
            Some(("HOIST_DATA_DIR", path)),
            file.data_dir,
        )?;
        let client = choose.of(
            global.client.clone().map(|v| ("--client", v)),
            Some(("HOIST_CLIENT", path)),
            file.client,
        )?;
        let output = choose.of(
            global.output.map(|v| ("--output", v)),
            Some(("HOIST_OUTPUT", |text| text.parse())),
            file.output,
        )?;
        let log = choose.of(None, Some(("HOIST_LOG", log_level)), file.log)?;
        let mqtt = choose.of(serve.mqtt.clone().map(|v| ("--mqtt", v)), None, file.mqtt)?;
        let http = choose.of(serve.http.clone().map(|v| ("--http", v)), None, file.http)?;
        let namespace = choose.of(namespace.map(|v| ("--namespace", v)), None, file.namespace)?;
        Ok(Self {
            data_dir: or_default(data_dir, PathBuf::from("./hoist-data")),
            client,
            broker: choose.of(
                serve.broker.clone().map(|v| ("--broker", v)),
                Some(("HOIST_BROKER", Ok)),
                file.broker,
            )?,
            device_broker: choose.device_broker(serve, file.device_broker)?,
            accept_risk: choose.accept_risk(serve, file.accept_risk)?,
            broker_user: choose.of(None, None, file.broker_user)?,
            broker_token_file: choose.of(
                None,
                Some(("HOIST_TOKEN_FILE", path)),
                file.broker_token_file,
            )?,
            broker_ca: choose.path(serve.broker_ca.as_ref(), "--broker-ca", file.broker_ca)?,
            token_file: choose.of(None, Some(("HOIST_TOKEN_FILE", path)), file.token_file)?,
            output: or_default(output, Format::Table),
            log: or_default(log, "info".to_owned()),
            mqtt: or_default(mqtt, "127.0.0.1:1883".to_owned()),
            http: or_default(http, "127.0.0.1:7883".to_owned()),
            doors,
            namespace: or_default(namespace, Namespace::default()),
            grace: or_default(choose.of(None, None, file.grace)?, Duration::from_secs(60)),
            settle: or_default(choose.of(None, None, file.settle)?, Duration::from_secs(30)),
            space_reserve_mib: or_default(choose.of(None, None, file.space_reserve_mib)?, 64),
            upload_quota_mib: or_default(choose.of(None, None, file.upload_quota_mib)?, 20 * 1024),
            keep_unused_artifacts: choose.of(None, None, file.keep_unused_artifacts)?,
            keep_ended_deployments: choose.of(None, None, file.keep_ended_deployments)?,
            keep_silent_devices: choose.of(None, None, file.keep_silent_devices)?,
        })
    }
}

/// Reads the settings file.
fn read(path: &Path) -> Result<File, Failure> {
    let text = hoist_server::private_file::read_named(path).map_err(|error| {
        Failure::because(
            Code::Config,
            format!("cannot read {}", path.display()),
            &error,
        )
    })?;
    parse_toml(path, &text, &FILE_KEYS)
}

#[cfg(test)]
mod tests;
