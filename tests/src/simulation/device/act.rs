//! Doing what the machine wants, as the agent does.

use std::ops::ControlFlow;
use std::sync::Arc;

use hoist_device_client::machine::{Action, Event, InfoExtent, Now};
use hoist_protocol::codec::encode;
use hoist_protocol::device::DeviceInfo;
use hoist_protocol::status::ScriptKind;

use super::super::broker::{Broker, Payload};
use super::super::catalog::{Catalog, SPECIAL};
use super::super::line::Line;
use super::{Device, Doing, Surroundings};

impl Device {
    /// Tells the machine and does what it wants.
    pub(super) fn tell(&mut self, event: Event, world: &mut Surroundings<'_>) {
        let now = Now {
            unix_ms: self.clock_ms(world.unix_ms),
            random: world.dice.bits(),
        };
        let actions = self.machine.handle(event, now);
        let _cut = self.act(actions, world);
    }

    /// Does what the machine wants; breaks when the power went on the way.
    pub(super) fn act(
        &mut self,
        actions: Vec<Action>,
        world: &mut Surroundings<'_>,
    ) -> ControlFlow<()> {
        for action in actions {
            if self.act_once(action, world).is_break() {
                self.cut_power(world);
                return ControlFlow::Break(());
            }
        }
        if std::mem::take(&mut self.reconnects) && self.online {
            self.disconnect(world);
        }
        ControlFlow::Continue(())
    }

    /// Does one action; breaks when the power goes.
    fn act_once(&mut self, action: Action, world: &mut Surroundings<'_>) -> ControlFlow<()> {
        self.burn()?;
        match action {
            Action::Persist(record) => {
                if let Some(job) = &record.job {
                    self.truth.started(job);
                }
                self.disk.record = Some(record);
            }
            Action::StoreOutcomes(ring) => {
                self.truth.ended(&ring);
                self.disk.ring = ring;
            }
            Action::KeepDeviceHead => self.disk.head = self.machine.own_head().cloned(),
            Action::ForgetDeviceHead(generation) => {
                self.disk.head = None;
                self.disk.forgotten = Some(generation);
            }
            Action::KeepRelease(release) => self.disk.release = Some(release),
            Action::Subscribe(group) => {
                if let Some(line) = Line::group(&group) {
                    world.broker.subscribe(self.number, line);
                }
            }
            Action::FetchManifest(notice) => {
                let place = world.catalog.place(notice.release);
                self.wanted = Some(notice);
                if let Some(place) = place {
                    world.broker.subscribe(self.number, Line::Release(place));
                }
            }
            Action::Download { .. } => self.does(Some(Doing::Download)),
            Action::CancelDownload => self.does(None),
            Action::RunScript(run) => {
                if run.kind == ScriptKind::Install {
                    self.truth.installs(&run, self.machine.job());
                }
                self.does(Some(Doing::Script(run)));
            }
            Action::Publish(status) => {
                self.waiting = Some(status);
                self.send_waiting(world);
            }
            Action::PublishInfo(extent) => self.publish_info(extent, world.broker),
            Action::Reboot => return ControlFlow::Break(()),
            Action::CommitInventory => self.commit_inventory(world.catalog),
            Action::Distrust => self.distrust(world.catalog),
            Action::Cleanup => self.disk.release = None,
            Action::Reconnect => self.reconnects = true,
            Action::Warn(_) | Action::Applied(_) => {}
        }
        ControlFlow::Continue(())
    }

    /// Uses up the fuse; the power goes before the effect.
    fn burn(&mut self) -> ControlFlow<()> {
        match &mut self.fuse {
            Some(0) => ControlFlow::Break(()),
            Some(left) => {
                *left -= 1;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Continue(()),
        }
    }

    /// Distrusts the installed parts of the kept release: they may not be whole any more (S12).
    fn distrust(&mut self, catalog: &Catalog) {
        let place = self.disk.release.and_then(|id| catalog.place(id));
        let names = place.map(|place| &catalog.at(place).verified.artifacts);
        for name in names.into_iter().flatten() {
            self.disk.inventory.remove(name);
        }
    }

    fn commit_inventory(&mut self, catalog: &Catalog) {
        let place = self.disk.release.and_then(|id| catalog.place(id));
        let Some(release) = place.map(|place| catalog.at(place)) else {
            return;
        };
        let references = &release.verified.manifest.artifacts;
        for (name, reference) in release.verified.artifacts.iter().zip(references) {
            self.disk.inventory.insert(name.clone(), reference.hash);
        }
    }

    /// W7: a newer status takes the place of one still waiting.
    pub(super) fn send_waiting(&mut self, world: &mut Surroundings<'_>) {
        if !self.online || self.in_flight.is_some() {
            return;
        }
        let Some(mut status) = self.waiting.take() else {
            return;
        };
        if let Some(lie) = self.lies.take() {
            lie.tell(&mut status);
        }
        let mut payload = encode(&status);
        if !status.outcomes.is_empty() {
            payload.extend_from_slice(&self.public_key().0);
        }
        self.in_flight = Some((status.seq, status.ended));
        world
            .broker
            .publish(Line::Status(self.number), &payload.into());
    }

    pub(super) fn publish_info(&mut self, extent: InfoExtent, broker: &mut Broker) {
        let own = self.public_key();
        let pinned = self.machine.own_head().and_then(|head| head.public_key);
        let full = extent == InfoExtent::Full;
        let stored = self.machine.own_head().filter(|_| full);
        let info = DeviceInfo {
            device_type: if self.special { SPECIAL } else { "plain" }.to_owned(),
            public_key: (pinned != Some(own)).then_some(own),
            stored_head: stored.map(encode),
            ..DeviceInfo::default()
        };
        let payload: Payload = encode(&info).into();
        if !self.online || (!full && self.info.as_ref() == Some(&payload)) {
            return;
        }
        self.info = Some(Arc::clone(&payload));
        self.info_in_flight |= full && self.in_flight.is_some();
        broker.publish(Line::Info(self.number), &payload);
    }
}
