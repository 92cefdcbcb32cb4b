//! The files of every broker as they are kept beside the code: HOIST_WRITE_BROKERS=1 writes them.

use std::path::Path;

use hoist_protocol::access::PrincipalKind;

use super::{Login, Rendered, Secret, Site, emqx, hash, mosquitto, nats, rabbitmq};
use crate::credentials::hash_user_token;
use crate::front_door::limits::Limits;

fn login(name: &str, party: PrincipalKind, token: &str) -> Login {
    Login {
        name: name.into(),
        party,
        secret: Secret::Token(token.into()),
    }
}

fn site(folder: &str) -> Site {
    let stranger = Login {
        secret: Secret::Sha256(hash_user_token("of vera")),
        ..login("vera", PrincipalKind::User, "")
    };
    Site {
        namespace: "hoist".parse().unwrap(),
        folder: folder.into(),
        host: "0.0.0.0".into(),
        device_port: 8883,
        people_port: 8884,
        certificate_port: Some(8885),
        is_encrypted: true,
        limits: Limits::default(),
        logins: vec![
            login("orchestrator", PrincipalKind::Service, "its own"),
            login("admin", PrincipalKind::User, "of the admin"),
            stranger,
            login("dev-01", PrincipalKind::Device, "1.abc"),
            login("dev-02", PrincipalKind::Device, "3.def"),
        ],
        shut_out: Vec::new(),
    }
}

/// Compares files with those that are kept, or keeps them.
fn is_as_kept(broker: &str, rendered: &Rendered) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/golden");
    let folder = folder.join(broker);
    for file in &rendered.files {
        let path = folder.join(file.name);
        if std::env::var_os("HOIST_WRITE_BROKERS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &file.text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert_eq!(file.text, kept, "{}", path.display());
    }
    let kept = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(kept, rendered.files.len(), "{}", folder.display());
}

fn text<'a>(rendered: &'a Rendered, name: &str) -> &'a str {
    let mut files = rendered.files.iter();
    &files.find(|file| file.name == name).unwrap().text
}

#[test]
fn the_files_of_mosquitto_are_those_that_are_kept() {
    let rendered = mosquitto::render(&site("/etc/mosquitto/hoist"), "");
    is_as_kept("mosquitto", &rendered);
    assert_eq!(rendered.without_password, ["vera"]);
}

#[test]
fn the_files_of_emqx_are_those_that_are_kept_and_everybody_has_a_password() {
    let rendered = emqx::render(&site("/etc/emqx/hoist"));
    is_as_kept("emqx", &rendered);
    assert!(rendered.without_password.is_empty());
    let acl = text(&rendered, emqx::ACL);
    assert!(acl.ends_with("{deny, all}.\n"), "{acl}");
    // Behind each person's own rules come none of devices.
    let of_devices = acl.find("{allow, all").unwrap();
    for name in ["orchestrator", "admin", "vera"] {
        let denied = format!("{{deny, {{username, \"{name}\"}}, all, [\"#\"]}}.\n");
        assert!(acl.find(&denied).unwrap() < of_devices, "{acl}");
    }
}

#[test]
fn no_listener_of_emqx_is_left_that_it_has_by_itself() {
    for is_encrypted in [true, false] {
        let rendered = emqx::render(&Site {
            is_encrypted,
            certificate_port: None,
            ..site("/x")
        });
        let config = text(&rendered, emqx::CONFIG);
        for kind in ["tcp", "ssl", "ws", "wss"] {
            let line = format!("\nlisteners.{kind}.default.enable = false\n");
            assert!(config.contains(&line), "{kind}: {config}");
        }
    }
}

#[test]
fn the_file_of_nats_is_the_one_that_is_kept_and_its_hashes_are_of_the_tokens() {
    let rendered = nats::render(&site("/etc/nats/hoist"));
    is_as_kept("nats", &rendered);
    assert_eq!(rendered.without_password, ["vera"]);
    let hash = hash::bcrypt("dev-01", "1.abc");
    assert!(text(&rendered, nats::CONFIG).contains(&hash));
    assert!(bcrypt::verify("1.abc", &hash).unwrap() && !bcrypt::verify("2.abc", &hash).unwrap());
}

#[test]
fn the_files_of_rabbitmq_are_those_that_are_kept() {
    let rendered = rabbitmq::render(&site("/etc/rabbitmq/hoist"));
    is_as_kept("rabbitmq", &rendered);
    assert_eq!(rendered.without_password, ["vera"]);
}

#[test]
fn a_password_whose_token_is_not_known_any_more_is_kept_while_there_is_such_a_user() {
    let line = |name: &str, token: &str| {
        let hash = hash::pbkdf2_sha512(name, token);
        format!("{name}:{hash}\n")
    };
    let own = line("vera", "of vera");
    let kept = format!("{own}{}", line("gone", "of somebody"));
    let rendered = mosquitto::render(&site("/x"), &kept);
    assert!(rendered.without_password.is_empty());
    let people = text(&rendered, mosquitto::PEOPLE_PASSWORDS);
    assert!(people.contains(&own), "{people}");
    assert!(!people.contains("gone"), "{people}");
    let devices = text(&rendered, mosquitto::DEVICE_PASSWORDS);
    assert!(
        !devices.contains("vera") && devices.contains("dev-02:$7$101$"),
        "{devices}"
    );
}

#[test]
fn the_password_of_a_token_that_was_taken_away_is_not_kept() {
    let before = hash::pbkdf2_sha512("vera", "that she had before");
    let other = hash::pbkdf2_sha512("gone", "of vera");
    for hash in [before, other] {
        let kept = format!("vera:{hash}\n");
        let rendered = mosquitto::render(&site("/x"), &kept);
        let people = text(&rendered, mosquitto::PEOPLE_PASSWORDS);
        assert!(!people.contains("vera:"), "{people}");
        assert_eq!(rendered.without_password, ["vera"]);
    }
}

#[test]
fn people_have_only_queues_in_rabbitmq_that_no_device_has() {
    let rendered = rabbitmq::render(&site("/x"));
    let lines = text(&rendered, rabbitmq::DEFINITIONS).lines();
    let of = |name: &str| {
        let start = format!("{{\"user\": \"{name}\", \"vhost\": \"/\", \"configure\": \"");
        let mut lines = lines.clone();
        lines.find_map(|line| line.strip_prefix(&start)).unwrap()
    };
    // No device's id has a dot in it, or begins as the second half does.
    for name in ["admin", "orchestrator"] {
        let queue = format!("mqtt-subscription-({name}\\\\..+|hoist-[^.]+)qos[01]");
        let rights = of(name);
        assert!(rights.starts_with(&format!("^{queue}$\"")), "{rights}");
        assert_eq!(rights.matches(&queue).count(), 3, "{rights}");
    }
    let rights = of("dev-01");
    assert!(
        rights.starts_with("^mqtt-subscription-dev-01qos[01]$\""),
        "{rights}"
    );
}

#[test]
fn a_device_that_was_shut_out_has_no_rights_whatever_certificate_it_shows() {
    let site = Site {
        shut_out: vec!["dev-03".parse().unwrap()],
        ..site("/etc/broker")
    };
    let rendered = mosquitto::render(&site, "");
    let acl = text(&rendered, mosquitto::DEVICE_ACL);
    assert!(acl.ends_with("\nuser dev-03\ntopic deny #\n"), "{acl}");
    let rendered = emqx::render(&site);
    let acl = text(&rendered, emqx::ACL);
    let (denied, allowed) = ("{deny, {username, \"dev-03\"}", "{allow, all,");
    assert!(
        acl.find(denied).unwrap() < acl.find(allowed).unwrap(),
        "{acl}"
    );
}

#[test]
fn without_tls_and_certificates_of_devices_there_are_two_plain_listeners() {
    let plain = Site {
        is_encrypted: false,
        certificate_port: None,
        ..site("/x")
    };
    let rendered = mosquitto::render(&plain, "");
    let config = text(&rendered, mosquitto::CONFIG);
    assert_eq!(config.matches("\nlistener ").count(), 2, "{config}");
    assert!(
        !config.contains("file /x/server") && !config.contains("cafile"),
        "{config}"
    );
    assert_eq!(config.matches("allow_anonymous false").count(), 2);
}

#[test]
fn a_hash_is_the_one_that_mosquitto_passwd_makes_of_the_same_salt() {
    // Made by hashlib.pbkdf2_hmac("sha512", b"of the admin", salt, 101), with SHA-256 of
    // b"salt/admin/" and the token's as the salt.
    let hash = hash::pbkdf2_sha512("admin", "of the admin");
    assert_eq!(hash, ADMIN);
}

const ADMIN: &str = "$7$101$ZwHOqd3KMntU/Tjc$7Lh/5ReVygSSejod/bVcD6u3O2rpc/Fauca7sRIi\
    CRRpg1yjQQdAqzbcLwakalIPimMxgcSr6oSct9xGvNO0zQ==";
