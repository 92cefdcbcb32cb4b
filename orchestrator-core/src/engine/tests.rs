//! The order in which the engine goes: with rows in memory, a broker that is a list, and keys
//! that sign nothing.

use hoist_protocol::codec::{DecodeError, decode_prefix, encode};
use hoist_protocol::envelope::{KeyId, PublicKey};
use hoist_protocol::id::{DeploymentId, RequestId};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;
use serde_json::json;

use super::delivery::{Receipt, Waiter};
use super::event::{Output, Page, Turn};
use super::*;
use crate::api::response::Response;
use crate::engine::memory::MemoryRows;
use crate::model::effect::Effect;
use crate::model::evidence::SignatureEvidence;
use crate::model::key::{GroupKey, InstanceKey, RowKey};
use crate::model::row::GroupRow;
use crate::reply::Answer;

/// Keys that sign nothing, and count how often a signature was looked at.
#[derive(Debug, Clone, Default)]
struct Plain {
    verified: std::rc::Rc<std::cell::Cell<u32>>,
}

impl Seals for Plain {
    fn signer(&self) -> Option<KeyId> {
        None
    }

    fn group_spec(&self, _: &GroupId, spec: &GroupSpec) -> Vec<u8> {
        encode(spec)
    }

    fn device_spec(&self, _: &DeviceId, spec: &DeviceSpec) -> Vec<u8> {
        encode(spec)
    }

    fn open_group(&self, _: &GroupId, payload: &[u8]) -> Option<GroupSpec> {
        decode_prefix(payload).ok().map(|(spec, _)| spec)
    }

    fn open_device(&self, _: &DeviceId, payload: &[u8]) -> Option<DeviceSpec> {
        decode_prefix(payload).ok().map(|(spec, _)| spec)
    }

    fn status(&self, payload: &[u8]) -> Result<DeviceStatus, DecodeError> {
        decode_prefix(payload).map(|(status, _)| status)
    }

    fn evidence(&self, _: &DeviceId, _: &[u8], _: Option<&PublicKey>) -> SignatureEvidence {
        self.verified.set(self.verified.get() + 1);
        SignatureEvidence::Valid
    }
}

/// What a run did, in words.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Committed,
    Out(String),
}

struct Rig {
    engine: Engine<Plain>,
    rows: MemoryRows,
    now: Now,
    done: Vec<Done>,
    published: Vec<(Topic, Vec<u8>)>,
    packets: u16,
}

impl Rig {
    /// An engine that is connected and has nothing to do.
    fn listening() -> Self {
        let mut rig = Self {
            engine: engine(),
            rows: MemoryRows::default(),
            now: Now {
                unix_ms: 1_800_000_000_000,
                ..Now::default()
            },
            done: Vec::new(),
            published: Vec::new(),
            packets: 0,
        };
        rig.connect();
        rig.run();
        rig.done.clear();
        rig
    }

    fn connect(&mut self) {
        self.happens(Event::Connected(Session::Fresh));
        self.happens(Event::Subscribed);
    }

    fn happens(&mut self, event: Event) {
        self.engine.handle(event, self.now);
    }

    /// A command comes by MQTT.
    fn command(&mut self, verb: &str, body: &serde_json::Value, retained: bool) -> Topic {
        self.packets += 1;
        let request: RequestId = format!("r{}", self.packets).parse().unwrap();
        let topic = Topic::Command {
            user: "alice".parse().unwrap(),
            request,
            verb: verb.parse().unwrap(),
        };
        let mut arrivals = self.engine.receive(Delivery {
            topic: Some(topic.clone()),
            payload: body.to_string().into_bytes().into(),
            retained,
            again: false,
            receipt: Some(Receipt {
                connection: 1,
                packet: self.packets,
            }),
        });
        for arrival in &mut arrivals {
            if let Content::Command(asked) = &mut arrival.content {
                asked.role = Some(hoist_protocol::access::Role::Admin);
            }
        }
        self.happens(Event::Arrived(arrivals));
        topic
    }

    /// One turn, and what it wants of a store that works; false when there is nothing to do.
    fn step(&mut self) -> bool {
        let event = match self.engine.turn(self.now).unwrap() {
            Turn::Load(keys) => Event::Loaded(self.rows.stored(&keys)),
            Turn::Scan(scan) => Event::Scanned(self.rows.page(&scan)),
            Turn::Commit(writes) => {
                self.rows.commit(&writes);
                self.done.push(Done::Committed);
                Event::Durable
            }
            Turn::Outputs(outputs) => {
                let words = outputs.iter().filter_map(word).map(Done::Out);
                self.done.extend(words);
                for output in outputs {
                    if let Output::Publish { topic, payload } = output {
                        self.published.push((topic, payload));
                    }
                }
                return true;
            }
            Turn::Idle => return false,
        };
        self.happens(event);
        true
    }

    fn run(&mut self) {
        while self.step() {}
    }

    /// Steps up to the next commit, which is not made.
    fn stop_at_commit(&mut self) {
        loop {
            match self.engine.turn(self.now).unwrap() {
                Turn::Load(keys) => self.happens(Event::Loaded(self.rows.stored(&keys))),
                Turn::Scan(_) => self.happens(Event::Scanned(Page::default())),
                Turn::Commit(_) => return,
                other => panic!("{other:?} before a commit"),
            }
        }
    }

    fn words(&self) -> Vec<&str> {
        let words = self.done.iter().map(|done| match done {
            Done::Out(text) => text.as_str(),
            Done::Committed => "committed",
        });
        words.collect()
    }

    fn place(&self, word: &str) -> usize {
        let place = self.words().iter().position(|other| *other == word);
        place.unwrap_or_else(|| panic!("no {word} in {:?}", self.words()))
    }
}

fn engine() -> Engine<Plain> {
    Engine::new(
        Plain::default(),
        settings(),
        &InstanceRow::default(),
        Generation(0),
    )
}

fn settings() -> Settings {
    Settings {
        instance: InstanceId::MAIN,
        mode: Mode::Serving,
        source: None,
        validity_s: 600,
        roots: vec![(1, b"root".to_vec())],
    }
}

fn word(output: &Output) -> Option<String> {
    Some(match output {
        Output::Publish { topic, payload } if payload.is_empty() => format!("clear {topic}"),
        Output::Publish { topic, .. } => format!("publish {topic}"),
        Output::Acknowledge(receipt) => format!("acknowledge {}", receipt.packet),
        Output::Respond(response, waiter) => match (&**response, waiter) {
            (
                Response::Reply {
                    request, answer, ..
                },
                None,
            ) => match answer {
                Answer::Refused(refusal) => format!("reply {request}: {}", refusal.code),
                _ => format!("reply {request}"),
            },
            (_, waiter) => format!("respond to {waiter:?}"),
        },
        Output::Read(topic) => format!("read {topic}"),
        Output::Effect(Effect::Damaged(damage)) => format!("damaged: {damage}"),
        _ => return None,
    })
}

#[test]
fn nothing_is_put_out_before_it_is_durable_and_the_acknowledgment_is_the_last() {
    let mut rig = Rig::listening();
    rig.command("group-create", &json!({"group": "eu"}), false);
    rig.stop_at_commit();
    // The rows are on their way: until they are durable there is nothing to do.
    rig.happens(Event::Durable);
    rig.run();
    let (reply, acknowledged) = (rig.place("reply r1"), rig.place("acknowledge 1"));
    assert!(
        reply < acknowledged && acknowledged < rig.done.len() - 1,
        "{:?}",
        rig.words()
    );
}

#[test]
fn a_spec_goes_out_after_the_decision_that_changed_it() {
    let mut rig = Rig::listening();
    rig.command("group-create", &json!({"group": "eu"}), false);
    rig.run();
    let committed = rig.place("committed");
    let spec = rig.done.iter().position(
        |done| matches!(done, Done::Out(text) if text.starts_with("publish") && text.contains("eu")),
    );
    assert!(committed < rig.place("acknowledge 1"));
    assert!(Some(rig.place("acknowledge 1")) < spec, "{:?}", rig.words());
}

#[test]
fn somebody_else_who_wrote_in_between_makes_the_engine_decide_on_what_is_there_now() {
    let mut rig = Rig::listening();
    rig.command("group-create", &json!({"group": "eu"}), false);
    rig.stop_at_commit();
    // Another server was first.
    let mut other = Rig::listening();
    other.command("group-create", &json!({"group": "eu"}), false);
    other.run();
    rig.rows = other.rows;
    rig.happens(Event::Conflict);
    rig.run();
    // The same request of the same user was answered by the other one: nothing is written twice.
    assert_eq!(rig.words()[..2], ["reply r1", "acknowledge 1"]);
    assert!(!rig.words().contains(&"committed"), "{:?}", rig.words());
}

#[test]
fn a_store_that_fails_gives_everything_back_in_order() {
    let mut rig = Rig::listening();
    for group in ["a", "b", "c"] {
        rig.command("group-create", &json!({"group": group}), false);
    }
    rig.stop_at_commit();
    rig.command("group-create", &json!({"group": "d"}), false);
    let Interrupted { begun, waiting } = rig.engine.interrupted();
    let packets = |arrivals: &[Arrival]| -> Vec<u16> {
        let receipts = arrivals.iter().filter_map(|arrival| arrival.receipt);
        receipts.map(|receipt| receipt.packet).collect()
    };
    assert_eq!(packets(&begun), [1, 2, 3]);
    assert_eq!(packets(&waiting), [4]);
    rig.run();
    assert!(rig.done.is_empty(), "{:?}", rig.words());
    // Told again, they are decided as if nothing had happened.
    rig.happens(Event::Arrived([begun, waiting].concat()));
    rig.run();
    assert!(rig.place("acknowledge 1") < rig.place("acknowledge 4"));
}

#[test]
fn what_could_not_be_sent_goes_out_on_the_next_connection_and_nothing_before() {
    let mut rig = Rig::listening();
    rig.command("group-create", &json!({"group": "eu"}), false);
    rig.run();
    rig.done.clear();
    let spec = Topic::GroupSpec("eu".parse().unwrap());
    rig.engine.cut(std::slice::from_ref(&spec));
    rig.run();
    assert!(rig.done.is_empty(), "{:?}", rig.words());
    rig.happens(Event::Disconnected);
    rig.connect();
    rig.run();
    rig.place(&format!("publish {spec}"));
}

#[test]
fn a_retained_command_is_cleared_before_it_is_acknowledged_and_its_echo_is_none() {
    // bad-inputs row 31
    let mut rig = Rig::listening();
    let topic = rig.command("group-create", &json!({"group": "eu"}), true);
    rig.run();
    assert!(rig.place(&format!("clear {topic}")) < rig.place("acknowledge 1"));
    rig.done.clear();
    let echo = Delivery {
        topic: Some(topic),
        payload: Vec::new().into(),
        retained: false,
        again: false,
        receipt: None,
    };
    let arrivals = rig.engine.receive(echo);
    assert!(matches!(
        arrivals[..],
        [Arrival {
            content: Content::Nothing,
            ..
        }]
    ));
}

#[test]
fn a_manifest_without_a_release_is_cleared_as_often_as_it_is_seen_and_its_echo_asks_for_nothing() {
    let mut rig = Rig::listening();
    let topic = Topic::Release(hoist_protocol::id::ReleaseId([7; 16]));
    // The clearing of before was handed over, and lost with its connection.
    for payload in [&b"manifest"[..], b"manifest", b""] {
        let arrivals = rig.engine.receive(Delivery {
            topic: Some(topic.clone()),
            payload: payload.to_vec().into(),
            retained: true,
            again: false,
            receipt: None,
        });
        rig.happens(Event::Arrived(arrivals));
        rig.run();
    }
    let cleared = format!("clear {topic}");
    let words = rig.words();
    let times = words.iter().filter(|word| **word == cleared).count();
    assert_eq!(times, 2, "{words:?}");
}

#[test]
fn a_spec_is_signed_within_what_is_reserved_however_long_its_rows_take() {
    // W1
    let mut rig = Rig::listening();
    rig.command("group-create", &json!({"group": "eu"}), false);
    rig.run();
    let subject = Subject::Group("eu".parse().unwrap());
    rig.now.unix_ms += 61_000;
    rig.engine.difference_mut().mark(subject, Cause::Seen);
    loop {
        match rig.engine.turn(rig.now).unwrap() {
            Turn::Load(keys) if keys == [GroupKey("eu".parse().unwrap()).key()] => {
                rig.happens(Event::Loaded(rig.rows.stored(&keys)));
                break;
            }
            Turn::Load(keys) => rig.happens(Event::Loaded(rig.rows.stored(&keys))),
            Turn::Commit(writes) => {
                rig.rows.commit(&writes);
                rig.happens(Event::Durable);
            }
            Turn::Outputs(_) => {}
            other => panic!("{other:?} before the rows of the group"),
        }
    }
    rig.now.unix_ms += 600_000;
    while rig.step() {
        let [_, reserved, highest] = rig.engine.difference().generations();
        assert!(highest <= reserved, "{highest:?} is above {reserved:?}");
    }
    rig.place("publish g/eu");
}

mod elsewhere;
mod losses;
mod once;
mod resync;
