//! The conversation of one device, step by step.

use hoist_protocol::admission::Audience;
use hoist_protocol::codec::decode;
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::{KeyId, PublicKey};
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, GroupId, ReleaseId, Resync, Round};
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec, Policy};
use hoist_protocol::status::{DeviceStatus, Step};
use hoist_protocol::topic::Topic;

use super::*;
use crate::machine::{BootId, InfoExtent, Verdict};
use crate::record::{Floor, Record, Ring};

const NOW_MS: u64 = 1_000_000;
const KEY: PublicKey = PublicKey([7; 32]);
const RELEASE: ReleaseId = ReleaseId([5; 16]);

/// A clock that shows the highest signed time.
struct Signed(u64);

impl Clock for Signed {
    fn now(&mut self) -> Now {
        Now {
            unix_ms: self.0,
            random: 0,
        }
    }

    fn signed(&mut self, unix_ms: u64) {
        self.0 = self.0.max(unix_ms);
    }

    fn begin_anew(&mut self, unix_ms: u64) {
        self.0 = unix_ms;
    }
}

/// A device whose disk and broker do what they should.
struct Device {
    session: Session,
    clock: Signed,
}

const SIGNER: KeyId = KeyId([3; 4]);
const OTHER: KeyId = KeyId([4; 4]);

/// A root document that names this key.
fn trusted(number: u32, signer: KeyId) -> Trusted {
    Trusted {
        number,
        signers: vec![signer],
        issued_ms: 0,
    }
}

fn known() -> Root {
    Root::Known(trusted(1, SIGNER))
}

fn device_id() -> DeviceId {
    "dev-01".parse().unwrap()
}

fn own_spec(generation: u64, group: &str) -> DeviceSpec {
    DeviceSpec {
        generation: Generation(generation),
        group: group.parse().unwrap(),
        labels: Vec::new(),
        resync: Resync(0),
        holds: Vec::new(),
        rounds: Vec::new(),
        permits: Vec::new(),
        public_key: Some(KEY),
    }
}

fn group_topic(name: &str) -> Topic {
    Topic::GroupSpec(name.parse().unwrap())
}

fn entry(deployment: u32) -> DeploymentSpec {
    DeploymentSpec {
        deployment: DeploymentId(deployment),
        release: RELEASE,
        round: Round(0),
        audience: Audience::EVERYONE,
        policy: Policy {
            attempts: 1,
            ..Policy::default()
        },
    }
}

/// The topics that are subscribed and left, in order.
fn topics(outputs: &[Output]) -> Vec<(bool, Topic)> {
    let topic = |output: &Output| match output {
        Output::Subscribe(topic) => Some((true, topic.clone())),
        Output::Unsubscribe(topic) => Some((false, topic.clone())),
        _ => None,
    };
    outputs.iter().filter_map(topic).collect()
}

fn statuses(outputs: &[Output]) -> Vec<DeviceStatus> {
    let status = |output: &Output| match output {
        Output::Status(status) => Some(status.clone()),
        _ => None,
    };
    outputs.iter().filter_map(status).collect()
}

fn percent(status: &DeviceStatus) -> Option<u8> {
    match status.running?.step {
        Step::Downloading(percent) => Some(percent),
        _ => None,
    }
}

impl Device {
    fn new(root: Root) -> Self {
        Self::new_with(root, Record::default(), None)
    }

    fn new_with(root: Root, record: Record, own: Option<DeviceSpec>) -> Self {
        let setup = Setup {
            device: device_id(),
            boot: BootId([1; 8]),
            record: Some(record),
            ring: Ring::default(),
            lost: false,
            device_spec: own,
            forgotten: None,
            kept_release: None,
        };
        let identity = Identity {
            key: KEY,
            spec: Vec::new(),
            root,
        };
        let mut device = Self {
            session: Session::new(setup, identity),
            clock: Signed(NOW_MS),
        };
        device.session.handle(Event::Started, &mut device.clock);
        device.outputs();
        device
    }

    /// Everything that is to be done, with disk and network that work.
    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.next_output()).collect()
    }

    fn connect(&mut self) -> Vec<Output> {
        self.session.begin();
        self.outputs();
        self.session.connected(&mut self.clock);
        self.outputs()
    }

    fn hear_own(&mut self, spec: DeviceSpec) -> Vec<Output> {
        let received = spec.generation.0.to_be_bytes();
        self.session
            .device_spec(spec, SIGNER, &received, &mut self.clock);
        self.outputs()
    }

    fn hear_group(&mut self, name: &str, spec: GroupSpec) -> Vec<Output> {
        let group: GroupId = name.parse().unwrap();
        self.session
            .group_spec(&group, spec, SIGNER, &mut self.clock);
        self.outputs()
    }

    /// A member of `eu` whose status and info of this session are acknowledged.
    fn member() -> Self {
        let mut device = Self::new(known());
        device.connect();
        let outputs = device.hear_own(own_spec(NOW_MS, "eu"));
        for status in statuses(&outputs) {
            device.acknowledge(Carries::status(&status));
        }
        assert!(device.say(InfoExtent::IfChanged).is_some());
        device.acknowledge(Carries::Info(InfoExtent::IfChanged));
        device
    }

    /// A member to which deployment 1 is listed, and which fetches its release.
    fn fetching() -> Self {
        let mut device = Self::member();
        device.list(NOW_MS + 1);
        let wanted = device.session.manifest(RELEASE).unwrap();
        device
            .session
            .checked(&wanted, Verdict::Fits, &mut device.clock);
        device
    }

    fn list(&mut self, generation: u64) -> Vec<Output> {
        let spec = GroupSpec {
            generation: Generation(generation),
            entries: vec![entry(1)],
            ..GroupSpec::default()
        };
        self.hear_group("eu", spec)
    }

    fn acknowledge(&mut self, carries: Carries) -> Vec<Output> {
        self.session.acknowledged(carries, &mut self.clock);
        self.outputs()
    }

    fn progress(&mut self, percent: u8) -> Vec<Output> {
        let event = Event::DownloadProgress(percent);
        self.session.handle(event, &mut self.clock);
        self.outputs()
    }

    /// Says what it is and has, if that is news.
    fn say(&mut self, extent: InfoExtent) -> Option<DeviceInfo> {
        let info = self.session.describe(DeviceInfo::default(), extent)?;
        Some(decode(&info).unwrap())
    }
}

mod proof;
mod said;
mod time;
mod trust;

#[test]
fn a_session_begins_with_a_birth_and_hears_nothing_before_the_pinned_root() {
    let mut device = Device::new(Root::Wanted(1));
    let outputs = device.connect();
    let birth = Presence {
        state: PresenceState::Online,
        session: device.session.number(),
    };
    assert_eq!(
        outputs,
        [Output::Presence(birth), Output::Subscribe(Topic::Root(1))]
    );
    assert!(!device.session.announces(), "nobody would hear it yet");
    device.session.trusts(trusted(1, SIGNER), &mut device.clock);
    assert_eq!(
        topics(&device.outputs()),
        [
            (false, Topic::Root(1)),
            (true, Topic::Root(2)),
            (true, Topic::DeviceSpec(device_id()))
        ]
    );
    assert!(device.session.announces());
}

#[test]
fn each_session_has_a_number_that_is_durable_before_it_begins() {
    let mut device = Device::new(known());
    let mut last = device.session.number();
    for _ in 0..200 {
        device.session.begin();
        let reserved = device
            .outputs()
            .into_iter()
            .find_map(|output| match output {
                Output::Keep(Keep::Record(record)) => Some(record.reserved),
                _ => None,
            });
        assert!(device.session.number() > last);
        assert!(reserved.is_none_or(|end| end.0 > device.session.number().0));
        last = device.session.number();
    }
}

#[test]
fn nothing_that_follows_a_write_happens_before_it_and_the_rest_goes_on() {
    let mut device = Device::member();
    device.list(NOW_MS + 1);
    let wanted = device.session.manifest(RELEASE).unwrap();
    let session = &mut device.session;
    session.checked(&wanted, Verdict::Fits, &mut device.clock);
    assert_eq!(
        session.next_output(),
        Some(Output::Unsubscribe(Topic::Release(RELEASE)))
    );
    let keep = Keep::Release(RELEASE);
    assert_eq!(session.next_output(), Some(Output::Keep(keep.clone())));
    session.not_kept(keep.clone());
    assert!(session.owed() > 0);
    assert_eq!(session.next_output(), None, "it waits");
    session.changed();
    assert_eq!(
        session.next_output(),
        Some(Output::Describe(InfoExtent::IfChanged))
    );
    session.keep_again();
    assert_eq!(session.next_output(), Some(Output::Keep(keep)));
    let rest = device.outputs();
    assert!(matches!(rest[0], Output::Keep(Keep::Record(_))), "{rest:?}");
    assert!(rest.iter().any(|one| matches!(one, Output::Begin(_))));
    assert_eq!(device.session.owed(), 0);
}

#[test]
fn a_device_hears_one_release_at_a_time() {
    let mut device = Device::member();
    let release = |deployment| Topic::Release(ReleaseId([deployment; 16]));
    let mut list = |number: u8| {
        let entry = DeploymentSpec {
            release: ReleaseId([number; 16]),
            ..entry(u32::from(number))
        };
        let spec = GroupSpec {
            generation: Generation(NOW_MS + u64::from(number)),
            entries: vec![entry],
            ..GroupSpec::default()
        };
        let mut topics = topics(&device.hear_group("eu", spec));
        topics.retain(|(_, topic)| matches!(topic, Topic::Release(_)));
        topics
    };
    assert_eq!(list(1), [(true, release(1))]);
    // Its manifest has not come, and is not wanted any more.
    for number in 2..40 {
        let expected = [(false, release(number - 1)), (true, release(number))];
        assert_eq!(list(number), expected);
    }
}

#[test]
fn a_device_hears_one_group_and_no_other() {
    // W2
    let mut device = Device::member();
    assert!(device.session.follows(&"eu".parse().unwrap()));
    let moved = device.hear_own(own_spec(NOW_MS + 1, "us"));
    assert_eq!(
        topics(&moved),
        [(false, group_topic("eu")), (true, group_topic("us"))]
    );
    assert_eq!(device.list(NOW_MS + 2), [], "it is of the old group");
    device.session.removed(&mut device.clock);
    let removed = device.outputs();
    assert_eq!(topics(&removed), [(false, group_topic("us"))]);
    let forgotten = Keep::NoDeviceSpec(Floor {
        generation: Generation(NOW_MS + 1),
        by: Some(SIGNER),
    });
    assert!(removed.contains(&Output::Keep(forgotten)), "{removed:?}");
    let told = device.say(InfoExtent::Full).unwrap();
    assert_eq!(told.stored_spec, None);
}

#[test]
fn a_spec_that_comes_while_the_removal_cannot_be_written_is_kept() {
    let mut device = Device::member();
    device.session.removed(&mut device.clock);
    let outputs = device.outputs();
    let Some(Output::Keep(keep)) = outputs.last().cloned() else {
        panic!("{outputs:?}");
    };
    device.session.not_kept(keep.clone());
    assert_eq!(device.hear_own(own_spec(NOW_MS + 5, "us")), []);
    device.session.keep_again();
    let outputs = device.outputs();
    assert_eq!(outputs[0], Output::Keep(keep));
    let spec = (NOW_MS + 5).to_be_bytes().to_vec();
    assert!(outputs.contains(&Output::Keep(Keep::DeviceSpec(spec))));
}

#[test]
fn what_is_there_already_is_proven_once_however_often_the_connection_breaks() {
    // S12
    let mut device = Device::member();
    device.list(NOW_MS + 1);
    let wanted = device.session.manifest(RELEASE).unwrap();
    let clock = &mut device.clock;
    device.session.checked(&wanted, Verdict::Already, clock);
    let proof = Output::Begin(Task::Prove(entry(1)));
    assert!(device.outputs().contains(&proof));
    device.session.disconnected(&mut device.clock);
    device.connect();
    let again = statuses(&device.hear_own(own_spec(NOW_MS, "eu")));
    device.acknowledge(Carries::status(&again[0]));
    device.list(NOW_MS + 1);
    device.session.proven(Verdict::Already, &mut device.clock);
    assert_eq!(device.outputs(), [], "its manifest is on its way");
    let wanted = device.session.manifest(RELEASE).unwrap();
    let clock = &mut device.clock;
    device.session.checked(&wanted, Verdict::Already, clock);
    let outputs = device.outputs();
    assert!(!outputs.contains(&proof));
    assert_eq!(statuses(&outputs)[0].ended, 1);
}
