//! The server as the commands see it, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hoist_orchestrator::artifacts::UploadLimits;
use hoist_orchestrator_core::api::command::{GroupCreate, GroupList, UserAdd, Verb};
use hoist_orchestrator_core::model::now::{Keep, Mode};
use hoist_orchestrator_core::reply::{GroupItem, ListResult};
use hoist_protocol::access::Role;
use hoist_protocol::id::{Namespace, sha256};
use hoist_server::broker::BrokerConfig;
use hoist_server::client_file::ClientFile;
use hoist_server::data_dir::DataDir;
use hoist_server::server::{Server, ServerConfig};
use hoist_server::tls::{Encryption, TlsTerms};
use tempfile::TempDir;

use crate::client::{Client, Patience};
use crate::commands::release::SignedRelease;
use crate::commands::signing::read_key;
use crate::demo::fixture;
use crate::exit;

fn config(dir: &TempDir) -> ServerConfig {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ServerConfig {
        data_dir: dir.path().join("data"),
        broker: BrokerConfig::Embedded(free),
        accepted_risks: Vec::new(),
        http: free,
        names: Vec::new(),
        encryption: Encryption::None,
        tls: TlsTerms::default(),
        namespace: Namespace::default(),
        grace: Duration::from_secs(60),
        settle: Duration::from_secs(30),
        mode: Mode::Serving,
        whole_too: false,
        uploads: UploadLimits::default(),
        keep: Keep::default(),
    }
}

async fn started() -> (TempDir, Server, Client, ClientFile) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(&dir)).await.unwrap();
    let file = ClientFile::read(&DataDir::new(server.data_dir()).client()).unwrap();
    let client = Client::connect(file.clone(), Patience::PERSON)
        .await
        .unwrap();
    (dir, server, client, file)
}

async fn groups(client: &mut Client) -> Vec<String> {
    let list: ListResult<GroupItem> = client
        .ask(Verb::GroupList, &GroupList::default())
        .await
        .unwrap();
    list.items.into_iter().map(|item| item.group).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_restart_on_other_ports() {
    let (dir, server, mut client, _) = started().await;
    let group = GroupCreate {
        group: "eu".into(),
        selector: None,
        dry_run: false,
    };
    client.command(Verb::GroupCreate, &group).await.unwrap();
    let ready = server.data_dir().join("run.json");
    assert!(ready.exists());
    server.stop().await;
    assert!(!ready.exists());

    let server = Server::start(config(&dir)).await.unwrap();
    let file = ClientFile::read(&DataDir::new(server.data_dir()).client()).unwrap();
    assert_eq!(file.mqtt, server.mqtt(), "the CLI finds the new port");
    let mut client = Client::connect(file, Patience::PERSON).await.unwrap();
    assert_eq!(groups(&mut client).await, ["eu", "unassigned"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_on_over_a_restart_of_the_server() {
    let (dir, server, mut client, _) = started().await;
    let mut same_ports = config(&dir);
    let port = server.mqtt().trim_start_matches("mqtt://").parse();
    same_ports.broker = BrokerConfig::Embedded(port.unwrap());
    server.stop().await;
    let (answered, server) = tokio::join!(groups(&mut client), Server::start(same_ports));
    assert_eq!(answered, ["unassigned"]);
    server.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_release_again_is_fine_and_other_bytes_under_its_name_are_not() {
    let (dir, server, mut client, file) = started().await;
    let release = dir.path().join("release");
    fixture::write_release(&release).unwrap();
    let key = read_key(&DataDir::new(server.data_dir()).release_key()).unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let signed = SignedRelease::pack(release.clone(), &key).await.unwrap();
        signed.publish(&mut client, &file).await.unwrap();
        ids.push(signed.id());
    }
    assert_eq!(ids[0], ids[1]);
    std::fs::write(release.join("payload/firmware"), "other bytes").unwrap();
    let other = SignedRelease::pack(release, &key).await.unwrap();
    let refused = other.publish(&mut client, &file).await.unwrap_err();
    assert_eq!(
        (refused.code.as_str(), exit::of(&refused)),
        ("E_RELEASE_EXISTS", exit::CONFLICT)
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_may_neither_change_nor_upload_and_a_wrong_token_gets_nowhere() {
    // bad-inputs row 25, first half
    let (dir, server, mut client, mut file) = started().await;
    file.user = "vera".parse().unwrap();
    file.token = "a token".into();
    let vera = UserAdd {
        user: "vera".into(),
        role: Role::Viewer,
        groups: Vec::new(),
        token_sha256: data_encoding::HEXLOWER.encode(&sha256(b"a token")),
        dry_run: false,
    };
    client.command(Verb::UserAdd, &vera).await.unwrap();
    let mut viewer = Client::connect(file.clone(), Patience::PERSON)
        .await
        .unwrap();
    let group = GroupCreate {
        group: "eu".into(),
        selector: None,
        dry_run: false,
    };
    let refused = viewer.command(Verb::GroupCreate, &group).await.unwrap_err();
    assert_eq!(
        (refused.code.as_str(), exit::of(&refused)),
        ("E_ROLE", exit::NOT_AUTHORIZED)
    );

    let release = dir.path().join("release");
    fixture::write_release(&release).unwrap();
    let key = read_key(&DataDir::new(server.data_dir()).release_key()).unwrap();
    let signed = SignedRelease::pack(release, &key).await.unwrap();
    let refused = signed.publish(&mut viewer, &file).await.unwrap_err();
    assert_eq!(refused.code, "E_ROLE");

    file.token = "another token".into();
    let refused = Client::connect(file.clone(), Patience::PROGRAM)
        .await
        .err()
        .unwrap();
    assert_eq!(
        (refused.code.as_str(), exit::of(&refused)),
        ("E_AUTH", exit::NOT_AUTHORIZED)
    );
    let refused = signed.publish(&mut client, &file).await.unwrap_err();
    assert_eq!(refused.code, "E_AUTH");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_a_person_learns_it_at_once() {
    let (_dir, server, client, file) = started().await;
    client.close().await;
    server.stop().await;
    let refused = Client::connect(file, Patience::PERSON).await.err().unwrap();
    assert_eq!(
        (refused.code.as_str(), exit::of(&refused)),
        ("E_BROKER", exit::UNREACHABLE)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_is_over_only_when_nobody_is_heard_any_more() {
    let dir = tempfile::tempdir().unwrap();
    Server::start(config(&dir)).await.unwrap().stop().await;
    let recovering = ServerConfig {
        mode: Mode::Recovering,
        whole_too: true,
        ..config(&dir)
    };
    let server = Server::start(recovering).await.unwrap();
    let heard = server.mqtt().trim_start_matches("mqtt://").to_owned();
    assert!(tokio::net::TcpStream::connect(&heard).await.is_ok());
    let quiet = server.quiet().await;
    assert!(tokio::net::TcpStream::connect(&heard).await.is_err());
    let refused = Server::start(config(&dir)).await.err().unwrap();
    assert_eq!(
        refused.code, "E_LOCKED",
        "nor does another server start before"
    );
    quiet.recovered(0).await.unwrap();
    drop(quiet);
    Server::start(config(&dir)).await.unwrap().stop().await;
}
