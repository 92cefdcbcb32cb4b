//! Doing what the session wants, with the model in the place of disk, broker and scripts.

use std::ops::ControlFlow;

use hoist_device_client::machine::{Event, InfoExtent};
use hoist_device_client::session::{Carries, Keep, Output, Task};
use hoist_protocol::codec::encode;
use hoist_protocol::device::DeviceInfo;
use hoist_protocol::status::{DeviceStatus, ScriptKind};
use hoist_protocol::topic::Topic;

use super::super::catalog::{Catalog, SPECIAL};
use super::super::dice::Dice;
use super::super::line::Line;
use super::{Device, Doing, Surroundings, Time, time};

impl Device {
    /// Tells the machine and does what follows.
    pub(super) fn tell(&mut self, event: Event, world: &mut Surroundings<'_>) {
        let mut now = time(&mut self.floor, self.ahead_ms, world);
        self.session.handle(event, &mut now);
        let _cut = self.act(world);
    }

    /// Does what the session wants; breaks when the power went on the way.
    pub(super) fn act(&mut self, world: &mut Surroundings<'_>) -> ControlFlow<()> {
        loop {
            let owed = self.session.owed();
            let output = self.session.next_output();
            let done = owed - self.session.owed();
            let going = match (self.burn(done), output) {
                (ControlFlow::Continue(()), None) => return ControlFlow::Continue(()),
                (ControlFlow::Continue(()), Some(output)) => self.carry_out(output, world),
                (ControlFlow::Break(()), _) => ControlFlow::Break(()),
            };
            if going.is_break() {
                self.cut_power(world);
                return going;
            }
        }
    }

    /// Does one thing; breaks when the power goes.
    fn carry_out(&mut self, output: Output, world: &mut Surroundings<'_>) -> ControlFlow<()> {
        match output {
            Output::Keep(keep) => self.keep(keep, world.catalog),
            Output::Subscribe(topic) => self.subscribe(&topic, world),
            Output::Presence(birth) => {
                let birth = encode(&birth).into();
                world.broker.publish(Line::Presence(self.number), &birth);
            }
            Output::Status(status) => self.publish(status, world),
            Output::Describe(extent) => self.describe(extent, world),
            Output::Begin(Task::Prove(_)) => self.doing = Some(Doing::Proof),
            Output::Begin(Task::Download { .. }) => self.doing = Some(Doing::Download),
            Output::Begin(Task::Script(run)) => {
                if run.kind == ScriptKind::Install {
                    self.truth.installs(&run, self.session.machine().job());
                }
                self.doing = Some(Doing::Script(run));
            }
            Output::Stop => self.doing = None,
            Output::Reboot => return ControlFlow::Break(()),
            Output::Disconnect => self.disconnect(world),
            // The modelled broker delivers on, and a device minds no message that it did not
            // ask for.
            Output::Unsubscribe(_) | Output::Progress(_) | Output::Warn(_) | Output::Applied(_) => {
            }
        }
        ControlFlow::Continue(())
    }

    fn keep(&mut self, keep: Keep, catalog: &Catalog) {
        match keep {
            Keep::Record(record) => {
                if let Some(job) = &record.job {
                    self.truth.started(job);
                }
                self.disk.record = Some(record);
            }
            Keep::Outcomes(ring) => {
                self.truth.ended(&ring);
                self.disk.ring = ring;
            }
            Keep::DeviceSpec(_) => self.disk.spec = self.own_spec().cloned(),
            Keep::NoDeviceSpec(floor) => {
                self.disk.spec = None;
                self.disk.forgotten = Some(floor);
            }
            Keep::Release(release) => self.disk.release = Some(release),
            Keep::Inventory => self.commit_inventory(catalog),
            Keep::Distrust => self.distrust(catalog),
            Keep::Needed => self.disk.release = None,
        }
    }

    fn subscribe(&self, topic: &Topic, world: &mut Surroundings<'_>) {
        let line = match topic {
            Topic::GroupSpec(group) => Line::group(group),
            Topic::DeviceSpec(_) => Some(Line::Device(self.number)),
            Topic::Status(_) => Some(Line::Status(self.number)),
            Topic::Release(release) => world.catalog.place(*release).map(Line::Release),
            _ => None,
        };
        if let Some(line) = line {
            world.broker.subscribe(self.number, line);
        }
    }

    /// Uses up the fuse by so many things that the machine wanted; the power goes before their
    /// effects.
    fn burn(&mut self, done: usize) -> ControlFlow<()> {
        let Some(left) = &mut self.fuse else {
            return ControlFlow::Continue(());
        };
        match usize::from(*left).checked_sub(done).map(u8::try_from) {
            Some(Ok(rest)) => {
                *left = rest;
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
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

    fn publish(&mut self, mut status: DeviceStatus, world: &mut Surroundings<'_>) {
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

    /// Says what the device is and has. What travels beside a status arrives with it, the rest
    /// at once.
    fn describe(&mut self, extent: InfoExtent, world: &mut Surroundings<'_>) {
        let own = DeviceInfo {
            device_type: if self.special { SPECIAL } else { "plain" }.to_owned(),
            ..DeviceInfo::default()
        };
        let Some(info) = self.session.describe(own, extent) else {
            return;
        };
        world.broker.publish(Line::Info(self.number), &info.into());
        if extent == InfoExtent::IfChanged || self.in_flight.is_none() {
            let mut now = Time {
                dice: &mut Dice::Zero,
                ..time(&mut self.floor, self.ahead_ms, world)
            };
            self.session.acknowledged(Carries::Info(extent), &mut now);
        }
    }
}
