//! Reports that are refused harm nobody and are seen by operators: a device that speaks the
//! wire by itself, against the real server.

use hoist_protocol::codec::{decode_prefix, encode};
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::{Attempt, DeploymentId, DeviceId, Round, Seq, SessionCounter};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::DeviceSpec;
use hoist_protocol::status::{
    DeviceStatus, Failure, FinalResult, Outcome, Progress, Rollback, Step, Success,
};
use hoist_protocol::topic::{Topic, Topics};
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::operator::Operator;
use crate::harness::release::Release;
use crate::harness::server::Server;

const GROUP: &str = "unassigned";

/// A device without an agent, which says whatever it is told to.
pub struct Talker {
    client: Client,
    status: String,
    key: PrivateKey,
}

impl Talker {
    /// Registers a device, connects it and shows its key.
    pub fn join(server: &Server, device: &str) -> Self {
        let login = Login::read(&server.add_device(device, &[]));
        let client = Client::connect(server.mqtt(), device, &login);
        let topic =
            |of: fn(DeviceId) -> Topic| Topics::default().format(&of(device.parse().unwrap()));
        let key = PrivateKey::from_seed(&[7; 32]);
        let info = DeviceInfo {
            public_key: Some(key.public()),
            ..DeviceInfo::default()
        };
        let presence = Presence {
            state: PresenceState::Online,
            session: SessionCounter(1),
        };
        client.publish(&topic(Topic::Presence), &encode(&presence), true);
        client.publish(&topic(Topic::Info), &encode(&info), true);
        let status = topic(Topic::Status);
        let talker = Self {
            client,
            status,
            key,
        };
        eventually("the key to be pinned", || {
            let shown = show(server, device);
            (shown["keyPinned"] == json!(true)).then_some(())
        });
        talker
    }

    /// Publishes a status.
    pub fn says(&self, status: &DeviceStatus) {
        let payload = status.seal(&self.key, &self.status);
        self.client.publish(&self.status, &payload, true);
    }
}

/// The answer of `hoist device show`.
fn show(server: &Server, device: &str) -> Value {
    let shown = server.hoist_ok(&["-o", "json", "device", "show", device]);
    serde_json::from_str(&shown).unwrap()
}

/// Waits until the last refusal has this code.
fn wait_refused(server: &Server, device: &str, code: &str) -> Value {
    eventually(code, || {
        let refused = show(server, device)["refused"].clone();
        (refused["code"] == json!(code)).then_some(refused)
    })
}

/// A status that says how deployment 1 ended in a round.
pub fn ended(seq: u64, round: u32, result: FinalResult) -> DeviceStatus {
    DeviceStatus {
        seq: Seq(seq),
        ended: round + 1,
        running: None,
        outcomes: vec![Outcome {
            deployment: DeploymentId(1),
            round: Round(round),
            attempt: Attempt(1),
            result,
        }],
    }
}

/// A failure without particulars.
pub fn failure() -> FinalResult {
    FinalResult::Failed(Failure {
        reason: Reason::ScriptFailed,
        artifact: None,
        script: None,
        rollback: Rollback::Succeeded,
        output: Vec::new(),
    })
}

fn success() -> FinalResult {
    FinalResult::Successful(Success::Installed)
}

/// A server with a release deployed to one device.
pub fn deployed(server: &Server) -> (Operator, Talker) {
    let app = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(app.dir());
    let device = Talker::join(server, "dev-01");
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", GROUP]);
    (Operator::new(server), device)
}

#[test]
fn a_round_that_nobody_opened_is_refused_shown_and_counted_nowhere() {
    // bad-inputs row 85
    let mut server = Server::start();
    let (operator, device) = deployed(&server);
    let watcher = server.client();
    assert!(watcher.subscribe("hoist/event/#"));
    device.says(&ended(1, 0, success()));
    let before = operator.view(1, |view| view["counts"]["successful"] == json!(1));

    device.says(&ended(2, 7, failure()));
    wait_refused(&server, "dev-01", "E_ROUND");
    let event = watcher.wait_json("hoist/event/device-refused", |event| {
        event["data"]["code"] == json!("E_ROUND")
    });
    assert_eq!(event["data"]["device"], json!("dev-01"), "{event}");
    let after = server.hoist_ok(&["-o", "json", "status", "1", "--watch=false"]);
    let after: Value = serde_json::from_str(&after).unwrap();
    assert_eq!(after["counts"], before["counts"], "{after}");
    assert_eq!(after["settled"], json!(true), "{after}");
    let list = server.hoist_ok(&["-o", "json", "device", "list"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["refused"]["code"], json!("E_ROUND"), "{list}");
    let told = server.hoist_ok(&["device", "why", "dev-01"]);
    assert!(told.contains("refused  E_ROUND"), "{told}");
    let log = server.process().said();
    let line = log.lines().find(|line| line.contains("E_ROUND"));
    assert!(line.is_some_and(|line| line.contains("dev-01")), "{log}");
}

#[test]
fn a_device_that_counts_from_one_again_is_asked_and_its_next_words_count() {
    // bad-inputs rows 28 and 85
    let server = Server::start();
    let (operator, device) = deployed(&server);
    assert!(device.client.subscribe("hoist/d/dev-01"));
    let calls = |payload: &[u8]| {
        let spec = decode_prefix::<DeviceSpec>(payload);
        spec.map_or(0, |(spec, _)| spec.resync.0)
    };
    let working = |seq| DeviceStatus {
        seq: Seq(seq),
        running: Some(Progress {
            deployment: DeploymentId(1),
            round: Round(0),
            attempt: Attempt(0),
            step: Step::Downloaded,
        }),
        ..DeviceStatus::default()
    };
    device.says(&working(40));
    operator.at_step(1, "downloaded");
    let before = device
        .client
        .wait_for("hoist/d/dev-01", |spec| Some(calls(spec)));
    device.says(&working(1));
    wait_refused(&server, "dev-01", "E_SEQ");
    device.client.wait_for("hoist/d/dev-01", |spec| {
        (calls(spec) > before).then_some(())
    });
    device.says(&ended(2, 0, success()));
    operator.view(1, |view| view["counts"]["successful"] == json!(1));
}

#[test]
fn a_flood_of_what_is_refused_is_one_line_in_the_log_and_all_of_it_is_counted() {
    // bad-inputs row 87
    const FLOOD: u64 = 200;
    let mut server = Server::start();
    let (_operator, device) = deployed(&server);
    for _ in 0..FLOOD {
        device.client.publish(&device.status, &[1, 2, 3], false);
    }
    eventually("all of it to be counted", || {
        let refused = show(&server, "dev-01")["refused"].clone();
        let all = json!("E_DECODE") == refused["code"] && json!(FLOOD) == refused["count"];
        all.then_some(())
    });
    let log = server.process().said();
    let lines = log.lines().filter(|line| line.contains("E_DECODE"));
    assert_eq!(lines.count(), 1, "{log}");
    let why = server.hoist_ok(&["-o", "json", "device", "why", "dev-01"]);
    let why: Value = serde_json::from_str(&why).unwrap();
    assert_eq!(
        why["deployments"][0]["why"],
        json!("report-refused"),
        "{why}"
    );
}
