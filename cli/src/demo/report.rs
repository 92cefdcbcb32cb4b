//! What the demo says at its end, to programs and to people, and whether the story went
//! as told.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::fixture::RELEASE;
use crate::output::API_VERSION;
use crate::status::Counts;

/// One failed device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    pub(super) device: String,
    pub(super) reason: String,
    pub(super) script: Option<String>,
    pub(super) exit: Option<i64>,
    pub(super) rollback: String,
}

/// The JSON of `hoist demo --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    api_version: &'static str,
    kind: &'static str,
    pub(super) ok: bool,
    pub(super) deployment: u32,
    release: &'static str,
    group: String,
    state: String,
    settled: bool,
    counts: Counts,
    retried: u64,
    rolled_back: u64,
    failures: Vec<Failure>,
    duration_ms: u64,
    pub(super) control_bytes_per_device: u64,
    mqtt: String,
    http: String,
    data_dir: String,
}

/// What the demo set up, to compare with what came out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) devices: u32,
    /// Whose sensor is broken.
    pub(super) broken: &'a str,
}

/// Where it all ran.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) mqtt: String,
    pub(super) http: String,
    pub(super) data_dir: String,
}

impl Report {
    /// Reads the answer to `deployment-show`.
    pub(super) fn new(shown: &Value, place: Place, duration: Duration, control_bytes_per_device: u64) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |name: &str| shown[name].as_u64().unwrap_or(0);
        let failures = shown["failedDevices"].as_array().into_iter().flatten();
        Self {
            api_version: API_VERSION,
            kind: "demo",
            ok: false,
            deployment: u32::try_from(number("deployment")).unwrap_or(0),
            release: RELEASE,
            group: text(&shown["group"]),
            state: text(&shown["state"]),
            settled: shown["settled"] == Value::Bool(true),
            counts: Counts::of(shown),
            retried: number("retried"),
            rolled_back: number("rolledBack"),
            failures: failures
                .map(|failure| Failure {
                    device: text(&failure["device"]),
                    reason: text(&failure["reason"]),
                    script: failure["script"].as_str().map(str::to_owned),
                    exit: failure["exit"].as_i64(),
                    rollback: text(&failure["rollback"]),
                })
                .collect(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            control_bytes_per_device,
            mqtt: place.mqtt,
            http: place.http,
            data_dir: place.data_dir,
        }
    }

    /// What did not go as told, if anything.
    pub(super) fn deviations(&self, told: Told<'_>) -> Vec<String> {
        let expected = Counts {
            members: u64::from(told.devices),
            pending: 0,
            in_progress: 0,
            successful: u64::from(told.devices) - 1,
            failed: 1,
        };
        let failure = Failure {
            device: told.broken.to_owned(),
            reason: "script-failed".to_owned(),
            script: Some("verify".to_owned()),
            exit: Some(1),
            rollback: "ok".to_owned(),
        };
        let checks = [
            (self.settled, "the deployment is not settled".to_owned()),
            (
                self.counts == expected,
                format!("counts are {:?} instead of {expected:?}", self.counts),
            ),
            (
                self.failures == [failure],
                format!("not only {} failed by its verify script: {:?}", told.broken, self.failures),
            ),
            (self.rolled_back == 1, format!("{} devices rolled back instead of 1", self.rolled_back)),
            (self.retried >= 1, "no device had to try again".to_owned()),
        ];
        checks
            .into_iter()
            .filter(|(holds, _)| !holds)
            .map(|(_, what)| what)
            .collect()
    }

    /// The story in a few lines, with what to do next.
    pub(super) fn summary(&self, hint: NextSteps) -> String {
        let Counts { members, successful, failed, .. } = self.counts;
        let mut text = format!(
            "\n{RELEASE} on {members} devices in {:.1} s: {successful} successful, {failed} failed and rolled back, \
             {} tried again.\n{} bytes of MQTT per device, connection and update, both directions.\n",
            Duration::from_millis(self.duration_ms).as_secs_f64(),
            self.retried,
            self.control_bytes_per_device,
        );
        for failure in &self.failures {
            text.push_str(&format!(
                "{}: {} (script {}, exit {}), rollback {}; its old firmware is back.\n",
                failure.device,
                failure.reason,
                failure.script.as_deref().unwrap_or("-"),
                failure.exit.map_or_else(|| "-".to_owned(), |exit| exit.to_string()),
                failure.rollback,
            ));
        }
        text.push_str("\nNext:\n");
        match hint {
            NextSteps::Kept => text.push_str(&format!(
                "  hoist serve --data-dir {0}\n  hoist --data-dir {0} status {1} --watch=false\n  \
                 hoist --data-dir {0} device list --status failed --deployment {1}\n",
                self.data_dir, self.deployment
            )),
            NextSteps::Fresh => text.push_str(
                "  hoist serve                              # your own server, data in ./hoist-data\n  \
                 hoist release create examples/hello      # pack, sign and upload a release\n  \
                 hoist demo --keep                        # the same again, to look around in\n",
            ),
        }
        text
    }
}

/// What the summary proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextSteps {
    /// The data directory is still there.
    Kept,
    /// It is gone.
    Fresh,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown() -> Value {
        json!({"deployment": 1, "group": "demo", "state": "active", "settled": true,
               "counts": {"members": 25, "pending": 0, "inProgress": 0, "successful": 24, "failed": 1},
               "retried": 1, "rolledBack": 1,
               "failedDevices": [{"device": "dev-07", "reason": "script-failed", "script": "verify",
                                  "exit": 1, "rollback": "ok"}]})
    }

    fn report(shown: &Value) -> Report {
        let place = Place { mqtt: "mqtt://m".into(), http: "http://h".into(), data_dir: "/d".into() };
        Report::new(shown, place, Duration::from_millis(3_100), 640)
    }

    const TOLD: Told<'_> = Told { devices: 25, broken: "dev-07" };

    #[test]
    fn the_json_is_the_documented_one() {
        let mut report = report(&shown());
        report.ok = report.deviations(TOLD).is_empty();
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"apiVersion":"hoist/v1","kind":"demo","ok":true,"deployment":1,"release":"sensor-fw@1.1.0","group":"demo","state":"active","settled":true,"counts":{"members":25,"pending":0,"inProgress":0,"successful":24,"failed":1},"retried":1,"rolledBack":1,"failures":[{"device":"dev-07","reason":"script-failed","script":"verify","exit":1,"rollback":"ok"}],"durationMs":3100,"controlBytesPerDevice":640,"mqtt":"mqtt://m","http":"http://h","dataDir":"/d"}"#
        );
    }

    #[test]
    fn every_deviation_from_the_story_is_named() {
        let changed = |pointer: &str, value: Value| {
            let mut shown = shown();
            *shown.pointer_mut(pointer).unwrap() = value;
            report(&shown).deviations(TOLD).len()
        };
        assert_eq!(changed("/settled", json!(false)), 1);
        assert_eq!(changed("/counts/failed", json!(2)), 1);
        assert_eq!(changed("/failedDevices/0/device", json!("dev-08")), 1);
        assert_eq!(changed("/failedDevices/0/rollback", json!("failed")), 1);
        assert_eq!(changed("/rolledBack", json!(0)), 1);
        assert_eq!(changed("/retried", json!(0)), 1);
    }
}
