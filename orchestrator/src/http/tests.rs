mod uploads;

use hoist_protocol::access::Role;
use hoist_protocol::bundle::{artifact_start, raw_index};
use hoist_protocol::id::{ArtifactId, Namespace, sha256};
use hoist_protocol::release::{ArtifactManifest, Payload, PayloadKind, Script};
use hoist_protocol::status::ScriptKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::artifacts::UploadLimits;
use crate::events::EventNews;
use crate::health::Health;
use desk::Desk;

mod backups;
mod desk;
mod events;
mod metrics;
mod sites;
mod slow;

struct Site {
    address: std::net::SocketAddr,
    dir: tempfile::TempDir,
    artifacts: ArtifactDirectory,
    health: Health,
    state: HttpState,
    desk: Arc<Desk>,
    /// Holds the store.
    beside: tempfile::TempDir,
    ready: watch::Sender<bool>,
}

impl Site {
    async fn start() -> Self {
        Self::both(HttpLimits::default(), UploadLimits::default()).await
    }

    async fn with(limits: HttpLimits) -> Self {
        Self::both(limits, UploadLimits::default()).await
    }

    async fn limited(uploads: UploadLimits) -> Self {
        Self::both(HttpLimits::default(), uploads).await
    }

    async fn both(limits: HttpLimits, uploads: UploadLimits) -> Self {
        let health = Health::default();
        let (dir, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ready, receiver) = watch::channel(false);
        let artifacts = ArtifactDirectory::open(dir.path()).unwrap();
        let artifacts = artifacts.limited(uploads).telling(health.clone());
        let desk = Arc::new(Desk::default());
        let state = HttpState {
            health: health.clone(),
            metrics: Metrics::default(),
            events: EventReaders::new(EventNews::default(), Namespace::default()),
            artifacts: artifacts.clone(),
            bearers: Arc::clone(&desk) as Arc<dyn TokenAuth>,
            commands: Arc::clone(&desk) as Arc<dyn CommandDoor>,
            store: SledStore::create(&beside.path().join("store")).unwrap(),
            scratch: Scratch::new(beside.path().join("backup.rows")),
            ready: receiver,
            limits,
            hosts: Hosts::new([127, 0, 0, 1].into(), ["fleet.example.com".to_owned()]),
            page: Router::new(),
            tls: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, state.clone(), std::future::pending()));
        Self {
            address,
            dir,
            artifacts,
            health,
            state,
            desk,
            beside,
            ready,
        }
    }

    /// Where rows lie while they are sent.
    fn rows(&self) -> std::path::PathBuf {
        self.beside.path().join("backup.rows")
    }

    /// Sends one request and returns status, head and body.
    async fn ask(&self, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        self.ask_at("localhost", head, body).await
    }

    /// The same, of a host.
    async fn ask_at(&self, host: &str, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{head}\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .unwrap_or(answer.len());
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head
            .split(' ')
            .nth(1)
            .map_or(0, |code| code.parse().unwrap());
        (
            status,
            head,
            answer.get(end + 4..).unwrap_or_default().to_vec(),
        )
    }

    async fn put(&self, token: &str, id: ArtifactId, body: &[u8], length: usize) -> u16 {
        let head = format!(
            "PUT /artifacts/{id} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}"
        );
        self.ask(&head, body).await.0
    }

    /// Waits until so many files are there, whole or arriving.
    async fn wait_for_files(&self, count: usize) {
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(5));
        let waiting = async {
            while self.files() != count {
                pause.tick().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
            .await
            .unwrap();
    }

    fn files(&self) -> usize {
        let files = |path: std::path::PathBuf| {
            let entries = std::fs::read_dir(path).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            paths.filter(|path| path.is_file()).count()
        };
        files(self.dir.path().to_owned()) + files(self.dir.path().join("tmp"))
    }
}

fn artifact() -> (ArtifactId, Vec<u8>) {
    let contents: [&[u8]; 2] = [b"#!/bin/sh\n", b"#!/bin/sh\nexit 0\n"];
    let mut index = Vec::new();
    let payloads = contents
        .iter()
        .zip(["install", "rollback"])
        .map(|(content, name)| {
            let entries = raw_index(content, 8);
            let index_hash = hoist_protocol::bundle::index_hash(entries.iter().map(|e| e.hash));
            index.extend(entries);
            Payload {
                kind: PayloadKind::Script,
                target: name.into(),
                size: content.len() as u64,
                hash: sha256(content),
                segment_size: 8,
                index_hash,
            }
        });
    let payloads = payloads.collect();
    let script = |kind, payload| Script {
        kind,
        payload,
        timeout_s: 1,
        attempts: 1,
        idempotent: false,
    };
    let manifest = ArtifactManifest {
        name: "app".parse().unwrap(),
        version: "1".into(),
        artifact_type: "files".into(),
        provides: Vec::new(),
        depends: Vec::new(),
        payloads,
        scripts: vec![
            script(ScriptKind::Install, 0),
            script(ScriptKind::Rollback, 1),
        ],
        reboot: false,
        disk_need: 0,
    };
    let mut file = artifact_start(&manifest, &index);
    contents
        .iter()
        .for_each(|content| file.extend_from_slice(content));
    (manifest.id(), file)
}

#[tokio::test]
async fn an_uploaded_artifact_comes_back_whole_and_in_ranges() {
    let site = Site::start().await;
    let (id, file) = artifact();
    assert_eq!(site.put("deployer", id, &file, file.len()).await, 201);
    assert_eq!(
        site.put("deployer", id, &file, file.len()).await,
        204,
        "again is fine"
    );
    let (status, head, body) = site
        .ask(&format!("GET /artifacts/{id} HTTP/1.1"), b"")
        .await;
    assert_eq!((status, &body), (200, &file));
    assert!(head.contains(&format!("etag: \"{id}\"")), "{head}");
    let range = format!("GET /artifacts/{id} HTTP/1.1\r\nRange: bytes=10-");
    let (status, _, body) = site.ask(&range, b"").await;
    assert_eq!((status, &body[..]), (206, &file[10..]));
    for (known, expected) in [(format!("\"{id}\""), 206), ("\"other\"".to_owned(), 200)] {
        let again = format!("{range}\r\nIf-Range: {known}");
        assert_eq!(site.ask(&again, b"").await.0, expected, "{known}");
    }
    let range = format!("GET /artifacts/{id} HTTP/1.1\r\nRange: bytes=999999-");
    assert_eq!(site.ask(&range, b"").await.0, 416);
    assert_eq!(
        site.ask("GET /artifacts/../client.toml HTTP/1.1", b"")
            .await
            .0,
        404
    );
    assert_eq!(
        site.ask("GET /artifacts/nonsense HTTP/1.1", b"").await.0,
        404
    );
}

#[tokio::test]
async fn every_refusal_is_json_and_says_what_to_do() {
    let site = Site::start().await;
    let (id, file) = artifact();
    assert_eq!(site.put("deployer", id, &file, file.len()).await, 201);
    let artifact = format!("GET /artifacts/{id} HTTP/1.1\r\n");
    for (head, status, code) in [
        ("GET /nothing HTTP/1.1", 404, Code::Path),
        ("OPTIONS * HTTP/1.1", 404, Code::Path),
        ("GET http://localhost/nothing HTTP/1.1", 404, Code::Path),
        ("CONNECT localhost:80 HTTP/1.1", 404, Code::Path),
        ("DELETE /livez HTTP/1.1", 405, Code::Path),
        ("GET /api/v1/deploy HTTP/1.1", 405, Code::Path),
        ("GET /artifacts/%ff HTTP/1.1", 400, Code::Path),
        ("POST /api/v1/%ff HTTP/1.1", 400, Code::Path),
        (&format!("{artifact}Range: bytes=99999-"), 416, Code::Length),
        (&format!("{artifact}If-Match: \"other\""), 412, Code::Hash),
    ] {
        let (found, answer, body) = site.ask(head, b"").await;
        assert_eq!(found, status, "{head}: {answer}");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], code.as_str(), "{head}: {body}");
        assert_eq!(body["error"]["hint"], code.hint(), "{body}");
        let length = format!("content-range: bytes */{}", file.len());
        assert_eq!(answer.contains(&length), status == 416, "{answer}");
        assert_eq!(answer.contains("allow: "), status == 405, "{answer}");
    }
}

#[tokio::test]
async fn an_upload_that_is_not_its_artifact_leaves_nothing_behind() {
    // bad-inputs rows 46 and 47, at the server
    let site = Site::start().await;
    let (id, file) = artifact();
    for index in [0, 6, 60, file.len() - 1] {
        let mut tampered = file.clone();
        tampered[index] ^= 1;
        assert_eq!(
            site.put("deployer", id, &tampered, file.len()).await,
            422,
            "byte {index}"
        );
    }
    let mut longer = file.clone();
    longer.push(0);
    assert_eq!(site.put("deployer", id, &longer, longer.len()).await, 422);
    assert_eq!(site.put("deployer", id, &file[..20], 20).await, 422);
    let head = format!(
        "PUT /artifacts/{id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer deployer\r\n\
         Content-Length: {}\r\n\r\n",
        file.len()
    );
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&file[..20]).await.unwrap();
    site.wait_for_files(1).await;
    drop(stream);
    site.wait_for_files(0).await;
}

#[tokio::test]
async fn health_says_whether_the_server_is_ready() {
    let site = Site::start().await;
    assert_eq!(site.ask("GET /livez HTTP/1.1", b"").await.0, 200);
    assert_eq!(site.ask("GET /readyz HTTP/1.1", b"").await.0, 503);
    site.ready.send(true).unwrap();
    assert_eq!(site.ask("GET /readyz HTTP/1.1", b"").await.0, 200);
}

#[tokio::test]
async fn a_command_by_http_needs_a_token_and_a_request_id() {
    let site = Site::start().await;
    let post =
        |headers: &str| format!("POST /api/v1/deploy HTTP/1.1\r\nContent-Length: 2{headers}");
    let auth = "\r\nAuthorization: Bearer viewer";
    assert_eq!(site.ask(&post(""), b"{}").await.0, 401);
    assert_eq!(site.ask(&post(auth), b"{}").await.0, 400);
    let (status, _, body) = site
        .ask(&post(&format!("{auth}\r\nIdempotency-Key: r1")), b"{}")
        .await;
    assert_eq!((status, &body[..]), (200, &b"vera r1 deploy {}"[..]));
    let (status, ..) = site
        .ask(
            &post("\r\nauthorization: bearer  viewer\r\nIdempotency-Key: r1"),
            b"{}",
        )
        .await;
    assert_eq!(status, 200, "the scheme is written in any case (RFC 7235)");
}

#[tokio::test]
async fn a_command_that_is_too_large_or_no_body_is_refused_at_once_as_what_it_is() {
    let site = Site::start().await;
    let head =
        "POST /api/v1/deploy HTTP/1.1\r\nAuthorization: Bearer viewer\r\nIdempotency-Key: r1";
    let chunk = format!("4001\r\n{}\r\n0\r\n\r\n", " ".repeat(0x4001));
    let chunked = "Transfer-Encoding: chunked";
    // Of the first no byte comes.
    for (headers, body, status, code) in [
        ("Content-Length: 99999999999", "", 413, Code::Size),
        (chunked, chunk.as_str(), 413, Code::Size),
        (chunked, "zz\r\n", 400, Code::Length),
    ] {
        let (answered, _, said) = site
            .ask(&format!("{head}\r\n{headers}"), body.as_bytes())
            .await;
        assert_eq!(answered, status, "{headers} {body:.4}");
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        assert_eq!(said["error"]["code"], code.as_str(), "{said}");
    }
}

#[tokio::test]
async fn a_header_that_is_there_twice_or_cannot_be_read_is_refused_as_such() {
    let site = Site::start().await;
    let (auth, key) = (
        "\r\nAuthorization: Bearer viewer",
        "\r\nIdempotency-Key: r1",
    );
    for (headers, code, says) in [
        (
            format!("{auth}{auth}{key}"),
            Code::Auth,
            "authorization is there more than once",
        ),
        (
            format!("{auth}{key}{key}"),
            Code::Request,
            "idempotency-key is there more than once",
        ),
        (
            format!("{auth}\r\nIdempotency-Key: ä"),
            Code::Name,
            "a character that is not allowed",
        ),
        (auth.to_owned(), Code::Request, "has no id"),
    ] {
        let head = format!("POST /api/v1/deploy HTTP/1.1\r\nContent-Length: 2{headers}");
        let (status, _, body) = site.ask(&head, b"{}").await;
        assert_eq!(status, 400, "{headers}");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], code.as_str(), "{headers}: {body}");
        let title = body["error"]["title"].as_str().unwrap();
        assert!(title.contains(says), "{headers}: {body}");
    }
}
