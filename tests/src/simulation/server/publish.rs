//! Publishing what differs from what is desired, with the real difference of reconcile.

use std::sync::Arc;

use hoist_orchestrator::reconcile::{Cause, Subject, Unknown};
use hoist_orchestrator::transport::Outgoing;
use hoist_orchestrator_core::engine::desired;
use hoist_orchestrator_core::model::key::{DeviceKey, OutboxKey, ReleaseKey};
use hoist_orchestrator_core::model::txn::Txn;
use hoist_protocol::codec::encode;
use hoist_protocol::head::GroupHead;
use hoist_protocol::id::{DeviceId, Generation, GroupId};

use super::super::broker::{Broker, Payload};
use super::super::catalog::Catalog;
use super::super::line::{Line, device_number};
use super::Server;

impl Server {
    /// Looks at one subject and publishes what differs; returns the lines published.
    pub fn reconcile(&mut self, broker: &mut Broker, catalog: &Catalog, unix_ms: u64) -> Vec<Line> {
        let now_ms = unix_ms + self.ahead_ms;
        if let Some(input) = self.difference.wants(now_ms) {
            self.decide_all(&[input], unix_ms);
        }
        let Some((subject, cause)) = self.difference.pop() else {
            return Vec::new();
        };
        let published = self.due_for(&subject, cause, catalog, now_ms);
        for (line, payload) in &published {
            broker.publish(*line, payload);
        }
        let out = self.difference.take_out();
        self.decide_all(&out, unix_ms);
        published.into_iter().map(|(line, _)| line).collect()
    }

    pub(super) fn due_for(
        &mut self,
        subject: &Subject,
        cause: Cause,
        catalog: &Catalog,
        now_ms: u64,
    ) -> Vec<(Line, Payload)> {
        let line = match subject {
            Subject::Group(group) => Line::group(group),
            Subject::Device(device) => device_number(device).map(Line::Device),
            Subject::Release(release) => catalog.place(*release).map(Line::Release),
            Subject::Root => None,
        };
        let Some(line) = line else { return Vec::new() };
        let (seal, valid_ms): (Box<dyn Fn(Generation) -> Outgoing>, u64) = match subject {
            Subject::Root => return Vec::new(),
            Subject::Release(id) => match self.row(&ReleaseKey(*id)) {
                Some(row) => (Box::new(move |_| message(row.sealed.clone())), 0),
                None => return self.unknown(subject, cause, line),
            },
            Subject::Group(group) => match self.group(group) {
                Some(head) => {
                    let valid_ms = u64::from(head(Generation(0)).valid_for_s) * 1000;
                    (
                        Box::new(move |generation| message(encode(&head(generation)))),
                        valid_ms,
                    )
                }
                None => return self.unknown(subject, cause, line),
            },
            Subject::Device(device) => return self.device(device, cause, line, now_ms),
        };
        let publish = self.difference.publish(subject, seal, valid_ms, now_ms);
        let publish = publish.map(|publish| (line, publish.message.payload.into()));
        publish.into_iter().collect()
    }

    fn device(
        &mut self,
        device: &DeviceId,
        cause: Cause,
        line: Line,
        now_ms: u64,
    ) -> Vec<(Line, Payload)> {
        let outbox = self.row(&OutboxKey(device.clone()));
        let outbox = outbox.as_ref();
        let Some(row) = self.row(&DeviceKey(device.clone())) else {
            let cause = outbox.map_or(cause, |_| Cause::Changed);
            self.difference.cleared(device, outbox, now_ms);
            return self.unknown(&Subject::Device(device.clone()), cause, line);
        };
        let seal = |generation| message(encode(&desired::device_head(&row, generation)));
        let difference = &mut self.difference;
        let publish = difference.publish_device(device, &row.group, outbox, seal, now_ms);
        let publish = publish.map(|publish| (line, publish.message.payload.into()));
        publish.into_iter().collect()
    }

    /// The head of a group as its rows desire it.
    pub fn group(&self, group: &GroupId) -> Option<impl Fn(Generation) -> GroupHead + use<>> {
        let mut txn = Txn::default();
        let read = |txn: &mut Txn| desired::read_group(txn, group);
        let (row, deployments) = self.resolve(&mut txn, read)?;
        Some(move |generation| desired::group_head(&row, &deployments, generation))
    }

    fn unknown(&mut self, subject: &Subject, cause: Cause, line: Line) -> Vec<(Line, Payload)> {
        let lines = match (self.difference.unknown(subject, cause), line) {
            (Unknown::NotOurs | Unknown::Kept, _) => Vec::new(),
            (Unknown::ClearReports, Line::Device(number)) => {
                let reports = [
                    Line::Status(number),
                    Line::Presence(number),
                    Line::Info(number),
                ];
                [line].into_iter().chain(reports).collect()
            }
            (Unknown::Clear | Unknown::ClearReports, _) => vec![line],
        };
        let empty: Payload = Arc::from([]);
        lines
            .into_iter()
            .map(|line| (line, Arc::clone(&empty)))
            .collect()
    }
}

fn message(payload: Vec<u8>) -> Outgoing {
    Outgoing::retained(String::new(), payload)
}
