//! Does what a device's machine wants, with the model in the place of disk, HTTP and
//! scripts, and keeps the truth of it.

use std::sync::PoisonError;

use hoist_device_client::machine::{
    Action, Event, FetchFailure, InfoExtent, Now, Retry, ScriptRun,
};
use hoist_device_client::record::{Record, Ring};
use hoist_protocol::codec::encode;
use hoist_protocol::device::{DeviceInfo, Installed};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{DeviceStatus, RetryCause, ScriptExit, ScriptKind};
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::device::{Device, Doing, Knowledge, Send, Sent, unix_ms};
use super::model::plans;
use crate::client::mqtt::Message;

impl Device {
    /// Tells the machine and does what it wants.
    pub(super) fn tell(&mut self, event: Event) {
        let now = Now {
            unix_ms: unix_ms(),
            random: self.luck.random(),
        };
        for action in self.machine.handle(event, now) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Persist(record) => self.persisted(&record),
            Action::StoreOutcomes(ring) => self.ended(&ring),
            Action::Subscribe(group) => self.follow(&Topic::GroupHead(group)),
            Action::KeepDeviceHead => self.stored_head = Some(self.arrived_head.clone()),
            Action::ForgetDeviceHead(_) => {
                self.stored_head = None;
                self.out.extend(self.group.take().map(Send::Unsubscribe));
            }
            Action::FetchManifest(notice) => {
                self.wanted = Some((notice.deployment, notice.release));
                self.subscribe(&Topic::Release(notice.release));
            }
            Action::Download { .. } => self.download(),
            Action::CancelDownload => self.doing = None,
            Action::RunScript(run) => self.run_script(run),
            Action::Publish(status) => self.publish_status(status),
            Action::PublishInfo(extent) => self.publish_info(extent),
            Action::CommitInventory => self.install(),
            // Memory keeps everything, and no modelled release reboots.
            Action::KeepRelease(_)
            | Action::Cleanup
            | Action::Reboot
            | Action::Distrust
            | Action::Reconnect
            | Action::Warn(_)
            | Action::Applied(_) => {}
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

    /// Outcomes that are new in this run; those read back from the broker are not ours to
    /// tell again.
    fn ended(&mut self, ring: &Ring) {
        if self.knowledge == Knowledge::Own {
            let mut truth = self
                .fleet
                .truth
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for outcome in ring.since(self.told_ended) {
                truth.ended(&self.id, outcome);
            }
        }
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

    pub(super) fn publish_status(&mut self, status: DeviceStatus) {
        let unacknowledged = |sent: &Sent| matches!(sent, Sent::Status { .. });
        if self.unacknowledged.iter().any(unacknowledged) {
            self.waiting = Some(status);
            return;
        }
        let topic = self.fleet.topics.format(&Topic::Status(self.id.clone()));
        let payload = status.seal(&self.key, &topic);
        let message = Message {
            topic,
            payload,
            retain: true,
        };
        self.publish(
            message,
            Sent::Status {
                seq: status.seq,
                ended: status.ended,
            },
        );
    }

    pub(super) fn publish_info(&mut self, extent: InfoExtent) {
        let known = self
            .machine
            .own_head()
            .is_some_and(|head| head.public_key.is_some());
        let installed = self.installed.iter().map(|release| Installed {
            name: release.name.clone(),
            version: release.version.clone(),
            counter: release.counter,
        });
        let info = DeviceInfo {
            agent: concat!("hoist-sim ", env!("CARGO_PKG_VERSION")).to_owned(),
            inventory: installed.collect(),
            floor: self.floor(),
            public_key: (!known).then(|| self.key.public()),
            stored_head: match extent {
                InfoExtent::Full => self.stored_head.clone(),
                InfoExtent::IfChanged => None,
            },
            ..DeviceInfo::default()
        };
        if extent == InfoExtent::IfChanged && self.last_info.as_ref() == Some(&info) {
            return;
        }
        let message = self.retained(&Topic::Info(self.id.clone()), encode(&info));
        self.last_info = Some(info);
        let sent = match extent {
            InfoExtent::Full => Sent::FullInfo,
            InfoExtent::IfChanged => Sent::Other,
        };
        self.publish(message, sent);
    }

    /// Subscribes to the one group, now and again (W2).
    fn follow(&mut self, topic: &Topic) {
        let topic = self.fleet.topics.format(topic);
        if let Some(other) = self.group.take_if(|group| *group != topic) {
            self.out.push(Send::Unsubscribe(other));
        }
        self.group = Some(topic.clone());
        self.out.push(Send::Subscribe(topic));
    }

    pub(super) fn subscribe(&mut self, topic: &Topic) {
        self.out
            .push(Send::Subscribe(self.fleet.topics.format(topic)));
    }

    pub(super) fn publish(&mut self, message: Message, sent: Sent) {
        self.unacknowledged.push_back(sent);
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
