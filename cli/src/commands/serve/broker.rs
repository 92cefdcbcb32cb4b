//! The broker that a server works with and the addresses where it listens, as its settings say.
//! Nothing is started or connected here.

use std::net::SocketAddr;
use std::path::Path;

use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::{Pem, Trust};
use hoist_protocol::code::Code;
use hoist_server::broker::{BrokerConfig, EMBEDDED, External, SERVICE_USER};
use hoist_server::doctor::RISKS;
use hoist_server::failure::{Failure, of_tls};
use hoist_server::private_file::{self, PrivateFileError};

use crate::settings::{Origin, Settings};

/// The remedy for a broker elsewhere.
const ENCRYPT: &str = "reach it by mqtts:// with --broker-ca, or let a tunnel on this machine lead \
     there, and name that as mqtt://127.0.0.1:PORT";

/// The broker that the settings name, or its own, which listens there.
///
/// # Errors
/// `E_CONFIG`, `E_INSECURE` for an address that others could listen to, `E_SECRET` for a token
/// file that others can read.
pub(crate) fn broker(settings: &Settings, mqtt: SocketAddr) -> Result<BrokerConfig, Failure> {
    let named = settings.broker.as_ref().map(|named| named.value.as_str());
    let Some(url) = named.filter(|named| *named != EMBEDDED) else {
        return Ok(BrokerConfig::Embedded(mqtt));
    };
    if settings.mqtt.origin != Origin::Default {
        let what = format!("the broker is {url}, so there is nothing that listens at --mqtt");
        return Err(Failure::new(Code::Config, what).help("leave one of the two out"));
    }
    let (broker, socket) = found(url)?;
    let devices = settings.device_broker.as_ref();
    let devices = devices.map(|devices| found(&devices.value)).transpose()?;
    let ca = settings.broker_ca.as_ref().map(|ca| read_ca(&ca.value));
    let ca = ca.transpose()?;
    let trust = trust(&broker, ca.as_deref())?;
    let user = settings.broker_user.as_ref();
    let token = settings.broker_token_file.as_ref();
    Ok(BrokerConfig::External(Box::new(External {
        broker,
        devices: devices.map(|(devices, _)| devices),
        socket,
        trust,
        ca,
        user: user.map_or_else(|| SERVICE_USER.to_owned(), |user| user.value.clone()),
        token: token.map(|file| read_token(&file.value)).transpose()?,
    })))
}

/// The risks of another broker that are taken.
///
/// # Errors
/// `E_CONFIG` for what is none.
pub(crate) fn accepted_risks(settings: &Settings) -> Result<Vec<Code>, Failure> {
    let named = settings.accept_risk.as_ref();
    let named = named.map_or(&[][..], |named| named.value.as_slice());
    let risk = |text: &String| {
        let code = Code::parse(text).filter(|code| RISKS.contains(code));
        code.ok_or_else(|| {
            let all: Vec<_> = RISKS.iter().map(|code| code.as_str()).collect();
            let what = format!("--accept-risk {text:?} is no risk of a broker");
            Failure::new(Code::Config, what).help(format!("name one of {}", all.join(", ")))
        })
    };
    named.iter().map(risk).collect()
}

/// The certificates that a broker is believed by.
fn trust(broker: &Endpoint, ca: Option<&str>) -> Result<Trust, Failure> {
    match ca {
        None if broker.scheme().is_encrypted() => {
            let what = format!("the broker is {broker}, and nothing says whose certificate it has");
            Err(Failure::new(Code::Config, what)
                .help("name the certificate of its CA, as PEM, with --broker-ca"))
        }
        None => Ok(Trust::default()),
        Some(text) => {
            let (name, text) = ("--broker-ca", text.as_bytes());
            Trust::pinned(Pem { name, text }).map_err(|error| of_tls(&error))
        }
    }
}

pub(crate) fn read_ca(path: &Path) -> Result<String, Failure> {
    private_file::read_named(path).map_err(|error| {
        let what = format!("cannot read --broker-ca {}", path.display());
        Failure::because(Code::Config, what, &error)
    })
}

/// A broker and where it is: without TLS on this machine.
fn found(url: &str) -> Result<(Endpoint, SocketAddr), Failure> {
    let broker = match Endpoint::parse(url) {
        // Also in a text that is no address: it may not be repeated.
        _ if url.contains('@') => {
            let what = "the address of the broker holds a user name or password";
            return Err(Failure::new(Code::Config, what).help(
                "take it out: `broker_user` and `broker_token_file` are the settings for that",
            ));
        }
        Ok(broker) if is_broker(&broker) => broker,
        _ => {
            let what = format!("{url:?} is not an address of a broker");
            return Err(Failure::new(Code::Config, what)
                .help("write `--broker mqtts://HOST:PORT` with --broker-ca, `--broker mqtt://127.0.0.1:PORT`, or `--broker embedded`"));
        }
    };
    let sockets = broker.resolve().map_err(|error| {
        Failure::because(
            Code::Config,
            format!("cannot find the broker {url}"),
            &error,
        )
    })?;
    match sockets.first() {
        Some(first)
            if broker.scheme().is_encrypted()
                || sockets.iter().all(|socket| socket.ip().is_loopback()) =>
        {
            Ok((broker, *first))
        }
        _ => {
            let what = format!("the broker {url} is elsewhere, and nothing would be encrypted");
            Err(Failure::new(Code::Insecure, what).help(ENCRYPT))
        }
    }
}

/// True if the address is `mqtt[s]://host:port`.
fn is_broker(at: &Endpoint) -> bool {
    let names_all = at.written_port().is_some() && at.path().trim_matches('/').is_empty();
    at.scheme().encrypted() == Scheme::Mqtts && names_all
}

pub(crate) fn read_token(path: &Path) -> Result<String, Failure> {
    let what = "the token for the broker";
    let bytes = private_file::read(path).map_err(|error| match error {
        PrivateFileError::Exposed { .. } => Failure::because(Code::Secret, what, &error)
            .help("chmod 600 the file, and think about who has read it"),
        PrivateFileError::Io { .. } => Failure::because(Code::Config, what, &error),
    })?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    match text.trim() {
        "" => {
            let what = format!("{} holds no token", path.display());
            Err(Failure::new(Code::Config, what).help("write the orchestrator's password into it"))
        }
        token => Ok(token.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::args::{Global, Serve};
    use crate::exit;

    fn of(flag: &str, mqtt: Option<&str>) -> Result<BrokerConfig, Failure> {
        let serve = Serve {
            broker: Some(flag.to_owned()),
            mqtt: mqtt.map(str::to_owned),
            ..Serve::default()
        };
        read(&Settings::resolve(&Global::default(), &serve, &|_| None).unwrap())
    }

    fn read(settings: &Settings) -> Result<BrokerConfig, Failure> {
        broker(settings, "127.0.0.1:0".parse().unwrap())
    }

    fn refused(flag: &str) -> (String, u8) {
        let failure = of(flag, None).unwrap_err();
        assert!(failure.help.is_some(), "{failure}");
        (failure.code.clone(), exit::of(&failure))
    }

    #[test]
    fn the_broker_is_embedded_unless_another_is_named() {
        let none = Settings::resolve(&Global::default(), &Serve::default(), &|_| None).unwrap();
        for config in [read(&none), of("embedded", None)] {
            assert!(matches!(config, Ok(BrokerConfig::Embedded(_))));
        }
        let Ok(BrokerConfig::External(named)) = of("mqtt://127.0.0.1:1884", None) else {
            panic!("it is external");
        };
        assert_eq!(named.broker.to_string(), "mqtt://127.0.0.1:1884");
        assert_eq!((named.user.as_str(), named.token), (SERVICE_USER, None));
    }

    #[test]
    fn a_broker_elsewhere_without_tls_or_one_that_nobody_vouches_for_is_refused_by_name() {
        let exposed = ("E_INSECURE".to_owned(), exit::USAGE);
        assert_eq!(refused("mqtt://192.0.2.1:1883"), exposed);
        for wrong in [
            "mqtts://127.0.0.1:8883",
            "127.0.0.1:1883",
            "mqtt://127.0.0.1",
            "none",
        ] {
            assert_eq!(refused(wrong).0, "E_CONFIG", "{wrong}");
        }
        let failure = of("mqtt://u:hunter2@127.0.0.1:1883", None).unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2"));
    }

    #[test]
    fn an_address_to_listen_at_is_refused_beside_a_broker_of_others() {
        let refused = of("mqtt://127.0.0.1:1884", Some("127.0.0.1:0")).unwrap_err();
        assert_eq!(refused.code, "E_CONFIG");
        assert!(of("embedded", Some("127.0.0.1:0")).is_ok());
    }

    #[test]
    fn the_token_comes_from_a_file_of_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        // bad-inputs row 70
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        private_file::write(&path, b" secret\n").unwrap();
        let variables = |name: &str| -> Option<OsString> {
            match name {
                "HOIST_BROKER" => Some("mqtt://127.0.0.1:1884".into()),
                "HOIST_TOKEN_FILE" => Some(path.clone().into_os_string()),
                _ => None,
            }
        };
        let config = || {
            let settings = Settings::resolve(&Global::default(), &Serve::default(), &variables);
            read(&settings.unwrap())
        };
        let Ok(BrokerConfig::External(named)) = config() else {
            panic!("it is external");
        };
        assert_eq!(named.token.as_deref(), Some("secret"));
        assert!(!format!("{named:?}").contains("secret"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(config().unwrap_err().code, "E_SECRET");
        private_file::write(&path, b"\n").unwrap();
        assert_eq!(config().unwrap_err().code, "E_CONFIG");
    }
}
