//! The files of RabbitMQ with its MQTT plugin. It has one port for everybody, keeps a device from the
//! queue of another one, and gives no retained messages for wildcards.

use std::fmt::Write;

use data_encoding::BASE64;
use hoist_protocol::access::{Action, OWN_PREFIX, PrincipalKind};
use hoist_protocol::id::sha256;
use hoist_protocol::topic::TOPIC_BYTES_MAX;

use super::{Login, Rendered, Secret, Site, TextFile, filter, hash, rules};

/// The configuration.
pub const CONFIG: &str = "rabbitmq.conf";
/// Users and what they may do, as they are read at a start.
pub const DEFINITIONS: &str = "definitions.json";
/// Bytes of a salt.
const SALT_BYTES: usize = 4;

/// The files.
#[must_use]
pub fn render(site: &Site) -> Rendered {
    let mut without_password = Vec::new();
    let mut known = Vec::new();
    for login in &site.logins {
        match &login.secret {
            Secret::Token(token) => known.push((login, token.as_str())),
            Secret::Sha256(_) => without_password.push(login.name.clone()),
        }
    }
    Rendered {
        files: vec![
            TextFile::open(CONFIG, config(site)),
            TextFile::secret(DEFINITIONS, definitions(site, &known)),
        ],
        without_password,
    }
}

fn config(site: &Site) -> String {
    let limits = &site.limits;
    let mut text = format!(
        "# Made by `hoist broker render rabbitmq`, which writes it anew.
load_definitions = {}
# MQTT alone is spoken.
listeners.tcp = none
mqtt.allow_anonymous = false
mqtt.vhost = /
mqtt.exchange = amq.topic
mqtt.prefetch = {}
max_message_size = {}
",
        site.path(DEFINITIONS),
        limits.service_window,
        limits.service_packet_bytes - TOPIC_BYTES_MAX,
    );
    let at = format!("{}:{}", site.host, site.device_port);
    // Writing into a text cannot fail, here and below.
    match site.is_encrypted {
        false => {
            let _ = writeln!(text, "mqtt.listeners.tcp.1 = {at}");
        }
        true => {
            let _ = writeln!(
                text,
                "mqtt.listeners.tcp = none\nmqtt.listeners.ssl.1 = {at}"
            );
            for (name, file) in [("certfile", "server.pem"), ("keyfile", "server.key")] {
                let _ = writeln!(text, "ssl_options.{name} = {}", site.path(file));
            }
            text.push_str("ssl_options.versions.1 = tlsv1.3\n");
        }
    }
    if site.certificate_port.is_some() {
        let ca = site.path("clients.pem");
        let _ = writeln!(
            text,
            "ssl_options.cacertfile = {ca}\nssl_options.verify = verify_peer"
        );
        text.push_str("mqtt.ssl_cert_login = true\nssl_cert_login_from = common_name\n");
    }
    text
}

/// One line for each fact, so that a change is easy to see.
fn definitions(site: &Site, known: &[(&Login, &str)]) -> String {
    let lines = |of: &dyn Fn(&Login, &str) -> String| {
        let lines: Vec<_> = known
            .iter()
            .map(|(login, token)| of(login, token))
            .collect();
        lines.join(",\n")
    };
    format!(
        "{{\n\"vhosts\": [{{\"name\": \"/\"}}],\n\"users\": [\n{}\n],\n\"permissions\": [\n{}\n],\n\"topic_permissions\": [\n{}\n]\n}}\n",
        lines(&user),
        lines(&|login, _| permission(login)),
        lines(&|login, _| topic_permission(site, login)),
    )
}

fn user(login: &Login, token: &str) -> String {
    let salt = &hash::salt(&login.name, token)[..SALT_BYTES];
    let digest = sha256(&[salt, token.as_bytes()].concat());
    let hash = BASE64.encode(&[salt, &digest[..]].concat());
    format!(
        "{{\"name\": \"{}\", \"password_hash\": \"{hash}\", \"hashing_algorithm\": \"rabbit_password_hashing_sha256\", \"tags\": \"\"}}",
        login.name
    )
}

/// The queues that belong to a client: of a device those of its own id, which is its client id; of
/// others those of Hoist's programs and of client ids that begin with their name and a dot, which no
/// device has.
fn permission(login: &Login) -> String {
    let client = match login.party {
        PrincipalKind::Device | PrincipalKind::Enrolling => login.name.clone(),
        PrincipalKind::User | PrincipalKind::Service => {
            format!("({}\\\\..+|{OWN_PREFIX}[^.]+)", login.name)
        }
    };
    let queue = ["mqtt-subscription-", &client, "qos[01]"].concat();
    format!(
        "{{\"user\": \"{}\", \"vhost\": \"/\", \"configure\": \"^{queue}$\", \"write\": \"^(amq\\\\.topic|{queue})$\", \"read\": \"^(amq\\\\.topic|{queue})$\"}}",
        login.name
    )
}

fn topic_permission(site: &Site, login: &Login) -> String {
    let of = |action| pattern(site, login, action);
    format!(
        "{{\"user\": \"{}\", \"vhost\": \"/\", \"exchange\": \"amq.topic\", \"write\": \"{}\", \"read\": \"{}\"}}",
        login.name,
        of(Action::Publish),
        of(Action::Subscribe)
    )
}

/// A regular expression, as JSON, of the routing keys that stand for topics.
fn pattern(site: &Site, login: &Login, action: Action) -> String {
    let such = rules(login.party).filter(|rule| rule.action == action);
    let keys = such.map(|rule| {
        let filter = filter(rule, &site.namespace, &login.name);
        let levels: Vec<_> = filter.split('/').map(level).collect();
        levels.join("\\\\.")
    });
    format!("^({})$", keys.collect::<Vec<_>>().join("|"))
}

fn level(level: &str) -> &str {
    match level {
        "+" => "[^.]+",
        "#" => ".+",
        name => name,
    }
}
