//! Does what the session says: what follows a write waits for it.

use hoist_device_client::agent::files::Files;
use hoist_device_client::agent::inventory::Inventory;
use hoist_device_client::agent::storage::Candidate;
use hoist_device_client::machine::Verdict;
use hoist_device_client::record::Slot;
use hoist_device_client::session::{Carries, Keep, Output, Task};
use hoist_protocol::codec::encode;
use hoist_protocol::device::Presence;
use hoist_protocol::id::ReleaseId;
use hoist_protocol::status::{DeviceStatus, FinalResult};
use hoist_protocol::topic::Topic;
use std::path::Path;

use super::{BOOT_MS, Device, Heard, Over, Time, WRITE_AGAIN_MS, clear_in_time, collect};
use crate::power_cut::broker::Passage;
use crate::power_cut::fault::Fault;
use crate::power_cut::manner::Online;
use crate::power_cut::scenario::Reboots;
use crate::power_cut::world::DIR;

impl Device<'_, '_> {
    /// Does what is to do, up to the first write that fails.
    pub(super) fn act(&mut self) -> Option<Over> {
        while let Some(output) = self.session.next_output() {
            if let Some(over) = self.carry_out(output) {
                return Some(over);
            }
            if self.world.fault.is_some() {
                return Some(Over::Story);
            }
        }
        None
    }

    fn keep(&mut self, keep: Keep) {
        let mut written = keep.clone();
        match &mut written {
            Keep::Inventory => self.is_confirmed(),
            Keep::Record(record) => {
                if self.is_old {
                    record.format = 1;
                }
                self.world.journal.begin(Some(record.encode()));
            }
            Keep::Outcomes(ring) => self.world.ring.begin(ring.encode()),
            _ => {}
        }
        let done = self.storage.keep(&written);
        collect(self.world, self.forks);
        let how = if done.is_ok() { "ok" } else { "failed" };
        self.world.note(|| format!("keep {written:?}: {how}"));
        match (written, &done) {
            (Keep::Record(_), Ok(())) => self.world.journal.is_durable(),
            (Keep::Outcomes(_), Ok(())) => self.world.ring.is_durable(),
            _ => {}
        }
        if done.is_err() {
            self.session.not_kept(keep);
            self.write_again_ms = Some(self.world.now_ms + WRITE_AGAIN_MS);
            clear_in_time(self.world);
        }
    }

    /// What is written to the inventory was confirmed as its order says.
    fn is_confirmed(&mut self) {
        let order = self.world.order();
        let online = order.is_some_and(|order| order.manner.online_s > 0);
        if online && self.world.online != Online::Told {
            self.world.blame(Fault::Unconfirmed);
        }
    }

    fn carry_out(&mut self, output: Output) -> Option<Over> {
        match output {
            Output::Keep(keep) => self.keep(keep),
            Output::Subscribe(topic) => self.subscribe(&topic),
            Output::Presence(presence) => self.greet(presence),
            Output::Status(status) => self.publish(status),
            Output::Begin(task) => self.begin(task),
            Output::Stop => self.told.clear(),
            Output::Applied(result) => {
                self.hear(&result);
                self.world.answer = Some(result);
            }
            Output::Disconnect => self.disconnect(),
            Output::Reboot => return self.reboot(),
            Output::Unsubscribe(_)
            | Output::Progress(_)
            | Output::Describe(_)
            | Output::Warn(_) => {}
        }
        None
    }

    fn begin(&mut self, task: Task) {
        self.told.clear();
        match task {
            // Nobody changes what is installed: the inventory is right.
            Task::Prove(_) => self.told.push_back(Heard::Proven(Verdict::Already)),
            Task::Download { allow_downgrade } => self.download(allow_downgrade),
            Task::Script(run) => self.script(run),
        }
    }

    /// The retained message of a topic comes.
    fn subscribe(&mut self, topic: &Topic) {
        match topic {
            Topic::Status(_) => {
                let retained = self.world.broker.retained.clone();
                self.events.extend(retained.map(Heard::OwnStatus));
            }
            Topic::DeviceSpec(_) => self.hear_own_spec(),
            Topic::GroupSpec(_) => self.hear_group_spec(),
            Topic::Release(release) => self.events.push_back(Heard::Manifest(*release)),
            _ => {}
        }
    }

    fn greet(&mut self, birth: Presence) {
        self.world.note(|| format!("session {}", birth.session.0));
        // A device without memory begins again once it knows better.
        if !self.session.machine().wants_own_status()
            && let Err(fault) = self.world.broker.begin_session(birth.session.0)
        {
            self.world.blame(fault);
        }
    }

    /// A manifest came: it is checked, if it is still wanted.
    pub(super) fn manifest(&mut self, release: ReleaseId, time: &mut Time) {
        let mut packages = self.world.scenario.packages.iter();
        let package = packages.find(|package| package.id() == release);
        let Some(manifest) = package.map(|package| package.manifest.clone()) else {
            return;
        };
        let Some(entry) = self.session.manifest(release) else {
            return;
        };
        let (release, verdict) = self.check(&manifest, entry.policy.overrides.allow_downgrade);
        self.storage.candidate = Some(Candidate {
            id: release,
            bytes: encode(&manifest),
            release: manifest,
        });
        self.session.checked(&entry, verdict, time);
    }

    fn publish(&mut self, status: DeviceStatus) {
        self.world.note(|| format!("publish {status:?}"));
        let passage = self.world.broker.passage(&status);
        let carries = Carries::status(&status);
        if matches!(passage, Passage::Whole | Passage::Unacknowledged) {
            match self.world.broker.receive(status) {
                Err(fault) => self.world.blame(fault),
                Ok(new) => new.iter().for_each(|outcome| self.hear(&outcome.result)),
            }
        }
        match passage {
            Passage::Whole | Passage::Swallowed => {
                self.events.push_back(Heard::Acknowledged(carries));
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
