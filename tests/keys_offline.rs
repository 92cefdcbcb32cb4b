//! Keys that never come near the server: in files of another machine, or behind a command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use data_encoding::{BASE64, HEXLOWER};
use hoist_protocol::envelope::{Kind, PrivateKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::device::Device;
use crate::harness::operator::Operator;
use crate::harness::process::{HOIST, installed, run};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::keys::{is_private, keys};

/// Another machine, with keys that were taken there.
struct Away(TempDir);

impl Away {
    /// Takes a private key of a server away.
    fn with(server: &Server, key: &str) -> Self {
        let away = Self(tempfile::tempdir().unwrap());
        fs::rename(server.data().join("keys").join(key), away.path(key)).unwrap();
        away
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `hoist` where no server ever was.
    fn hoist(&self, args: &[&str]) -> Output {
        let none = self.path("none");
        let all = [&["--data-dir", none.to_str().unwrap()], args].concat();
        run(HOIST, &all)
    }

    /// Signs a request that came, and gives the file that goes back.
    fn sign(&self, request: &Path, key: &str) -> PathBuf {
        let (key, out) = (self.path(key), self.path("signature"));
        let paths = [request, &key, &out].map(|path| path.to_str().unwrap());
        let [request, key, out] = paths;
        let signed = self.hoist(&["keys", "sign", request, "--key", key, "--out", out]);
        let said = String::from_utf8_lossy(&signed.stderr);
        assert!(signed.status.success(), "{said}");
        PathBuf::from(out)
    }
}

/// Packs a release with further arguments.
fn create(server: &Server, release: &Release, more: &[&str]) -> Output {
    let (data, dir) = (server.data(), release.dir().to_str().unwrap().to_owned());
    let all = [
        "--data-dir",
        data.to_str().unwrap(),
        "release",
        "create",
        &dir,
    ];
    server.hoist(&[&all[..], more].concat())
}

fn refused(output: &Output, code: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(code), "{code} is not in {said}");
    said
}

#[test]
fn a_release_is_signed_on_another_machine_and_only_as_it_was_asked() {
    let server = Server::start();
    let away = Away::with(&server, "release.key");
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let said = refused(&create(&server, &release, &[]), "E_KEY");
    assert!(said.contains("--key"), "{said}");
    let request = server.scratch().join("app.request");
    let asked = request.to_str().unwrap();
    assert!(
        create(&server, &release, &["--request", asked])
            .status
            .success()
    );
    assert!(!server.hoist_ok(&["release", "list"]).contains("app@1.0.0"));
    // Whoever signs sees the content, not what somebody says about it.
    let shown = away.hoist(&["keys", "sign", asked, "--dry-run"]);
    let said = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(
        said.contains("release app@1.0.0") && said.contains("artifact"),
        "{said}"
    );
    let signature = away.sign(&request, "release.key");
    let brought = ["--signature", signature.to_str().unwrap()];

    let payload = release.dir().join("payload/content");
    fs::write(&payload, "other").unwrap();
    let said = refused(&create(&server, &release, &brought), "E_SIG");
    assert!(said.contains("--request"), "{said}");
    fs::write(&payload, "content").unwrap();
    assert!(create(&server, &release, &brought).status.success());
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
}

#[test]
fn a_root_key_that_is_elsewhere_signs_the_next_root_document_there() {
    let server = Server::start();
    let away = Away::with(&server, "root.key");
    let data = server.data();
    let rotate = |more: &[&str]| {
        let all = [
            "--data-dir",
            data.to_str().unwrap(),
            "keys",
            "rotate",
            "root",
        ];
        server.hoist(&[&all[..], more].concat())
    };
    let said = refused(&rotate(&[]), "E_ROOT_SIGNATURES");
    assert!(said.contains("--request"), "{said}");
    refused(&rotate(&["--signature", "nowhere"]), "E_FILE");
    let request = server.scratch().join("root.request");
    let asked = request.to_str().unwrap();
    assert!(rotate(&["--request", asked]).status.success());
    let signature = away.sign(&request, "root.key");
    let brought = ["--signature", signature.to_str().unwrap()];
    // What waits is of another role, and nobody is told that theirs was replaced.
    let of_other = [
        "--data-dir",
        data.to_str().unwrap(),
        "keys",
        "rotate",
        "orchestrator",
    ];
    let said = refused(&server.hoist(&[&of_other[..], &brought].concat()), "E_KEY");
    assert!(
        said.contains("with `root` in place of `orchestrator`"),
        "{said}"
    );
    assert!(rotate(&brought).status.success());
    let listed = keys(&server, &["list", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let root = &listed.as_array().unwrap()[0];
    assert_eq!(root["role"], json!("root"));
    assert_eq!(root["rootNumber"], json!(2));
    assert!(
        root["file"].is_string(),
        "the new one was made here: {root}"
    );
    // It is over: the same signature is for nothing that waits.
    refused(&rotate(&brought), "E_FILE");
}

/// A command that signs a release with a key, as a key service would.
fn service(dir: &Path, key: &PrivateKey, release: &Release, server: &Server) -> String {
    let (bytes, signature) = (dir.join("bytes"), dir.join("signature"));
    let records = format!("cat > {}; exit 3", bytes.display());
    let said = refused(
        &create(server, release, &["--sign-with", &records]),
        "E_SIGNER",
    );
    assert!(said.contains("exit code 3"), "{said}");
    let bytes = fs::read(bytes).unwrap();
    // Context, kind and the end of an empty scope come before the manifest.
    let body = &bytes["hoist/v1".len() + 2..];
    let signed = key.sign(Kind::Release, "", body);
    fs::write(&signature, BASE64.encode(&signed)).unwrap();
    format!("cat > /dev/null; cat {}", signature.display())
}

#[test]
fn a_command_signs_where_the_key_is_in_hardware_or_a_cloud() {
    let server = Server::start();
    let away = Away::with(&server, "release.key");
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let text = fs::read_to_string(away.path("release.key")).unwrap();
    let seed = HEXLOWER.decode(text.trim().as_bytes()).unwrap();
    let key = PrivateKey::from_seed(&seed.try_into().unwrap());
    let stranger = PrivateKey::from_seed(&[9; 32]);
    let dir = tempfile::tempdir().unwrap();
    let signs = service(dir.path(), &stranger, &release, &server);
    refused(
        &create(&server, &release, &["--sign-with", &signs]),
        "E_SIG",
    );
    let babbles = ["--sign-with", "echo hello"];
    let said = refused(&create(&server, &release, &babbles), "E_SIGNER");
    assert!(said.contains("64 bytes"), "{said}");
    let signs = service(dir.path(), &key, &release, &server);
    let created = create(&server, &release, &["--sign-with", &signs]);
    assert!(
        created.status.success(),
        "{}",
        String::from_utf8_lossy(&created.stderr)
    );
    assert!(server.hoist_ok(&["release", "list"]).contains("app@1.0.0"));
}

#[test]
fn a_key_goes_out_as_pkcs8_and_openssl_signs_with_it() {
    if !installed("openssl") {
        return;
    }
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let pem = dir.path().join("release.pem");
    let out = ["--out", pem.to_str().unwrap()];
    keys(
        &server,
        &[&["export", "release", "--private"], &out[..]].concat(),
    );
    assert!(is_private(&pem));
    let only = fs::read(&pem).unwrap();
    let all = [
        "--data-dir",
        server.data().to_str().unwrap(),
        "keys",
        "export",
        "root",
    ]
    .map(str::to_owned);
    let all: Vec<&str> = all.iter().map(String::as_str).chain(out).collect();
    refused(&server.hoist(&all), "E_FILE");
    assert_eq!(
        fs::read(&pem).unwrap(),
        only,
        "it may be the only copy of a key"
    );
    fs::remove_file(server.data().join("keys/release.key")).unwrap();
    let bytes = dir.path().join("bytes");
    let signs = format!(
        "cat > {0}; openssl pkeyutl -sign -rawin -inkey {1} -in {0}",
        bytes.display(),
        pem.display()
    );
    let first = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let created = create(&server, &first, &["--sign-with", &signs]);
    assert!(
        created.status.success(),
        "{}",
        String::from_utf8_lossy(&created.stderr)
    );
    let second = Release::write(server.scratch(), "app", "1.1.0", 2, "newer");
    let created = create(&server, &second, &["--key", pem.to_str().unwrap()]);
    assert!(
        created.status.success(),
        "{}",
        String::from_utf8_lossy(&created.stderr)
    );
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    // bad-inputs row 70
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    for (key, refusal) in [
        (
            "release.key",
            create as fn(&Server, &Release, &[&str]) -> Output,
        ),
        ("root.key", |server: &Server, _: &Release, _: &[&str]| {
            let data = server.data();
            let args = [
                "--data-dir",
                data.to_str().unwrap(),
                "keys",
                "rotate",
                "release",
            ];
            server.hoist(&args)
        }),
    ] {
        let path = server.data().join("keys").join(key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let said = refused(&refusal(&server, &release, &[]), "E_SECRET");
        assert!(said.contains(key) && said.contains("chmod 600"), "{said}");
    }
}

#[test]
fn a_server_starts_with_keys_that_were_made_before_it_and_a_root_key_it_never_saw() {
    let machine = tempfile::tempdir().unwrap();
    let key = machine.path().join("root.key");
    crate::harness::write_private(&key, HEXLOWER.encode(&[7; 32]));
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let args = [
        "--data-dir",
        data.to_str().unwrap(),
        "keys",
        "init",
        "--key",
    ];
    let init = |key: &Path| run(HOIST, &[&args[..], &[key.to_str().unwrap()]].concat());
    assert!(init(&key).status.success());
    assert!(!data.join("keys/root.key").exists());
    refused(&init(&key), "E_DATA_DIR");
    let server = Server::start_in(dir, &[], &[]);
    let listed = keys(&server, &["list"]);
    assert!(listed.contains("elsewhere"), "{listed}");
    keys(
        &server,
        &["rotate", "orchestrator", "--key", key.to_str().unwrap()],
    );
    let listed: Value = serde_json::from_str(&keys(&server, &["list", "-o", "json"])).unwrap();
    assert_eq!(listed[0]["rootNumber"], json!(2));
}
