use std::os::unix::fs::PermissionsExt;

use hoist_protocol::access::Role;
use hoist_protocol::id::sha256;

use super::first_start::NEW_ADMIN;
use super::*;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn open(dir: &DataDir) -> Result<Opened<()>, Failure> {
    dir.create()?;
    let store = |path: &Path, found: Found| match found {
        Found::Nothing => private_file::create_dir(path)
            .and_then(|()| private_file::write(&path.join("FORMAT"), b"one"))
            .map_err(|error| Failure::because(Code::Store, "store", &error)),
        Found::Store => Ok(()),
    };
    dir.open(
        (&Namespace::default(), Mode::Serving),
        Generation(1),
        address(1),
        address(2),
        store,
    )
}

fn fresh() -> (tempfile::TempDir, DataDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::new(&temp.path().join("data"));
    (temp, dir)
}

fn code<T>(result: Result<T, Failure>) -> String {
    result.err().map(|failure| failure.code).unwrap_or_default()
}

#[test]
fn the_first_start_creates_everything_for_the_owner_alone() {
    let (_temp, dir) = fresh();
    let opened = open(&dir).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.root()), 0o700);
    for file in [
        "root.key",
        "release.key",
        "orchestrator.key",
        "token.key",
        "root.bin",
    ] {
        assert_eq!(mode(&dir.keys().join(file)), 0o600, "{file}");
    }
    let client = ClientFile::read(&dir.client()).unwrap();
    let admin = opened.users.find(&client.user).unwrap();
    assert_eq!(admin.role, Role::Admin);
    assert_eq!(admin.token_sha256, sha256(client.token.as_bytes()));
    assert!(!dir.root().join("first-start").exists());
}

#[test]
fn a_later_start_changes_nothing() {
    let (_temp, dir) = fresh();
    let first = open(&dir).unwrap();
    let client = fs::read(dir.client()).unwrap();
    fs::remove_file(dir.release_key()).unwrap();
    let second = open(&dir).unwrap();
    assert_eq!(
        second.keys.service.root_sha256,
        first.keys.service.root_sha256
    );
    assert_eq!(fs::read(dir.client()).unwrap(), client);
    assert!(!dir.release_key().exists(), "a key moved away stays away");
}

#[test]
fn keys_without_a_store_and_a_store_without_keys_are_refused() {
    // bad-inputs rows 62 and 66
    let (_temp, dir) = fresh();
    open(&dir).unwrap();
    fs::remove_dir_all(dir.store()).unwrap();
    assert_eq!(code(open(&dir)), "E_RECOVER");
    // A volume that is not mounted, or a copy that was cut off.
    fs::create_dir(dir.store()).unwrap();
    assert_eq!(code(open(&dir)), "E_RECOVER");
    fs::remove_dir_all(dir.keys()).unwrap();
    assert_eq!(code(open(&dir)), "E_RECOVER");
    fs::remove_dir(dir.store()).unwrap();
    assert_eq!(code(open(&dir)), "E_RECOVER", "its users are left");
    assert!(!dir.keys().exists());
}

#[test]
fn lost_users_are_replaced_by_a_new_administrator_only_when_somebody_asks() {
    // bad-inputs row 80
    let (_temp, dir) = fresh();
    open(&dir).unwrap();
    let client = fs::read(dir.client()).unwrap();
    fs::remove_file(dir.users()).unwrap();
    let failure = open(&dir).err().unwrap();
    assert_eq!(failure.code, "E_RECOVER");
    assert!(!dir.users().exists() && fs::read(dir.client()).unwrap() == client);
    let asked = dir.root().join(NEW_ADMIN);
    assert!(failure.help.unwrap().contains(asked.to_str().unwrap()));
    fs::write(&asked, b"").unwrap();
    let opened = open(&dir).unwrap();
    assert_eq!(opened.users.list().len(), 1);
    assert_ne!(fs::read(dir.client()).unwrap(), client);
    assert!(!asked.exists(), "asked for once");
}

#[test]
fn a_first_start_that_was_cut_off_is_completed() {
    let (_temp, dir) = fresh();
    dir.create().unwrap();
    let failing = |_: &Path, _| Err::<(), _>(Failure::new(Code::Store, "disk full"));
    let cut_off = dir.open(
        (&Namespace::default(), Mode::Serving),
        Generation(1),
        address(1),
        address(2),
        failing,
    );
    assert_eq!(code(cut_off), "E_STORE");
    assert!(dir.keys().exists() && !dir.store().exists());
    fs::create_dir(dir.store()).unwrap();
    fs::write(dir.store().join("db"), b"torn").unwrap();
    assert!(open(&dir).is_ok());
    assert!(!dir.store().join("db").exists(), "half a store is no store");
}

#[test]
fn a_secret_that_others_can_read_stops_the_start() {
    // bad-inputs row 70
    let (_temp, dir) = fresh();
    open(&dir).unwrap();
    let key = dir.keys().join("token.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let failure = open(&dir).err().unwrap();
    assert_eq!(failure.code, "E_SECRET");
    assert!(failure.what.contains("token.key"), "{failure}");
}

fn told<'a>(mqtt: &'a str, http: &'a str) -> Addresses<'a> {
    Addresses {
        mqtt,
        device_mqtt: None,
        http,
        ca: None,
    }
}

#[test]
fn the_client_file_follows_the_ports_and_a_moved_one_stays_away() {
    let (_temp, dir) = fresh();
    open(&dir).unwrap();
    let before = ClientFile::read(&dir.client()).unwrap();
    dir.update_client(&told("mqtt://127.0.0.1:5", "http://127.0.0.1:6"))
        .unwrap();
    let after = ClientFile::read(&dir.client()).unwrap();
    assert_eq!(
        (after.mqtt.as_str(), after.http.as_str()),
        ("mqtt://127.0.0.1:5", "http://127.0.0.1:6")
    );
    assert_eq!(after.token, before.token);
    fs::remove_file(dir.client()).unwrap();
    dir.update_client(&told("mqtt://127.0.0.1:7", "http://127.0.0.1:8"))
        .unwrap();
    assert!(!dir.client().exists());
}

#[test]
fn a_start_without_encryption_does_not_forget_the_ca_that_devices_pin() {
    let (_temp, dir) = fresh();
    open(&dir).unwrap();
    let start = |mqtt: &str, http: &str, ca: Option<&str>| {
        let told = Addresses {
            ca,
            ..told(mqtt, http)
        };
        dir.update_client(&told).unwrap();
        let file = ClientFile::read(&dir.client()).unwrap();
        (file.mqtt, file.ca)
    };
    let (_, ca) = start("mqtts://a:5", "https://a:6", Some("pem"));
    assert_eq!(ca.as_deref(), Some("pem"));
    let (mqtt, ca) = start("mqtt://127.0.0.1:5", "http://127.0.0.1:6", None);
    assert_eq!(
        (mqtt.as_str(), ca.as_deref()),
        ("mqtt://127.0.0.1:5", Some("pem"))
    );
}

#[test]
fn the_ready_file_is_there_until_the_end() {
    let (_temp, dir) = fresh();
    open(&dir).unwrap();
    let ready = ReadyFile::new(
        "mqtt://a:1",
        "http://a:2",
        std::time::SystemTime::UNIX_EPOCH,
    );
    let announced = dir.announce(&ready).unwrap();
    let text = fs::read_to_string(dir.ready()).unwrap();
    let pid = std::process::id();
    assert_eq!(
        text,
        format!(
            "{{\"apiVersion\":\"hoist/v1\",\"pid\":{pid},\"mqtt\":\"mqtt://a:1\",\"http\":\"http://a:2\",\
             \"startedAt\":\"1970-01-01T00:00:00Z\"}}"
        )
    );
    drop(announced);
    assert!(!dir.ready().exists());
}
