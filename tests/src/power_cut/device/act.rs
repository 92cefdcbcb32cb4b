//! Does what the machine says, in the agent's order: what follows a write waits for it.

use hoist_device_client::agent::files::Files;
use hoist_device_client::agent::inventory::Inventory;
use hoist_device_client::agent::storage::Candidate;
use hoist_device_client::machine::{Action, Event, Verdict};
use hoist_device_client::record::Slot;
use hoist_protocol::codec::encode;
use hoist_protocol::head::Notice;
use hoist_protocol::status::{DeviceStatus, FinalResult};
use std::collections::VecDeque;
use std::path::Path;

use super::{BOOT_MS, Device, Over, WRITE_AGAIN_MS, clear_in_time, collect};
use crate::power_cut::broker::Passage;
use crate::power_cut::fault::Fault;
use crate::power_cut::scenario::Reboots;
use crate::power_cut::world::DIR;

impl Device<'_, '_> {
    /// Does what is to do, up to the first write that fails.
    pub(super) fn act(&mut self) -> Option<Over> {
        while let Some(action) = self.todo.pop_front() {
            match self.keep(&action) {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(over) = self.effect(action) {
                        return Some(over);
                    }
                }
                Err(()) => {
                    self.todo.push_front(action);
                    self.write_again_ms = Some(self.world.now_ms + WRITE_AGAIN_MS);
                    return None;
                }
            }
            if self.world.fault.is_some() {
                return Some(Over::Story);
            }
        }
        None
    }

    fn keep(&mut self, action: &Action) -> Result<bool, ()> {
        let mut action = action.clone();
        match &mut action {
            Action::Persist(record) => {
                if self.is_old {
                    record.format = 1;
                }
                self.world.journal.begin(Some(record.encode()));
            }
            Action::StoreOutcomes(ring) => self.world.ring.begin(ring.encode()),
            _ => {}
        }
        let done = self.storage.keep(&action);
        collect(self.world, self.forks);
        if !matches!(done, Ok(false)) {
            self.world.note(|| {
                format!(
                    "keep {action:?}: {}",
                    if done.is_ok() { "ok" } else { "failed" }
                )
            });
        }
        match action {
            Action::Persist(_) if done.is_ok() => self.world.journal.is_durable(),
            Action::StoreOutcomes(_) if done.is_ok() => self.world.ring.is_durable(),
            _ => {}
        }
        done.map_err(|_| clear_in_time(self.world))
    }

    fn effect(&mut self, action: Action) -> Option<Over> {
        match action {
            Action::Subscribe(_) if self.online => {
                let head = self.world.head();
                self.events.push_back(Event::GroupHead(head));
            }
            Action::FetchManifest(notice) => self.fetch_manifest(&notice),
            Action::Download { allow_downgrade } => self.download(allow_downgrade),
            Action::CancelDownload => self.told.clear(),
            Action::RunScript(run) => self.script(run),
            Action::Publish(status) if self.online => self.publish(status),
            Action::Applied(result) => {
                self.hear(&result);
                self.world.answer = Some(result);
            }
            Action::Reconnect => self.disconnect(),
            Action::Reboot => return self.reboot(),
            // What is kept is done already.
            Action::Subscribe(_)
            | Action::Publish(_)
            | Action::PublishInfo(_)
            | Action::Warn(_)
            | Action::Persist(_)
            | Action::StoreOutcomes(_)
            | Action::KeepDeviceHead
            | Action::ForgetDeviceHead(_)
            | Action::KeepRelease(_)
            | Action::CommitInventory
            | Action::Distrust
            | Action::Cleanup => {}
        }
        None
    }

    fn fetch_manifest(&mut self, notice: &Notice) {
        let mut packages = self.world.scenario.packages.iter();
        let Some(package) = packages.find(|package| package.id() == notice.release) else {
            return;
        };
        let manifest = package.manifest.clone();
        let (release, verdict) = self.check(&manifest, notice.policy.overrides.allow_downgrade);
        self.storage.candidate = Some(Candidate {
            id: release,
            bytes: encode(&manifest),
            release: manifest,
        });
        let proven = verdict == Verdict::Already && !notice.policy.overrides.reinstall;
        let event = Event::Manifest {
            deployment: notice.deployment,
            release,
            verdict,
        };
        // A proof takes time, and is a task like others.
        match proven {
            true => self.told = VecDeque::from([event]),
            false => self.events.push_back(event),
        }
    }

    fn publish(&mut self, status: DeviceStatus) {
        self.world.note(|| format!("publish {status:?}"));
        let passage = self.world.broker.passage(&status);
        let (seq, ended) = (status.seq, status.ended);
        if matches!(passage, Passage::Whole | Passage::Unacknowledged) {
            match self.world.broker.receive(status) {
                Err(fault) => self.world.blame(fault),
                Ok(new) => new.iter().for_each(|outcome| self.hear(&outcome.result)),
            }
        }
        match passage {
            Passage::Whole | Passage::Swallowed => {
                self.events.push_back(Event::Acknowledged { seq, ended });
            }
            Passage::Unacknowledged | Passage::Lost => {
                self.disconnect();
            }
        }
        self.world.disk.moment();
        collect(self.world, self.forks);
    }

    /// An outcome is known outside: it is true, and what it says is durable.
    fn hear(&mut self, result: &FinalResult) {
        let disk = self.world.disk.durable_copy();
        let files: &dyn Files = &disk;
        let judged = match Inventory::load(files, Path::new(DIR)) {
            Ok(inventory) => self.world.judge(result, &inventory),
            Err(error) => Err(Fault::Unreadable(format!("{error:?}"))),
        };
        if let Err(fault) = judged {
            self.world.blame(fault);
        }
    }

    fn reboot(&mut self) -> Option<Over> {
        let boots = match self.world.scenario.reboots {
            Reboots::NeverCome => return None,
            Reboots::Come => 1,
            Reboots::ComeTwice => 2,
        };
        self.world.disk.sync_everything();
        for _ in 0..boots {
            self.world.boot += 1;
            self.world.now_ms += BOOT_MS;
            self.world.software.boot();
            self.world.known_boot = self.world.boot;
        }
        Some(Over::Restart)
    }
}
