//! The files of Mosquitto 2.0: one listener for devices, on which names are client ids, so that
//! nobody ends another's session, and one for people and the orchestrator, who have many sessions.

use std::fmt::Write;

use hoist_protocol::access::PrincipalKind;

use super::{Login, Rendered, Secret, Site, TextFile, filter, hash, rules, word};

/// The words for what a rule allows.
const WORDS: [&str; 2] = ["write", "read"];

/// The configuration.
pub const CONFIG: &str = "mosquitto.conf";
/// The password file of people and the orchestrator.
pub const PEOPLE_PASSWORDS: &str = "people.passwords";
/// The password file of devices.
pub const DEVICE_PASSWORDS: &str = "devices.passwords";
/// The access list of people and the orchestrator.
pub const PEOPLE_ACL: &str = "people.acl";
/// The access list of devices.
pub const DEVICE_ACL: &str = "devices.acl";

/// The files. `kept` is the password file of people as it is: the line of a user stays whose token is
/// not known any more, if it is of the token that counts.
#[must_use]
pub fn render(site: &Site, kept: &str) -> Rendered {
    let mut without_password = Vec::new();
    let mut people = String::new();
    let not_devices = [PrincipalKind::Service, PrincipalKind::User];
    for login in not_devices.iter().flat_map(|party| site.of(*party)) {
        match password(login).or_else(|| kept_line(kept, login)) {
            Some(line) => people.push_str(&line),
            None => without_password.push(login.name.clone()),
        }
    }
    let devices = site.of(PrincipalKind::Device).filter_map(password);
    Rendered {
        files: vec![
            TextFile::open(CONFIG, config(site)),
            TextFile::open(PEOPLE_ACL, people_acl(site)),
            TextFile::open(DEVICE_ACL, device_acl(site)),
            TextFile::secret(PEOPLE_PASSWORDS, people),
            TextFile::secret(DEVICE_PASSWORDS, devices.collect()),
        ],
        without_password,
    }
}

fn password(login: &Login) -> Option<String> {
    match &login.secret {
        Secret::Token(token) => {
            let hash = hash::pbkdf2_sha512(&login.name, token);
            Some(format!("{}:{hash}\n", login.name))
        }
        Secret::Sha256(_) => None,
    }
}

/// The line of the very token that the user has now: a token that was taken away never comes in again.
fn kept_line(kept: &str, login: &Login) -> Option<String> {
    let Secret::Sha256(token_sha256) = &login.secret else {
        return None;
    };
    let start = hash::pbkdf2_start(&login.name, token_sha256);
    let start = format!("{}:{start}", login.name);
    let line = kept.lines().find(|line| line.starts_with(&start));
    line.map(|line| format!("{line}\n"))
}

fn config(site: &Site) -> String {
    let limits = &site.limits;
    let mut text = format!(
        "# Made by `hoist broker render mosquitto`, which writes it anew: settings of your own go
# into another file.
per_listener_settings true

# Empty after a restart, it is told everything anew; from a file it would give older values.
persistence false

# A larger packet would end the orchestrator's connection again and again.
max_packet_size {}
# What a whole fleet reports while the orchestrator is away.
max_queued_messages {}
max_queued_bytes {}
max_inflight_messages {}
persistent_client_expiration 7d
set_tcp_nodelay true
",
        limits.service_packet_bytes,
        limits.service_queue,
        limits.service_queue_bytes,
        limits.service_window,
    );
    let people = limits.user_connections + limits.operator_connections;
    text += "\n# Devices that come in with a token. A device's client id is its name.\n";
    listener(&mut text, site, site.device_port, limits.connections);
    text += "use_username_as_clientid true\nallow_anonymous false\n";
    lists(&mut text, site, Some(DEVICE_PASSWORDS), DEVICE_ACL);
    if let Some(port) = site.certificate_port {
        text += "\n# Devices that come in with a certificate, whose common name is the device.\n";
        listener(&mut text, site, port, limits.connections);
        let ca = site.path("clients.pem");
        let _ = writeln!(text, "cafile {ca}\nrequire_certificate true");
        text += "use_identity_as_username true\nuse_username_as_clientid true\n";
        text += "allow_anonymous false\n";
        lists(&mut text, site, None, DEVICE_ACL);
    }
    text += "\n# People, programs and the orchestrator: each has as many sessions as it likes.\n";
    listener(&mut text, site, site.people_port, people);
    text += "allow_anonymous false\n";
    lists(&mut text, site, Some(PEOPLE_PASSWORDS), PEOPLE_ACL);
    text
}

fn listener(text: &mut String, site: &Site, port: u16, connections: usize) {
    // Writing into a text cannot fail, here and below.
    let _ = writeln!(text, "listener {port} {}", site.host);
    let _ = writeln!(text, "max_connections {connections}");
    if site.is_encrypted {
        let (certificate, key) = (site.path("server.pem"), site.path("server.key"));
        let _ = writeln!(text, "certfile {certificate}\nkeyfile {key}");
        text.push_str("tls_version tlsv1.3\n");
    }
}

fn lists(text: &mut String, site: &Site, passwords: Option<&str>, acl: &str) {
    if let Some(passwords) = passwords {
        let _ = writeln!(text, "password_file {}", site.path(passwords));
    }
    let _ = writeln!(text, "acl_file {}", site.path(acl));
}

/// The access list of people names each of them: a pattern would be for everybody.
fn people_acl(site: &Site) -> String {
    let mut text = String::new();
    for party in [PrincipalKind::Service, PrincipalKind::User] {
        for login in site.of(party) {
            let _ = writeln!(text, "user {}", login.name);
            for rule in rules(party) {
                let filter = filter(rule, &site.namespace, &login.name);
                let _ = writeln!(text, "topic {} {filter}", word(rule.action, WORDS));
            }
            text.push('\n');
        }
    }
    text
}

/// The access list of devices is the same for any number of them, but for those that are out.
fn device_acl(site: &Site) -> String {
    let line = |rule| {
        let filter = filter(rule, &site.namespace, "%u");
        format!("pattern {} {filter}\n", word(rule.action, WORDS))
    };
    let mut text: String = rules(PrincipalKind::Device).map(line).collect();
    for device in &site.shut_out {
        // What is denied to a name goes before what is allowed to all.
        let _ = write!(text, "\nuser {device}\ntopic deny #\n");
    }
    text
}
