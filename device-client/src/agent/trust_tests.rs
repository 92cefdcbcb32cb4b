use std::path::Path;
use std::time::Duration;

use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::Trust;
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::{Generation, Namespace};
use hoist_protocol::root::RoleKey;

use super::*;
use crate::agent::config::{BOOT_ID_FILE, HostConfig, ServerConfig, Token};
use crate::agent::download::Proxies;

fn root_key() -> PrivateKey {
    PrivateKey::from_seed(&[1; 32])
}

fn document(number: u32) -> RootDocument {
    RootDocument {
        number,
        namespace: Namespace::default(),
        issued: Generation(1_790_000_000_000),
        expires_s: 0,
        threshold: 1,
        keys: vec![RoleKey {
            role: KeyRole::Root,
            key: root_key().public(),
        }],
    }
}

/// An agent that pins the first document, at a server that nobody is.
fn agent(dir: &Path) -> Agent {
    let host = HostConfig {
        device: "dev-01".parse().unwrap(),
        device_type: String::new(),
        state_dir: dir.to_path_buf(),
        attributes: Vec::new(),
        environment: Vec::new(),
        reboot_command: Vec::new(),
        boot_id_file: BOOT_ID_FILE.into(),
    };
    let server = ServerConfig {
        namespace: Namespace::default(),
        broker: Endpoint::of(Scheme::Mqtt, "127.0.0.1", 1),
        token: Token(String::new()),
        certificate: None,
        root_sha256: document(1).pin(),
        root_number: 1,
        artifacts: None,
        proxies: Proxies::default(),
        trust: Trust::default(),
        keep_alive: Duration::from_secs(60),
    };
    Agent::open(host, Some(server)).unwrap()
}

#[tokio::test]
async fn a_root_document_that_cannot_be_kept_is_not_followed_and_asked_for_again() {
    for number in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let mut agent = agent(dir.path());
        let sealed = |number| document(number).seal(&[root_key()]);
        for before in 1..number {
            agent.root_document(&sealed(before)).unwrap();
        }
        let trusted = |agent: &Agent| agent.root.as_ref().map(|root| root.number);
        let before = trusted(&agent);
        // No file takes the place of a folder.
        let file = ["root.bin", "root.2.bin"][number as usize - 1];
        std::fs::create_dir(dir.path().join(file)).unwrap();
        agent.connect_at = Instant::now();
        agent.root_document(&sealed(number)).unwrap();
        assert_eq!(trusted(&agent), before, "{number}");
        assert!(agent.connect_at > Instant::now(), "it comes again later");
        std::fs::remove_dir(dir.path().join(file)).unwrap();
        agent.root_document(&sealed(number)).unwrap();
        assert_eq!(trusted(&agent), Some(number));
    }
}
