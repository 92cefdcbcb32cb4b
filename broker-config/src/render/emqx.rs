//! The files of EMQX 5.8 and later: a listener and a zone for devices, in which names are client ids,
//! and another of each for people and the orchestrator.

use std::fmt::Write;

use data_encoding::HEXLOWER;
use hoist_protocol::access::PrincipalKind;

use super::{Login, Rendered, Secret, Site, TextFile, filter, rules, word};
use crate::credentials::hash_user_token;

/// The words for what a rule allows.
const WORDS: [&str; 2] = ["publish", "subscribe"];

/// The configuration.
pub const CONFIG: &str = "emqx.conf";
/// The access list.
pub const ACL: &str = "acl.conf";
/// Names and hashes, as they are read at a start.
pub const USERS: &str = "users.csv";

/// The files. A token's SHA-256 is what EMQX keeps, so that it is known of everybody.
#[must_use]
pub fn render(site: &Site) -> Rendered {
    Rendered {
        files: vec![
            TextFile::open(CONFIG, config(site)),
            TextFile::open(ACL, acl(site)),
            TextFile::secret(USERS, users(site)),
        ],
        without_password: Vec::new(),
    }
}

fn users(site: &Site) -> String {
    let mut text = "user_id,password_hash,salt,is_superuser\n".to_owned();
    for Login { name, secret, .. } in &site.logins {
        let hash = match secret {
            Secret::Token(token) => hash_user_token(token),
            Secret::Sha256(hash) => *hash,
        };
        // Writing into a text cannot fail, here and below.
        let _ = writeln!(text, "{name},{},,false", HEXLOWER.encode(&hash));
    }
    text
}

/// Each person has rules by name, and no others: those of devices, which are the same for any number
/// of them, would be for people too.
fn acl(site: &Site) -> String {
    let mut text = String::new();
    let allow = |text: &mut String, who: &str, own: &str, party| {
        for rule in rules(party) {
            let filter = filter(rule, &site.namespace, own);
            let action = word(rule.action, WORDS);
            let _ = writeln!(text, "{{allow, {who}, {action}, [\"{filter}\"]}}.");
        }
    };
    for party in [PrincipalKind::Service, PrincipalKind::User] {
        for login in site.of(party) {
            let who = format!("{{username, \"{}\"}}", login.name);
            allow(&mut text, &who, &login.name, party);
            let _ = writeln!(text, "{{deny, {who}, all, [\"#\"]}}.");
        }
    }
    for device in &site.shut_out {
        let _ = writeln!(text, "{{deny, {{username, \"{device}\"}}, all, [\"#\"]}}.");
    }
    allow(&mut text, "all", "${username}", PrincipalKind::Device);
    text + "{deny, all}.\n"
}

fn config(site: &Site) -> String {
    let limits = &site.limits;
    let mut text = format!(
        "# Made by `hoist broker render emqx`, which writes it anew.
mqtt {{
  max_packet_size = \"{}B\"
  max_mqueue_len = {}
  max_inflight = {}
  session_expiry_interval = \"7d\"
  shared_subscription = false
}}
authentication = [
  {{
    mechanism = password_based
    backend = built_in_database
    user_id_type = username
    password_hash_algorithm {{ name = sha256, salt_position = disable }}
    bootstrap_type = hash
    bootstrap_file = \"{}\"
  }}
]
authorization {{
  no_match = deny
  deny_action = disconnect
  sources = [ {{ type = file, enable = true, path = \"{}\" }} ]
}}
# A device's client id is its name, so that nobody ends another's session.
zones.devices.mqtt.clientid_override = \"username\"
",
        limits.service_packet_bytes,
        limits.service_queue,
        limits.service_window,
        site.path(USERS),
        site.path(ACL),
    );
    let people = limits.user_connections + limits.operator_connections;
    if let Some(port) = site.certificate_port {
        text += "zones.certificates.mqtt {
  peer_cert_as_username = cn
  peer_cert_as_clientid = cn
}
";
        listener(&mut text, site, ("certificates", port, limits.connections));
    }
    listener(
        &mut text,
        site,
        ("devices", site.device_port, limits.connections),
    );
    listener(&mut text, site, ("people", site.people_port, people));
    // Without zone, and with a certificate that EMQX brings along.
    for kind in ["tcp", "ssl", "ws", "wss"] {
        let _ = writeln!(text, "listeners.{kind}.default.enable = false");
    }
    text
}

fn listener(text: &mut String, site: &Site, (name, port, connections): (&str, u16, usize)) {
    let kind = if site.is_encrypted { "ssl" } else { "tcp" };
    let by_certificate = name == "certificates";
    let _ = writeln!(text, "listeners.{kind}.{name} {{");
    let _ = writeln!(text, "  bind = \"{}:{port}\"", site.host);
    let _ = writeln!(text, "  max_connections = {connections}");
    if name != "people" {
        let _ = writeln!(text, "  zone = {name}");
    }
    if by_certificate {
        text.push_str("  enable_authn = false\n");
    }
    if site.is_encrypted {
        let (certificate, key) = (site.path("server.pem"), site.path("server.key"));
        let _ = writeln!(text, "  ssl_options {{\n    certfile = \"{certificate}\"");
        let _ = writeln!(
            text,
            "    keyfile = \"{key}\"\n    versions = [\"tlsv1.3\"]"
        );
        if by_certificate {
            let _ = writeln!(text, "    cacertfile = \"{}\"", site.path("clients.pem"));
            text.push_str("    verify = verify_peer\n    fail_if_no_peer_cert = true\n");
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
}
