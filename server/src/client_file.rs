//! `client.toml`: where the server is and who is asking. Whoever can read it can do what
//! its user may do.

use std::path::{Path, PathBuf};

use hoist_net::tls::{Pem, Trust};
use hoist_protocol::code::Code;
use hoist_protocol::id::{Namespace, UserId};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, of_tls};
use crate::private_file;
use crate::toml_file::parse_toml;

/// The file's content.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFile {
    /// `mqtt://host:port`, or `mqtts`.
    pub mqtt: String,
    /// The same for devices, when it is another address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_mqtt: Option<String>,
    /// `http://host:port`, or `https`.
    pub http: String,
    /// First topic level.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespace: Namespace,
    /// The user who asks.
    pub user: UserId,
    /// The user's token.
    pub token: String,
    /// The CA that the server is believed by, as PEM, for `mqtts` and `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The same in a file, beside this one; [`ClientFile::read`] takes it into `ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

const KEYS: [&str; 8] = [
    "mqtt",
    "device_mqtt",
    "http",
    "namespace",
    "user",
    "token",
    "ca",
    "ca_file",
];

fn is_default(namespace: &Namespace) -> bool {
    *namespace == Namespace::default()
}

impl ClientFile {
    /// Where devices connect.
    pub fn device_mqtt(&self) -> &str {
        self.device_mqtt.as_deref().unwrap_or(&self.mqtt)
    }

    /// The file's text.
    pub fn render(&self) -> String {
        // Strings: there is nothing TOML could refuse.
        toml::to_string(self).unwrap_or_default()
    }

    /// Reads one.
    ///
    /// # Errors
    /// `E_CONFIG` naming the file and line.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = private_file::read_named(path).map_err(|error| {
            Failure::because(
                Code::Config,
                format!("cannot read {}", path.display()),
                &error,
            )
        })?;
        let mut file: Self = parse_toml(path, &text, &KEYS)?;
        if let Some(ca) = file.ca_file.take() {
            let ca = path.parent().unwrap_or(Path::new(".")).join(ca);
            let text = private_file::read_named(&ca).map_err(|error| {
                let what = format!("cannot read `ca_file` {}", ca.display());
                Failure::because(Code::Config, what, &error)
            })?;
            file.ca = Some(text);
        }
        Ok(file)
    }

    /// The certificates that the server is believed by.
    ///
    /// # Errors
    /// `E_CERT` when `ca` has none in it.
    pub fn trust(&self) -> Result<Trust, Failure> {
        let Some(ca) = &self.ca else {
            return Ok(Trust::default());
        };
        let text = ca.as_bytes();
        let name = "`ca` of client.toml";
        Trust::pinned(Pem { name, text }).map_err(|error| of_tls(&error))
    }

    /// Addresses are shown and copied into what `device add` prints: no place for a secret.
    ///
    /// # Errors
    /// `E_CONFIG` for an address that holds one.
    pub fn refuse_passwords(&self) -> Result<(), Failure> {
        let mut addresses = [
            ("mqtt", self.mqtt.as_str()),
            ("device_mqtt", self.device_mqtt()),
            ("http", &self.http),
        ]
        .into_iter();
        match addresses.find(|(_, address)| address.contains('@')) {
            None => Ok(()),
            Some((key, _)) => Err(Failure::new(
                Code::Config,
                format!("the address `{key}` holds a user name or password"),
            )
            .help("take it out: `user` and `token` in client.toml are what the server asks for")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(user: &str) -> ClientFile {
        ClientFile {
            mqtt: "mqtt://127.0.0.1:1883".into(),
            device_mqtt: None,
            http: "http://127.0.0.1:7883".into(),
            namespace: Namespace::default(),
            user: user.parse().unwrap(),
            token: "secret".into(),
            ca: None,
            ca_file: None,
        }
    }

    #[test]
    fn the_file_reads_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.toml");
        std::fs::write(&path, sample("admin").render()).unwrap();
        assert!(ClientFile::read(&path).is_ok_and(|file| file == sample("admin")));
    }

    #[test]
    fn an_address_with_a_password_is_refused_and_not_repeated() {
        for change in [
            |file: &mut ClientFile| file.mqtt = "mqtt://admin:hunter2@host:1883".into(),
            |file: &mut ClientFile| file.http = "http://hunter2@host:7883".into(),
        ] {
            let mut file = sample("admin");
            change(&mut file);
            let failure = file.refuse_passwords().unwrap_err();
            assert!(!format!("{failure:?}").contains("hunter2"));
        }
        assert!(sample("admin").refuse_passwords().is_ok());
    }
}
