//! The words of the demo at its end, to programs and to people, and its verdict that the story went
//! as told or not.

use std::time::Duration;

use hoist_orchestrator_core::model::counter::Counts;
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::model::word::Word;
use hoist_orchestrator_core::reply::{API_VERSION, FailedDevice, RollbackWord, ScriptEnd};
use hoist_protocol::id::DeploymentId;
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Rollback, ScriptKind};
use serde::Serialize;

use super::casting::Casting;
use super::fixture::RELEASE;
use super::outcome::Outcome;

/// The JSON of `hoist demo --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    api_version: &'static str,
    kind: &'static str,
    pub(super) ok: bool,
    deployment: DeploymentId,
    release: &'static str,
    group: String,
    state: DeploymentState,
    settled: bool,
    counts: Counts,
    retried: u32,
    rolled_back: u32,
    failures: Vec<FailedDevice>,
    duration_ms: u64,
    control_bytes_per_device: u64,
    mqtt: String,
    http: String,
    data_dir: String,
}

impl Report {
    /// Takes the server's own account at the end.
    pub(super) fn new(outcome: Outcome) -> Self {
        let Outcome {
            detail: shown,
            place,
            duration,
            control_bytes,
        } = outcome;
        Self {
            api_version: API_VERSION,
            kind: "demo",
            ok: false,
            deployment: shown.view.deployment,
            release: RELEASE,
            group: shown.view.group,
            state: shown.view.state,
            settled: shown.view.settled,
            counts: shown.view.counts,
            retried: shown.retried,
            rolled_back: shown.rolled_back,
            failures: shown.failed_devices,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            control_bytes_per_device: control_bytes / u64::from(shown.view.counts.members.max(1)),
            mqtt: place.mqtt,
            http: place.http,
            data_dir: place.data_dir,
        }
    }

    /// The server's data directory.
    pub(super) fn data_dir(&self) -> &str {
        &self.data_dir
    }

    /// The parts of the story that did not go as told, if any.
    pub(super) fn deviations(&self, casting: &Casting) -> Vec<String> {
        let members = u32::try_from(casting.devices.len()).unwrap_or(u32::MAX);
        let broken = &casting.devices[casting.broken];
        let expected = Counts {
            members,
            pending: 0,
            in_progress: 0,
            successful: members.saturating_sub(1),
            failed: 1,
        };
        let failure = FailedDevice {
            device: broken.clone(),
            reason: Reason::ScriptFailed.into(),
            script: Some(ScriptKind::Verify.into()),
            script_end: Some(ScriptEnd::Exit.into()),
            exit: Some(1),
            rollback: RollbackWord::Said(Rollback::Succeeded).into(),
        };
        let checks = [
            (self.settled, "the deployment is not settled".to_owned()),
            (
                self.counts == expected,
                format!("counts are {:?} instead of {expected:?}", self.counts),
            ),
            (
                self.failures == [failure],
                format!(
                    "not only {} failed by its verify script: {:?}",
                    broken, self.failures
                ),
            ),
            (
                self.rolled_back == 1,
                format!(
                    "devices that rolled back: {} instead of 1",
                    self.rolled_back
                ),
            ),
            (self.retried >= 1, "no device had to try again".to_owned()),
        ];
        checks
            .into_iter()
            .filter(|(holds, _)| !holds)
            .map(|(_, what)| what)
            .collect()
    }

    /// The story in a few lines, with what to do next.
    pub(super) fn summary(&self, next: &NextSteps) -> String {
        let Counts {
            members,
            successful,
            failed,
            ..
        } = self.counts;
        let mut text = format!(
            "\n{RELEASE} on {members} devices in {:.1} s: {successful} successful, {failed} failed,\n\
             {} rolled back, {} tried again. {} bytes of MQTT per device, both directions.\n",
            Duration::from_millis(self.duration_ms).as_secs_f64(),
            self.rolled_back,
            self.retried,
            self.control_bytes_per_device,
        );
        for failure in &self.failures {
            let script = failure.script.as_ref().map(Word::as_str);
            let script = script.unwrap_or(failure.reason.as_str());
            let exit = failure.exit.map(|exit| format!(" exited with {exit}"));
            text.push_str(&format!(
                "{}: {script}{}, rollback {}: it has its old firmware.\n",
                failure.device,
                exit.unwrap_or_default(),
                failure.rollback,
            ));
        }
        text.push_str("\nNext:\n");
        for (what, command) in next.commands(self.deployment) {
            text.push_str(&format!("  # {what}\n  {command}\n"));
        }
        text
    }
}

/// The proposals of the summary, with a program name that can be typed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NextSteps {
    /// The words that run this program in this shell.
    pub(super) program: String,
    pub(super) left: Left,
}

/// The remains of a demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// The server's data directory, as a shell reads it.
    DataDir(String),
    /// Nothing; this is a release that can be deployed next, if there is one here.
    Nothing { example: Option<&'static str> },
}

impl NextSteps {
    /// The purpose of each command, and the command.
    fn commands(&self, deployment: DeploymentId) -> Vec<(&'static str, String)> {
        let program = &self.program;
        match &self.left {
            Left::DataDir(dir) => vec![
                (
                    "the same server again; its agents have ended",
                    format!("{program} serve --data-dir {dir}"),
                ),
                (
                    "in a second terminal: how it ended, and for whom not well",
                    format!("{program} --data-dir {dir} status {deployment} --watch=false"),
                ),
                (
                    "why",
                    format!(
                        "{program} --data-dir {dir} device list --status failed --deployment {deployment}"
                    ),
                ),
            ],
            Left::Nothing { example } => {
                let mut commands = vec![(
                    "a server of your own, its data in ./hoist-data",
                    format!("{program} serve"),
                )];
                commands.extend(example.map(|example| {
                    (
                        "in a second terminal: pack, sign and upload a release",
                        format!("{program} release create {example}"),
                    )
                }));
                commands.push((
                    "this again, and kept to look around in",
                    format!("{program} demo --keep"),
                ));
                commands
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Place;
    use super::*;
    use hoist_orchestrator_core::reply::DeploymentDetail;
    use serde_json::{Value, json};

    fn shown() -> Value {
        json!({
            "apiVersion": "hoist/v1", "deployment": 1, "release": RELEASE, "group": "demo",
            "state": "active", "reason": null, "settled": true,
            "counts": {"members": 25, "pending": 0, "inProgress": 0, "successful": 24, "failed": 1},
            "steps": {"downloading": 0, "downloaded": 0, "installing": 0, "rebooting": 0, "retrying": 0},
            "failures": [], "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
            "retried": 1, "rolledBack": 1, "createdBy": "admin",
            "failedDevices": [{"device": "dev-07", "reason": "script-failed", "script": "verify",
                               "scriptEnd": "exit", "exit": 1, "rollback": "ok"}],
        })
    }

    fn report(shown: &Value) -> Report {
        let place = Place {
            mqtt: "mqtt://m".into(),
            http: "http://h".into(),
            data_dir: "/d".into(),
        };
        let detail: DeploymentDetail = serde_json::from_value(shown.clone()).unwrap();
        let duration = Duration::from_millis(3_100);
        Report::new(Outcome {
            detail,
            place,
            duration,
            control_bytes: 640 * 25,
        })
    }

    fn casting() -> Casting {
        let casting = Casting::new(25, 0);
        Casting {
            broken: 6,
            ..casting
        }
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let mut report = report(&shown());
        report.ok = report.deviations(&casting()).is_empty();
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"apiVersion":"hoist/v1","kind":"demo","ok":true,"deployment":1,"release":"sensor-fw@1.1.0","group":"demo","state":"active","settled":true,"counts":{"members":25,"pending":0,"inProgress":0,"successful":24,"failed":1},"retried":1,"rolledBack":1,"failures":[{"device":"dev-07","reason":"script-failed","script":"verify","scriptEnd":"exit","exit":1,"rollback":"ok"}],"durationMs":3100,"controlBytesPerDevice":640,"mqtt":"mqtt://m","http":"http://h","dataDir":"/d"}"#
        );
    }

    #[test]
    fn every_deviation_from_the_story_is_named() {
        let changed = |pointer: &str, value: Value| {
            let mut shown = shown();
            *shown.pointer_mut(pointer).unwrap() = value;
            report(&shown).deviations(&casting()).len()
        };
        assert_eq!(changed("/settled", json!(false)), 1);
        assert_eq!(changed("/counts/failed", json!(2)), 1);
        assert_eq!(changed("/failedDevices/0/device", json!("dev-08")), 1);
        assert_eq!(changed("/failedDevices/0/rollback", json!("failed")), 1);
        assert_eq!(changed("/rolledBack", json!(0)), 1);
        assert_eq!(changed("/retried", json!(0)), 1);
    }
}
