//! Where a server listens, what it is called, and how what is said there is encrypted: as the
//! settings say. Nothing is started here.

use std::net::{IpAddr, SocketAddr};

use hoist_net::endpoint;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use hoist_server::tls::{Encryption, TlsMin, TlsTerms};

use crate::settings::{Setting, Settings};

/// The longest name of a host (RFC 1035, 2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// The doors of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Doors {
    /// For MQTT, where the broker is its own.
    pub(crate) mqtt: SocketAddr,
    pub(crate) http: SocketAddr,
    /// The hosts that clients connect to; the first is the one they are told.
    pub(crate) names: Vec<String>,
    pub(crate) encryption: Encryption,
    pub(crate) tls: TlsTerms,
}

/// Reads them.
///
/// # Errors
/// `E_INSECURE` for an address that others could reach without TLS, `E_NAME` for a name that no
/// host has, `E_CONFIG` for what contradicts itself or is missing.
pub(crate) fn doors(settings: &Settings) -> Result<Doors, Failure> {
    let listen = settings
        .doors
        .listen
        .as_ref()
        .map(|listen| listen.value.as_str());
    let mqtt = address("--mqtt", &settings.mqtt.value, listen)?;
    let http = address("--http", &settings.http.value, listen)?;
    let mut names = names(settings.doors.name.as_ref())?;
    let encryption = encryption(settings, &names)?;
    if encryption == Encryption::None {
        for (flag, at) in [("--mqtt", mqtt), ("--http", http)] {
            refuse_open(flag, at)?;
        }
    }
    if encryption == Encryption::Own && names.is_empty() {
        if http.ip().is_unspecified() {
            let what = format!("--listen {} says no name that clients could use", http.ip());
            return Err(Failure::new(Code::Config, what).help(
                "name what they connect to: --name fleet.example.com, or --name with the address",
            ));
        }
        names.push(http.ip().to_string());
    }
    Ok(Doors {
        mqtt,
        http,
        names,
        tls: terms(settings, &encryption)?,
        encryption,
    })
}

/// The terms of TLS, which mean nothing without it.
fn terms(settings: &Settings, encryption: &Encryption) -> Result<TlsTerms, Failure> {
    let (client_ca, min) = (&settings.doors.client_ca, &settings.doors.tls_min);
    let flag = match (client_ca, min) {
        (Some(_), _) => "--client-ca",
        (None, Some(_)) => "--tls-min",
        (None, None) => return Ok(TlsTerms::default()),
    };
    if *encryption == Encryption::None {
        let what = format!("{flag} is for TLS, and nothing is encrypted here");
        return Err(Failure::new(Code::Config, what)
            .help("leave it out, or name what clients connect to with --name"));
    }
    let min = min.as_ref().map_or("1.3", |min| min.value.as_str());
    let min = match min {
        "1.3" => TlsMin::V1_3,
        "1.2" => TlsMin::V1_2,
        other => {
            let what = format!("--tls-min {other:?} is no version of TLS that is spoken here");
            return Err(Failure::new(Code::Config, what).help("write 1.2 or 1.3"));
        }
    };
    Ok(TlsTerms {
        min,
        client_ca: client_ca.as_ref().map(|set| set.value.clone()),
    })
}

fn encryption(settings: &Settings, names: &[String]) -> Result<Encryption, Failure> {
    let (certificate, key) = (
        settings.doors.tls_cert.as_ref(),
        settings.doors.tls_key.as_ref(),
    );
    let given = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Encryption::Given {
            certificate: certificate.value.clone(),
            key: key.value.clone(),
        }),
        _ => {
            let what = "a certificate and its key belong together, and only one of them is named";
            return Err(Failure::new(Code::Config, what).help("name --tls-cert and --tls-key"));
        }
    };
    if settings.doors.no_tls.value {
        return match given {
            None => Ok(Encryption::None),
            Some(_) => {
                let what = "--no-tls and --tls-cert contradict each other";
                Err(Failure::new(Code::Config, what).help("leave one of the two out"))
            }
        };
    }
    let wants_own = !names.is_empty() || settings.doors.listen.is_some();
    Ok(given.unwrap_or(match wants_own {
        true => Encryption::Own,
        false => Encryption::None,
    }))
}

/// An address to listen at; `--listen` gives it another host.
fn address(flag: &str, text: &str, listen: Option<&str>) -> Result<SocketAddr, Failure> {
    let named = match listen {
        None => endpoint::listening(text),
        Some(host) => {
            let port = text.rsplit_once(':').map(|(_, port)| port);
            let host = host.trim_matches(['[', ']']);
            port.and_then(|port| match host.contains(':') {
                true => endpoint::listening(&format!("[{host}]:{port}")),
                false => endpoint::listening(&format!("{host}:{port}")),
            })
        }
    };
    named.ok_or_else(|| {
        let (flag, text) = match listen {
            Some(host) => ("--listen", host),
            None => (flag, text),
        };
        Failure::new(
            Code::Config,
            format!("{flag} {text:?} is not an address to listen at"),
        )
        .help("write --mqtt 127.0.0.1:1883 with a port, where 0 takes a free one, or --listen 0.0.0.0 without")
    })
}

/// Tokens would travel in clear, so only this machine may reach it.
fn refuse_open(flag: &str, at: SocketAddr) -> Result<(), Failure> {
    if at.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::new(
        Code::Insecure,
        format!("{flag} {at} can be reached by others, and nothing would be encrypted"),
    )
    .help(
        "`hoist serve --listen 0.0.0.0 --name fleet.example.com` makes a certificate; or name one with --tls-cert and --tls-key; or listen on 127.0.0.1",
    ))
}

fn names(setting: Option<&Setting<String>>) -> Result<Vec<String>, Failure> {
    let Some(setting) = setting else {
        return Ok(Vec::new());
    };
    let names = setting.value.split(',').map(str::trim);
    names.map(name).collect()
}

/// A host as a certificate can name it.
fn name(text: &str) -> Result<String, Failure> {
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= NAME_BYTES_MAX && text.split('.').all(is_label) {
        return Ok(text.to_ascii_lowercase());
    }
    let shown: String = text.chars().take(64).collect();
    let what = format!("--name {shown:?} is no name and no address of a host");
    Err(Failure::new(Code::Name, what)
        .help("write it like fleet.example.com or 10.0.0.7, several with commas between"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Broker, Cli, Command, Global, Serve};
    use crate::exit;

    fn of(serve: &Serve) -> Result<Doors, Failure> {
        doors(&Settings::resolve(&Global::default(), serve, &|_| None).unwrap())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn only_addresses_of_this_machine_are_listened_on_without_tls() {
        let at = |mqtt: &str| Serve {
            mqtt: some(mqtt),
            ..Serve::default()
        };
        for here in ["127.0.0.1:0", "[::1]:1883"] {
            assert_eq!(of(&at(here)).unwrap().encryption, Encryption::None);
        }
        let mut open = Vec::from(["0.0.0.0:0", "[::]:1883", "192.0.2.1:1883"].map(at));
        open.push(Serve {
            listen: some("0.0.0.0"),
            no_tls: true,
            ..Serve::default()
        });
        for open in open {
            let failure = of(&open).unwrap_err();
            let code = (failure.code.as_str(), exit::of(&failure));
            assert_eq!(code, ("E_INSECURE", exit::USAGE), "{failure}");
        }
        assert_eq!(of(&at("1883")).unwrap_err().code, "E_CONFIG");
    }

    #[test]
    fn a_name_or_an_address_for_others_brings_a_certificate_with_it() {
        let doors = of(&Serve {
            listen: some("0.0.0.0"),
            name: some("Fleet.example.com, 10.0.0.7"),
            http: some("127.0.0.1:0"),
            ..Serve::default()
        });
        let doors = doors.unwrap();
        assert_eq!(doors.encryption, Encryption::Own);
        assert_eq!(doors.names, ["fleet.example.com", "10.0.0.7"]);
        assert_eq!(doors.http.to_string(), "0.0.0.0:0");
        assert_eq!(doors.mqtt.to_string(), "0.0.0.0:1883");
        // Behind a proxy that encrypts.
        let plain = of(&Serve {
            name: some("fleet.example.com"),
            no_tls: true,
            ..Serve::default()
        });
        let plain = plain.unwrap();
        assert_eq!(plain.encryption, Encryption::None);
        assert_eq!(plain.names, ["fleet.example.com"]);
        let one = of(&Serve {
            listen: some("::1"),
            ..Serve::default()
        });
        assert_eq!(one.unwrap().names, ["::1"]);
        let given = of(&Serve {
            mqtt: some("0.0.0.0:8883"),
            http: some("0.0.0.0:443"),
            tls_cert: Some("a.pem".into()),
            tls_key: Some("a.key".into()),
            ..Serve::default()
        });
        assert!(matches!(
            given.unwrap().encryption,
            Encryption::Given { .. }
        ));
    }

    #[test]
    fn files_for_a_broker_have_a_door_for_certificates_only_where_tls_is_spoken() {
        let render = |line: &str| {
            let line = format!("hoist broker render emqx --out d --client-ca a {line}");
            let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
            let Command::Broker(Broker::Render(render)) = cli.command else {
                unreachable!()
            };
            of(&render.doors())
        };
        for plain in ["", "--no-tls"] {
            assert_eq!(render(plain).unwrap_err().code, "E_CONFIG", "{plain}");
        }
        let doors = render("--name a.example").unwrap();
        assert_eq!(doors.tls.client_ca, Some("a".into()));
    }

    #[test]
    fn terms_of_tls_are_for_tls_and_of_a_version_that_is_spoken() {
        let without = Serve {
            client_ca: Some("a".into()),
            ..Serve::default()
        };
        let spoken = |min: &str| Serve {
            name: some("a.example"),
            tls_min: some(min),
            ..Serve::default()
        };
        for wrong in [without, spoken("1.1")] {
            assert_eq!(of(&wrong).unwrap_err().code, "E_CONFIG");
        }
        assert_eq!(of(&spoken("1.2")).unwrap().tls.min, TlsMin::V1_2);
        assert_eq!(of(&spoken("1.3")).unwrap().tls, TlsTerms::default());
    }

    #[test]
    fn what_contradicts_itself_or_is_no_name_is_refused_by_name() {
        let cases = [
            (
                Serve {
                    listen: some("0.0.0.0"),
                    ..Serve::default()
                },
                "E_CONFIG",
            ),
            (
                Serve {
                    tls_cert: Some("a".into()),
                    ..Serve::default()
                },
                "E_CONFIG",
            ),
            (
                Serve {
                    listen: some("no host"),
                    ..Serve::default()
                },
                "E_CONFIG",
            ),
            (
                Serve {
                    name: some("a b"),
                    ..Serve::default()
                },
                "E_NAME",
            ),
            (
                Serve {
                    name: some("a.example,"),
                    ..Serve::default()
                },
                "E_NAME",
            ),
            (
                Serve {
                    name: Some("x".repeat(300)),
                    ..Serve::default()
                },
                "E_NAME",
            ),
        ];
        for (serve, code) in cases {
            let failure = of(&serve).unwrap_err();
            assert_eq!(failure.code, code, "{failure}");
            assert!(failure.help.is_some(), "{failure}");
        }
    }
}
