//! What the server's own broker acknowledged to a device is on the disk, whenever the server is
//! killed.

use hoist_protocol::codec::encode;
use hoist_protocol::device::DeviceInfo;
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::{Attempt, DeploymentId, DeviceId, Round, Seq};
use hoist_protocol::status::{DeviceStatus, FinalResult, Progress, Step, Success};
use hoist_protocol::topic::{Topic, Topics};
use hoist_tests::chaos::{Moments, Point};
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::refusals::ended;

/// Kills for each kind of report.
const KILLS: u32 = 3;

/// A message and its topic.
type Report = (String, Vec<u8>);

/// A device that reports on itself, on its start, on a step and on its end.
struct Device {
    id: String,
    login: Login,
    key: PrivateKey,
}

impl Device {
    fn add(server: &Server, id: &str) -> Self {
        Self {
            login: Login::read(&server.add_device(id, &[])),
            id: id.to_owned(),
            key: PrivateKey::from_seed(&[7; 32]),
        }
    }

    fn topic(&self, of: fn(DeviceId) -> Topic) -> String {
        Topics::default().format(&of(self.id.parse().unwrap()))
    }

    fn info(&self) -> Report {
        let info = DeviceInfo {
            public_key: Some(self.key.public()),
            ..DeviceInfo::default()
        };
        (self.topic(Topic::Info), encode(&info))
    }

    fn status(&self, status: &DeviceStatus) -> Report {
        let topic = self.topic(Topic::Status);
        let payload = status.seal(&self.key, &topic);
        (topic, payload)
    }

    fn working(&self, seq: u64, attempt: u32, step: Step) -> Report {
        self.status(&DeviceStatus {
            seq: Seq(seq),
            running: Some(Progress {
                deployment: DeploymentId(1),
                round: Round(0),
                attempt: Attempt(attempt),
                step,
            }),
            ..DeviceStatus::default()
        })
    }

    /// All that it reports in turn, and where the server shows what of it.
    fn reports(&self) -> [(Report, &'static str, Value); 4] {
        let success = FinalResult::Successful(Success::Installed);
        [
            (self.info(), "keyPinned", json!(true)),
            (
                self.working(1, 0, Step::Downloading(0)),
                "status",
                json!("inProgress"),
            ),
            (
                self.working(2, 1, Step::Installing),
                "step",
                json!("installing"),
            ),
            (
                self.status(&ended(3, 0, success)),
                "status",
                json!("successful"),
            ),
        ]
    }

    fn connect(&self, server: &Server) -> Client {
        Client::connect(server.mqtt(), &self.id, &self.login)
    }

    fn shown(&self, server: &Server) -> Value {
        let shown = server.hoist_ok(&["-o", "json", "device", "show", &self.id]);
        serde_json::from_str(&shown).unwrap()
    }
}

fn deploy(server: &Server) {
    let app = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(app.dir());
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
}

#[test]
fn a_report_that_was_acknowledged_outlives_a_kill_at_that_moment() {
    let mut server = Server::start();
    deploy(&server);
    for kill in 0..KILLS {
        let device = Device::add(&server, &format!("dev-{kill}"));
        for ((topic, payload), field, expected) in device.reports() {
            let client = device.connect(&server);
            client.publish_acknowledged(&topic, &payload);
            server.kill_and_restart();
            // It does not come back to say it again.
            let shown = device.shown(&server);
            assert_eq!(shown[field], expected, "{topic}: {shown}");
        }
    }
}

#[test]
fn no_report_is_acknowledged_before_it_is_synced() {
    const LINGER_MICROS: i64 = 300_000;
    let dir = tempfile::tempdir().unwrap();
    let moments = Moments::create(dir.path()).unwrap();
    let variables = moments.variables(0).map(|(name, value)| {
        let value = value.into_string().unwrap();
        (name, value)
    });
    let variables = variables.each_ref().map(|(name, value)| (*name, &**value));
    let mut server = Server::start_in(dir, &[], &variables);
    deploy(&server);
    let device = Device::add(&server, "dev-01");
    let [info, start, ..] = device.reports().map(|(report, ..)| report);
    let client = device.connect(&server);
    client.publish_acknowledged(&info.0, &info.1);
    // Others go on for a while after the commit has stopped.
    moments.arm(Point::BeforeCommit, 1, LINGER_MICROS).unwrap();
    let before = client.acknowledged();
    client.publish(&start.0, &start.1, true);
    client.wait_closed();
    assert_eq!(client.acknowledged(), before);

    server.restart();
    let client = device.connect(&server);
    client.publish_acknowledged(&start.0, &start.1);
    eventually("it to be shown", || {
        (device.shown(&server)["status"] == json!("inProgress")).then_some(())
    });
}
