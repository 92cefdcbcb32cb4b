//! Does what a device's session wants, with the model in the place of disk, HTTP and
//! scripts, and keeps the truth of it.

use std::sync::PoisonError;

use hoist_device_client::machine::{Event, FetchFailure, Now, Retry, ScriptRun, Verdict};
use hoist_device_client::record::{Record, Ring};
use hoist_device_client::session::{Carries, Clock, Keep, Output, Task};
use hoist_protocol::codec::encode;
use hoist_protocol::device::{DeviceInfo, Installed};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{DeviceStatus, RetryCause, ScriptExit, ScriptKind};
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::device::{Device, Doing, Send, unix_ms};
use super::model::{Luck, plans};
use crate::client::mqtt::Message;

/// Simulated devices believe the system's clock.
impl Clock for Luck {
    fn now(&mut self) -> Now {
        Now {
            unix_ms: unix_ms(),
            random: self.random(),
        }
    }

    fn signed(&mut self, _: u64) {}

    fn begin_anew(&mut self, _: u64) {}
}

impl Device {
    /// Tells the machine and does what follows.
    pub(super) fn tell(&mut self, event: Event) {
        self.session.handle(event, &mut self.luck);
        self.act();
    }

    /// Does what the session wants.
    pub(super) fn act(&mut self) {
        while let Some(output) = self.session.next_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Keep(Keep::Record(record)) => self.persisted(&record),
            Output::Keep(Keep::Outcomes(ring)) => self.ended(&ring),
            Output::Keep(Keep::Inventory) => self.install(),
            Output::Subscribe(topic) => self
                .out
                .push(Send::Subscribe(self.fleet.topics.format(&topic))),
            Output::Unsubscribe(topic) => self
                .out
                .push(Send::Unsubscribe(self.fleet.topics.format(&topic))),
            Output::Presence(presence) => {
                let birth = self.retained(&Topic::Presence(self.id.clone()), encode(&presence));
                self.publish(birth, Carries::Other);
            }
            Output::Status(status) => self.publish_status(&status),
            Output::Describe(extent) => {
                if let Some(info) = self.session.describe(self.description(), extent) {
                    let message = self.retained(&Topic::Info(self.id.clone()), info);
                    self.publish(message, Carries::Info(extent));
                }
            }
            Output::Begin(Task::Prove(_)) => {
                self.session.proven(Verdict::Already, &mut self.luck);
            }
            Output::Begin(Task::Download { .. }) => self.download(),
            Output::Begin(Task::Script(run)) => self.run_script(run),
            Output::Stop => self.doing = None,
            Output::Disconnect => self.leaves = true,
            // Memory keeps everything, and no modelled release reboots.
            Output::Keep(
                Keep::DeviceSpec(_)
                | Keep::NoDeviceSpec(_)
                | Keep::Release(_)
                | Keep::Distrust
                | Keep::Needed,
            )
            | Output::Progress(_)
            | Output::Reboot
            | Output::Warn(_)
            | Output::Applied(_) => {}
        }
    }

    fn persisted(&self, record: &Record) {
        if let Some(job) = &record.job {
            let mut truth = self
                .fleet
                .truth
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            truth.started(job.deployment, &self.id);
        }
    }

    /// Tells the truth of the outcomes that are new in this run.
    fn ended(&mut self, ring: &Ring) {
        let mut truth = self
            .fleet
            .truth
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for outcome in ring.since(self.told_ended) {
            truth.ended(&self.id, outcome);
        }
        drop(truth);
        self.told_ended = ring.ended;
    }

    fn download(&mut self) {
        let (time, lost) = self.luck.download();
        let artifacts = self
            .release
            .as_ref()
            .map_or(0, |release| release.artifacts.len());
        let end = match lost {
            true => Event::DownloadFailed(FetchFailure {
                cause: RetryCause::Cut,
                detail: "the simulated link broke".to_owned(),
                ..FetchFailure::new(Reason::DownloadFailed, Retry::Later)
            }),
            false => Event::Downloaded {
                plans: plans(artifacts),
            },
        };
        self.doing = Some(Doing {
            until: Instant::now() + time,
            end,
        });
    }

    fn run_script(&mut self, run: ScriptRun) {
        if run.kind == ScriptKind::Install {
            let mut truth = self
                .fleet
                .truth
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            truth.installed(run.deployment, &self.id);
        }
        let fails = run.kind == ScriptKind::Verify && self.luck.is_doomed(run.deployment);
        let end = Event::ScriptDone {
            exit: ScriptExit::Code(u8::from(fails)),
            output: if fails {
                b"simulated failure".to_vec()
            } else {
                Vec::new()
            },
        };
        self.doing = Some(Doing {
            until: Instant::now() + self.luck.script(),
            end,
        });
    }

    fn install(&mut self) {
        if let Some(release) = &self.release {
            self.installed
                .retain(|installed| installed.name != release.name);
            self.installed.push(release.clone());
            self.installed.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    fn publish_status(&mut self, status: &DeviceStatus) {
        let topic = self.fleet.topics.format(&Topic::Status(self.id.clone()));
        let payload = status.seal(&self.key, &topic);
        let message = Message {
            topic,
            payload,
            retain: true,
        };
        self.publish(message, Carries::status(status));
    }

    /// What the device is and has.
    fn description(&self) -> DeviceInfo {
        let installed = self.installed.iter().map(|release| Installed {
            name: release.name.clone(),
            version: release.version.clone(),
            counter: release.counter,
        });
        DeviceInfo {
            agent: concat!("hoist-sim ", env!("CARGO_PKG_VERSION")).to_owned(),
            inventory: installed.collect(),
            floor: self.floor(),
            ..DeviceInfo::default()
        }
    }

    fn publish(&mut self, message: Message, carries: Carries) {
        self.unacknowledged.push_back(carries);
        self.out.push(Send::Publish(message));
    }

    pub(super) fn retained(&self, topic: &Topic, payload: Vec<u8>) -> Message {
        Message {
            topic: self.fleet.topics.format(topic),
            payload,
            retain: true,
        }
    }
}
