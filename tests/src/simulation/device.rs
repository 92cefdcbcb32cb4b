//! A modelled device: follows the wire's rules (W2, W4–W8) without files, scripts or a
//! network, and knows the truth about itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastrand::Rng;
use hoist_protocol::codec::{decode, encode};
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::head::{DeviceHead, GroupHead, Notice};
use hoist_protocol::id::{
    Attempt, DeploymentId, DeviceId, Generation, GroupId, RollCall, Round, Seq, SessionCounter,
};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{
    DeviceStatus, Failure, FinalResult, OUTCOMES_MAX, Outcome, Progress, Rollback, Step, Success,
};
use hoist_protocol::topic::{Topic, Topics};

use super::broker::{Broker, Message, Party};

/// What a device is working on.
#[derive(Clone, Debug)]
struct Running {
    notice: Notice,
    attempt: u32,
    step: Step,
}

/// A device and the truth about it.
pub struct Device {
    /// Its number in the world.
    pub number: usize,
    /// Its id.
    pub id: DeviceId,
    /// Whether it has a session.
    pub online: bool,
    session: u64,
    seq: u64,
    ended: u32,
    group: Option<GroupId>,
    holds: BTreeSet<DeploymentId>,
    generations: BTreeMap<String, Generation>,
    /// The group's head as received in this connection.
    head: Option<GroupHead>,
    roll_calls: BTreeMap<String, RollCall>,
    running: Option<Running>,
    ring: VecDeque<Outcome>,
    unacknowledged: usize,
    answer_all: bool,
    /// Every deployment it ever started, with how often it installed per (round, attempt).
    pub started: BTreeMap<DeploymentId, Vec<(Round, Attempt)>>,
    /// The last final result per deployment: round and success.
    pub finals: BTreeMap<DeploymentId, (Round, bool)>,
    /// Heads whose generation fell, which must not happen.
    pub fallen_generations: u32,
}

impl Device {
    /// A device that was never switched on.
    pub fn new(number: usize) -> Self {
        Self {
            number,
            id: format!("d{number:03}").parse().expect("a valid id"),
            online: false,
            session: 0,
            seq: 0,
            ended: 0,
            group: None,
            holds: BTreeSet::new(),
            generations: BTreeMap::new(),
            head: None,
            roll_calls: BTreeMap::new(),
            running: None,
            ring: VecDeque::new(),
            unacknowledged: 0,
            answer_all: false,
            started: BTreeMap::new(),
            finals: BTreeMap::new(),
            fallen_generations: 0,
        }
    }

    fn party(&self) -> Party {
        Party::Device(self.number)
    }

    fn topic(&self, of: fn(DeviceId) -> Topic) -> String {
        Topics::default().format(&of(self.id.clone()))
    }

    /// Its key: nothing is signed in the model, but it is pinned.
    pub fn public_key(&self) -> PublicKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(self.number as u64).to_le_bytes());
        PublicKey(key)
    }

    /// Connects: birth, information, last status, its own head.
    pub fn connect(&mut self, broker: &mut Broker) {
        self.online = true;
        self.session += 1;
        self.head = None;
        broker.connect(self.party());
        self.publish_presence(broker, PresenceState::Online);
        let info = DeviceInfo {
            public_key: Some(self.public_key()),
            ..DeviceInfo::default()
        };
        broker.publish(&self.topic(Topic::Info), encode(&info));
        if self.seq > 0 {
            self.report(broker);
        }
        broker.subscribe(&self.party(), &self.topic(Topic::DeviceHead));
    }

    /// Loses its connection; the will speaks for it.
    pub fn disconnect(&mut self, broker: &mut Broker) {
        self.online = false;
        self.head = None;
        broker.disconnect(&self.party());
        self.publish_presence(broker, PresenceState::Offline);
    }

    fn publish_presence(&self, broker: &mut Broker, state: PresenceState) {
        let presence = Presence {
            state,
            session: SessionCounter(self.session),
        };
        broker.publish(&self.topic(Topic::Presence), encode(&presence));
    }

    /// Takes a head.
    pub fn receive(&mut self, message: &Message, broker: &mut Broker) {
        match Topics::default().parse(&message.topic) {
            Ok(Topic::DeviceHead(_)) => self.receive_device_head(message, broker),
            Ok(Topic::GroupHead(group)) if Some(&group) == self.group.as_ref() => {
                self.receive_group_head(message, broker);
            }
            _ => {}
        }
    }

    fn accept(&mut self, topic: &str, generation: Generation) -> bool {
        let known = self.generations.entry(topic.to_owned()).or_default();
        if generation < *known {
            self.fallen_generations += 1;
            return false;
        }
        *known = generation;
        true
    }

    fn called(&mut self, topic: &str, roll_call: RollCall) -> bool {
        self.roll_calls
            .insert(topic.to_owned(), roll_call)
            .is_some_and(|old| old != roll_call)
    }

    fn receive_device_head(&mut self, message: &Message, broker: &mut Broker) {
        let Ok((head, _)) = hoist_protocol::codec::decode_prefix::<DeviceHead>(&message.payload)
        else {
            return;
        };
        if !self.accept(&message.topic, head.generation) {
            return;
        }
        self.holds = head.holds.into_iter().collect();
        if self.group.as_ref() != Some(&head.group) {
            self.head = None;
        }
        self.group = Some(head.group.clone());
        broker.subscribe(
            &self.party(),
            &Topics::default().format(&Topic::GroupHead(head.group)),
        );
        if self.called(&message.topic, head.roll_call) {
            self.answer_all = true;
            self.report(broker);
        }
    }

    fn receive_group_head(&mut self, message: &Message, broker: &mut Broker) {
        let Ok((head, _)) = hoist_protocol::codec::decode_prefix::<GroupHead>(&message.payload)
        else {
            return;
        };
        if !self.accept(&message.topic, head.generation) {
            return;
        }
        let called = self.called(&message.topic, head.roll_call);
        self.head = Some(head);
        if called {
            self.answer_all = true;
            self.report(broker);
        }
    }

    /// Whether it has something to do now.
    pub fn is_busy(&self) -> bool {
        self.running.is_some() || (self.online && self.next_notice().is_some())
    }

    /// What it would start: the lowest deployment listed that admits it (S11).
    fn next_notice(&self) -> Option<&Notice> {
        let notices = &self.head.as_ref()?.notices;
        let open = notices.iter().filter(|notice| {
            let deployment = notice.deployment;
            let over = self.finals.get(&deployment);
            let again = over.is_none_or(|(round, success)| !success && *round < notice.round);
            again
                && !self.holds.contains(&deployment)
                && notice.audience.admits(deployment, &self.id)
        });
        open.min_by_key(|notice| notice.deployment)
    }

    /// Does one step of its work.
    pub fn work(&mut self, rng: &mut Rng, broker: &mut Broker) {
        let Some(mut running) = self.running.take() else {
            if let Some(notice) = self.next_notice().cloned() {
                self.started.entry(notice.deployment).or_default();
                self.running = Some(Running {
                    notice,
                    attempt: 0,
                    step: Step::Downloading(0),
                });
                self.report(broker);
            }
            return;
        };
        let more_attempts = running.attempt < running.notice.policy.attempts;
        running.step = match running.step {
            Step::Downloading(percent) if percent < 50 => Step::Downloading(percent + 50),
            Step::Downloading(_) => Step::Downloaded,
            Step::Downloaded | Step::Retrying => {
                running.attempt += 1;
                let installed = self.started.entry(running.notice.deployment).or_default();
                installed.push((running.notice.round, Attempt(running.attempt)));
                Step::Installing
            }
            Step::Installing if rng.u8(..) < 40 => Step::Rebooting,
            Step::Installing | Step::Rebooting if rng.u8(..) < 60 && more_attempts => {
                Step::Retrying
            }
            Step::Installing | Step::Rebooting => {
                let success = rng.u8(..) < 215;
                self.end(&running, success);
                self.report(broker);
                return;
            }
        };
        self.running = Some(running);
        self.report(broker);
    }

    fn end(&mut self, running: &Running, success: bool) {
        let Notice {
            deployment, round, ..
        } = running.notice;
        let result = if success {
            FinalResult::Successful(Success::Installed)
        } else {
            FinalResult::Failed(Failure {
                reason: Reason::ScriptFailed,
                artifact: Some(0),
                script: None,
                rollback: Rollback::Succeeded,
                output: Vec::new(),
            })
        };
        self.finals.insert(deployment, (round, success));
        self.ring.push_back(Outcome {
            deployment,
            round,
            attempt: Attempt(running.attempt),
            result,
        });
        if self.ring.len() > OUTCOMES_MAX {
            self.ring.pop_front();
        }
        self.unacknowledged = (self.unacknowledged + 1).min(OUTCOMES_MAX);
        self.ended += 1;
    }

    /// Publishes its status if it can; what is not acknowledged goes with the next one.
    fn report(&mut self, broker: &mut Broker) {
        if !self.online {
            return;
        }
        self.seq += 1;
        let count = if self.answer_all {
            self.ring.len()
        } else {
            self.unacknowledged
        };
        let outcomes = self
            .ring
            .iter()
            .skip(self.ring.len() - count)
            .cloned()
            .collect();
        let running = self.running.as_ref().map(|running| Progress {
            deployment: running.notice.deployment,
            round: running.notice.round,
            attempt: Attempt(running.attempt),
            step: running.step,
        });
        let status = DeviceStatus {
            seq: Seq(self.seq),
            ended: self.ended,
            running,
            outcomes,
        };
        broker.publish(&self.topic(Topic::Status), encode(&status));
        self.unacknowledged = 0;
        self.answer_all = false;
    }
}

/// A status as the modelled server's adapter reads it.
pub fn read_status(payload: &[u8]) -> Option<DeviceStatus> {
    decode(payload).ok()
}
