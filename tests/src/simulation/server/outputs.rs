//! What the engine puts out, on the lines of the model.

use hoist_orchestrator_core::api::response::Response;
use hoist_orchestrator_core::engine::delivery::{Delivery, Receipt};
use hoist_orchestrator_core::engine::event::Output;
use hoist_orchestrator_core::model::effect::Effect;
use hoist_protocol::topic::Topic;

use super::super::broker::{Broker, Letter};
use super::super::catalog::Catalog;
use super::super::line::{Line, device_id, device_number, group_id};
use super::Server;

/// The one connection of a model: a crash or a cut ends whatever came by it.
const CONNECTION: u64 = 0;

impl Server {
    /// Does one thing. Lines that were served are acknowledged by their place in the batch.
    pub(super) fn carry_out(
        &mut self,
        output: Output,
        broker: &mut Broker,
        catalog: &Catalog,
        served: &[Line],
    ) {
        match output {
            Output::Publish { topic, payload } => {
                if let Some(line) = line(&topic, catalog) {
                    broker.publish(line, &payload.into());
                    self.published.push(line);
                }
            }
            Output::Read(topic) => self.reads.extend(line(&topic, catalog)),
            Output::Acknowledge(receipt) => {
                let line = served.get(usize::from(receipt.packet));
                if let (Some(line), Some(inbox)) = (line, &mut broker.server) {
                    inbox.pop(*line);
                }
            }
            Output::Effect(Effect::Sweep(deployment)) => self.sweeps.push_back(deployment),
            Output::Effect(Effect::Pass(seek)) => {
                let page = self.rows.pass_page(&seek);
                self.found.push_back(page.expect("readable rows"));
            }
            Output::Effect(Effect::FindLine(seek)) => self.seeks.push_back(seek),
            Output::Respond(response, _) => {
                if let Response::Reply {
                    request, answer, ..
                } = *response
                {
                    self.answers.push_back((request, answer));
                }
            }
            Output::Effect(Effect::Damaged(damage)) => panic!("{damage}"),
            Output::Effect(_) | Output::Told(_) | Output::Decided(_) | Output::Stray(_) => {}
        }
    }
}

/// A letter as the engine gets it, with its place in a batch.
pub(super) fn delivery(line: Line, letter: &Letter, place: usize, catalog: &Catalog) -> Delivery {
    Delivery {
        topic: Some(topic(line, catalog)),
        payload: letter.payload.to_vec().into(),
        retained: letter.retained,
        again: false,
        receipt: u16::try_from(place).ok().map(|packet| Receipt {
            connection: CONNECTION,
            packet,
        }),
    }
}

fn topic(line: Line, catalog: &Catalog) -> Topic {
    match line {
        Line::Group(place) => Topic::GroupSpec(group_id(place)),
        Line::Device(number) => Topic::DeviceSpec(device_id(number)),
        Line::Release(place) => Topic::Release(catalog.releases[usize::from(place)].id),
        Line::Status(number) => Topic::Status(device_id(number)),
        Line::Presence(number) => Topic::Presence(device_id(number)),
        Line::Info(number) => Topic::Info(device_id(number)),
    }
}

/// The line of a topic, if the model knows what it is about.
fn line(topic: &Topic, catalog: &Catalog) -> Option<Line> {
    match topic {
        Topic::GroupSpec(group) => Line::group(group),
        Topic::DeviceSpec(device) => device_number(device).map(Line::Device),
        Topic::Release(release) => catalog.place(*release).map(Line::Release),
        Topic::Status(device) => device_number(device).map(Line::Status),
        Topic::Presence(device) => device_number(device).map(Line::Presence),
        Topic::Info(device) => device_number(device).map(Line::Info),
        _ => None,
    }
}
