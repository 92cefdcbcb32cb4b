//! The folder with the files of a broker that somebody runs beside the server. What the files say is
//! in `hoist_broker_config::render`.

use std::path::{Path, PathBuf};

use hoist_broker_config::Limits;
use hoist_broker_config::render::{
    Login, Rendered, Site, TextFile, emqx, mosquitto, nats, rabbitmq,
};
use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_orchestrator::durable_file;
use hoist_protocol::code::Code;
use hoist_protocol::id::{DeviceId, Namespace};

use crate::client_file::ClientFile;
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::logins::{Devices, logins, told_apart};
use crate::private_file::{self, PrivateFileError};
use crate::tls::{Encryption, for_broker};
use crate::token::random_token;

/// The orchestrator's password at the broker.
const ORCHESTRATOR_TOKEN: &str = "orchestrator.token";
/// The CA that clients of the broker pin.
const CA: &str = "ca.pem";
/// The CA of the certificates of devices.
const CLIENT_CA: &str = "clients.pem";
/// Ports where nobody names one.
const PORT_ENCRYPTED: u16 = 8883;
const PORT_PLAIN: u16 = 1883;
/// Others may read them.
const MODE_PUBLIC: u32 = 0o644;

/// The brokers that files can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Mosquitto 2.0.
    Mosquitto,
    /// EMQX 5.8.
    Emqx,
    /// NATS 2.10.
    Nats,
    /// RabbitMQ with its MQTT plugin.
    RabbitMq,
}

impl Kind {
    /// True if devices have a listener of their own.
    fn has_doors(self) -> bool {
        match self {
            Self::Mosquitto | Self::Emqx => true,
            Self::Nats | Self::RabbitMq => false,
        }
    }

    /// True if rules depend on the listener, so that a device and a user may have one name.
    fn knows_devices_from_people(self) -> bool {
        match self {
            Self::Mosquitto => true,
            Self::Emqx | Self::Nats | Self::RabbitMq => false,
        }
    }
}

/// The terms of a broker.
#[derive(Debug)]
pub struct Terms<'a> {
    /// Which one.
    pub kind: Kind,
    /// Where it finds the files, if that is not where they are written.
    pub folder: Option<String>,
    /// First level of every topic.
    pub namespace: Namespace,
    /// Where it listens.
    pub host: String,
    /// The first of its ports.
    pub port: Option<u16>,
    /// The way in which what clients say is encrypted.
    pub encryption: &'a Encryption,
    /// What clients connect to; the first is what they are told.
    pub names: &'a [String],
    /// The CA of certificates that devices come in with.
    pub client_ca: Option<&'a Path>,
    /// Client files of users whose passwords are to be made.
    pub users: &'a [PathBuf],
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// Where people and the orchestrator connect.
    pub broker: String,
    /// Where devices do.
    pub device_broker: String,
    /// Files in the folder.
    pub files: Vec<String>,
    /// The file with the orchestrator's password.
    pub orchestrator_token: PathBuf,
    /// The file with the CA, if anything is encrypted.
    pub ca: Option<PathBuf>,
    /// Names that may come in.
    pub logins: usize,
    /// Users without a password.
    pub without_password: Vec<String>,
}

/// The folder.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The one there, made where it is missing.
    ///
    /// # Errors
    /// `E_FILE` for one that cannot be written, or is part of a data directory.
    pub fn open(path: &Path, data_dir: &DataDir) -> Result<Self, Failure> {
        private_file::create_dir(path).map_err(|error| unwritable(&error))?;
        let path = std::fs::canonicalize(path)
            .map_err(|error| unwritable(&PrivateFileError::io("find", path)(error)))?;
        let outside = private_file::check_outside(&path.join(CA), data_dir.root());
        outside.map_err(|error| unwritable(&error))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the files.
    ///
    /// # Errors
    /// `E_FILE`, `E_NAME` for a device with the name of a user where rules go by name, and those of
    /// keys, users and certificates.
    pub fn write(
        &self,
        data_dir: &DataDir,
        devices: &Devices,
        terms: &Terms<'_>,
    ) -> Result<Written, Failure> {
        let orchestrator = self.orchestrator_token()?;
        let tokens = tokens(data_dir, terms.users)?;
        let shown = (orchestrator.as_str(), tokens.as_slice());
        let logins = logins(data_dir, &terms.namespace, devices, shown)?;
        if !terms.kind.knows_devices_from_people() {
            told_apart(&logins)?;
        }
        let certificate = for_broker(data_dir, terms.encryption, terms.names)?;
        let shut_out = match terms.client_ca {
            Some(_) => devices.shut_out().cloned().collect(),
            None => Vec::new(),
        };
        let site = self.site(terms, logins, shut_out);
        let rendered = self.render(terms.kind, &site);
        for file in &rendered.files {
            self.put(file.name, &file.text, file.is_secret)?;
        }
        if let Some(certificate) = &certificate {
            self.put(CA, &certificate.ca, false)?;
            self.put("server.pem", &certificate.chain, false)?;
            self.put("server.key", &certificate.key, true)?;
        }
        if let Some(ca) = terms.client_ca {
            self.put(CLIENT_CA, &read_ca(ca)?, false)?;
        }
        Ok(self.written(&site, rendered, terms.names.first()))
    }

    fn site(&self, terms: &Terms<'_>, logins: Vec<Login>, shut_out: Vec<DeviceId>) -> Site {
        let is_encrypted = *terms.encryption != Encryption::None;
        let port = terms.port.unwrap_or(match is_encrypted {
            true => PORT_ENCRYPTED,
            false => PORT_PLAIN,
        });
        let here = || self.path.display().to_string();
        Site {
            namespace: terms.namespace.clone(),
            folder: terms.folder.clone().unwrap_or_else(here),
            host: terms.host.clone(),
            device_port: port,
            people_port: port + u16::from(terms.kind.has_doors()),
            certificate_port: terms.client_ca.is_some().then_some(port + 2),
            is_encrypted,
            limits: Limits::default(),
            logins,
            shut_out,
        }
    }

    fn render(&self, kind: Kind, site: &Site) -> Rendered {
        match kind {
            Kind::Mosquitto => {
                let kept = self.path.join(mosquitto::PEOPLE_PASSWORDS);
                let kept = private_file::read_named(&kept).unwrap_or_default();
                mosquitto::render(site, &kept)
            }
            Kind::Emqx => emqx::render(site),
            Kind::Nats => nats::render(site),
            Kind::RabbitMq => rabbitmq::render(site),
        }
    }

    /// The orchestrator's password: made once, so that a server which uses it goes on.
    fn orchestrator_token(&self) -> Result<String, Failure> {
        let path = self.path.join(ORCHESTRATOR_TOKEN);
        if path.exists() {
            let text = private_file::read(&path).map_err(|error| {
                Failure::because(Code::Secret, "the orchestrator's password", &error)
                    .help(Code::Secret.hint())
            })?;
            return Ok(String::from_utf8_lossy(&text).trim().to_owned());
        }
        let token = random_token()?;
        self.put(ORCHESTRATOR_TOKEN, &format!("{token}\n"), true)?;
        Ok(token)
    }

    fn put(&self, name: &str, text: &str, is_secret: bool) -> Result<(), Failure> {
        let path = self.path.join(name);
        let written = match is_secret {
            true => private_file::write(&path, text.as_bytes()),
            false => durable_file::write(&path, text.as_bytes(), MODE_PUBLIC)
                .map_err(PrivateFileError::io("write", &path)),
        };
        written.map_err(|error| unwritable(&error))
    }

    fn written(&self, site: &Site, rendered: Rendered, name: Option<&String>) -> Written {
        let scheme = match site.is_encrypted {
            true => Scheme::Mqtts,
            false => Scheme::Mqtt,
        };
        let host = name.map_or("127.0.0.1", String::as_str);
        let at = |port: u16| Endpoint::of(scheme, host, port);
        let name = |file: TextFile| file.name.to_owned();
        Written {
            broker: at(site.people_port).to_string(),
            device_broker: at(site.device_port).to_string(),
            files: rendered.files.into_iter().map(name).collect(),
            orchestrator_token: self.path.join(ORCHESTRATOR_TOKEN),
            ca: site.is_encrypted.then(|| self.path.join(CA)),
            logins: site.logins.len(),
            without_password: rendered.without_password,
        }
    }
}

/// The tokens that are known: the first administrator's, and those that somebody shows.
fn tokens(data_dir: &DataDir, named: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let first = Some(data_dir.client()).filter(|file| file.exists());
    let token = |file: &PathBuf| ClientFile::read(file).map(|file| file.token);
    first.iter().chain(named).map(token).collect()
}

fn read_ca(path: &Path) -> Result<String, Failure> {
    private_file::read_named(path).map_err(|error| {
        let what = format!("cannot read --client-ca {}", path.display());
        Failure::because(Code::Config, what, &error)
    })
}

fn unwritable(error: &PrivateFileError) -> Failure {
    Failure::because(Code::File, "--out", error).help("name another folder with --out")
}
