//! The configuration of a NATS server that speaks MQTT. It has one port for everybody, and no client
//! ids of its own: whoever has a password can end another's session.

use std::fmt::Write;

use hoist_protocol::access::{Action, PrincipalKind};
use hoist_protocol::topic::TOPIC_BYTES_MAX;

use super::{Login, Rendered, Secret, Site, TextFile, filter, hash, rules};

/// The configuration, passwords as hashes within.
pub const CONFIG: &str = "nats.conf";
/// Where what is delivered at QoS 1 comes from.
const DELIVERED: &str = "$MQTT.sub.>";

/// The file.
#[must_use]
pub fn render(site: &Site) -> Rendered {
    let mut without_password = Vec::new();
    let mut users = String::new();
    for login in &site.logins {
        match &login.secret {
            Secret::Token(token) => user(&mut users, site, (login, token)),
            Secret::Sha256(_) => without_password.push(login.name.clone()),
        }
    }
    Rendered {
        files: vec![TextFile::secret(CONFIG, config(site, &users))],
        without_password,
    }
}

fn config(site: &Site, users: &str) -> String {
    let limits = &site.limits;
    let mut text = format!(
        "# Made by `hoist broker render nats`, which writes it anew.
server_name: hoist
# Only MQTT is spoken to others.
listen: 127.0.0.1:4222
max_connections: {}
max_payload: {}
jetstream {{ store_dir: \"{}\" }}
mqtt {{
  listen: \"{}:{}\"
  max_ack_pending: {}
",
        limits.connections,
        limits.service_packet_bytes - TOPIC_BYTES_MAX,
        site.path("jetstream"),
        site.host,
        site.device_port,
        limits.service_window,
    );
    if site.is_encrypted {
        let (certificate, key) = (site.path("server.pem"), site.path("server.key"));
        // Writing into a text cannot fail, here and below.
        let _ = writeln!(
            text,
            "  tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}"
        );
    }
    text + "}\nauthorization {\n  users: [\n" + users + "  ]\n}\n"
}

fn user(text: &mut String, site: &Site, (login, token): (&Login, &str)) {
    let Login { name, party, .. } = login;
    let hash = hash::bcrypt(name, token);
    let _ = writeln!(text, "    {{ user: \"{name}\", password: \"{hash}\",");
    let _ = writeln!(
        text,
        "      allowed_connection_types: [\"MQTT\"], permissions: {{"
    );
    for (word, action) in [
        ("publish", Action::Publish),
        ("subscribe", Action::Subscribe),
    ] {
        let _ = writeln!(
            text,
            "        {word}: {{ allow: [{}] }}",
            subjects(site, name, *party, action)
        );
    }
    text.push_str("      } }\n");
}

fn subjects(site: &Site, name: &str, party: PrincipalKind, action: Action) -> String {
    let such = rules(party).filter(|rule| rule.action == action);
    let filters = such.map(|rule| filter(rule, &site.namespace, name));
    let mut subjects = Vec::new();
    for filter in filters {
        // `a/#` is `a` as well.
        let parent = filter.strip_suffix("/#").map(subject);
        subjects.extend(parent.filter(|_| action == Action::Subscribe));
        subjects.push(subject(&filter));
    }
    if action == Action::Subscribe {
        subjects.push(DELIVERED.to_owned());
    }
    let quoted: Vec<_> = subjects
        .iter()
        .map(|subject| format!("\"{subject}\""))
        .collect();
    quoted.join(", ")
}

/// A filter as NATS writes it.
fn subject(filter: &str) -> String {
    filter.replace('/', ".").replace('+', "*").replace('#', ">")
}
