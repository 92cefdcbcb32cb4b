//! Everything the orchestrator can be told. The adapter decodes, verifies signatures and
//! looks up roles; what it found is in the input, so that deciding stays pure.

use hoist_protocol::device::{DeviceInfo, Presence};
use hoist_protocol::envelope::{KeyId, PublicKey};
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, GroupId, Round};
use hoist_protocol::root::RootDocument;
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;

use crate::api::request::CommandInput;
use crate::model::effect::Event;
use crate::model::enroll::EnrollAsk;
use crate::model::error::Code;
use crate::model::evidence::{Delivered, SignatureEvidence};
use crate::model::release::VerifiedRelease;
use crate::model::row::{Deed, Refusal};
use crate::model::search::{Found, Left, Old, PassPage};
use crate::model::timer::Timer;
use crate::reply::Answer;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A device's status.
    Status {
        /// From its topic.
        device: DeviceId,
        /// As decoded.
        status: DeviceStatus,
        /// Of its outcomes.
        evidence: SignatureEvidence,
        /// The way in which it came.
        delivered: Delivered,
    },
    /// An empty payload on a status topic: a deletion, nothing more.
    StatusCleared {
        /// From its topic.
        device: DeviceId,
    },
    /// Something that does not decode or is not allowed; only counted.
    Refused {
        /// From its topic, where it has one.
        device: Option<DeviceId>,
        /// Why.
        code: Code,
    },
    /// Reports of a device that were refused with one code since this was said last; counted
    /// in memory, so that a flood of them costs no commit each.
    CountRefusals {
        /// The device.
        device: DeviceId,
        /// The last of them, and how many.
        refusal: Refusal,
    },
    /// A birth or a last will.
    Presence {
        /// From its topic.
        device: DeviceId,
        /// As decoded.
        presence: Presence,
        /// The way in which it came.
        delivered: Delivered,
    },
    /// A device's info: the facts that it reports of itself.
    Info {
        /// From its topic.
        device: DeviceId,
        /// As decoded.
        info: Box<DeviceInfo>,
    },
    /// A request for the certificate of a device.
    Enroll(Box<EnrollAsk>),
    /// A person's command.
    Command(Box<CommandInput>),
    /// A command about users was carried out, or refused: remembers the answer to its request.
    UserManaged {
        /// The command and its user, for the audit trail.
        deed: Box<Deed>,
        /// SHA-256 of verb and body.
        body_hash: [u8; 32],
        /// The answer.
        answer: Box<Answer>,
    },
    /// A command about users was refused, and the answer is not remembered.
    UserRefused {
        /// The command and its user, for the audit trail.
        deed: Box<Deed>,
        /// Why.
        code: Code,
    },
    /// Something was done outside of the rules that the audit trail tells of.
    Noted(Box<Deed>),
    /// Something happened to the server that people are told of.
    Happened(Box<Event>),
    /// The same, told already while nothing could be kept: it is only kept.
    ToldBefore(Box<Event>),
    /// The root document that the server goes by: the audit trail tells of each other one.
    RootInEffect(Box<RootDocument>),
    /// A timer whose time has come, by the clock it is on.
    TimerDue(Timer),
    /// The answer to [`crate::model::effect::Effect::FindLine`].
    LineFound(Box<Found>),
    /// The entries in a group's spec with our signature, as it was seen: its numbers and rounds
    /// are never given again.
    SeenSpec(Vec<DeploymentSpec>),
    /// The rounds in a device's spec with our signature, as it was seen.
    SeenRounds {
        /// The device.
        device: DeviceId,
        /// Deployments, and the rounds that were opened for the device.
        rounds: Vec<(DeploymentId, Round)>,
    },
    /// A release's manifest that was kept beside a lost store.
    RecoverRelease(Box<VerifiedRelease>),
    /// A group's spec with our signature that outlived the store.
    RecoverGroup {
        /// The group.
        group: GroupId,
        /// As it was signed.
        spec: Box<GroupSpec>,
    },
    /// A device's spec with our signature that the device kept.
    RecoverDevice {
        /// The device.
        device: DeviceId,
        /// As it was signed.
        spec: Box<DeviceSpec>,
        /// True if it was signed after everything that the store knew of.
        newer: bool,
        /// The key that the device shows.
        shown: Option<PublicKey>,
    },
    /// The fleet has answered: what a group has active or scheduled ends.
    RecoveryOver(GroupId),
    /// Something that may have been kept for long enough ([`crate::model::now::Keep`]).
    Old(Old),
    /// The answer to [`crate::model::effect::Effect::Sweep`].
    Left(Box<Left>),
    /// The answer to [`crate::model::effect::Effect::Pass`].
    PassPage(Box<PassPage>),
    /// A recovery of this store begins, or goes on after a crash.
    RecoveryBegins,
    /// A recovery of this store is over.
    RecoveryEnds,
    /// The broker knows nothing of our session: it restarted, or dropped it. What was known
    /// of who is online is void (W8). Before anything of the new session.
    BrokerForgot,
    /// Asks every device of a group to report everything (W6): what it said may be lost.
    Doubt(GroupId),
    /// The connection to the broker is up, subscriptions included.
    Connected,
    /// It is down.
    Disconnected,
    /// Every group was asked for a resync since the broker forgot last (W6).
    ResyncAsked,
    /// Persists [`crate::model::now::Now::uptime_ms`]; once per batch is enough.
    Uptime,
    /// Specs are signed with this key from now on.
    SignedBy(KeyId),
    /// Persists that specs may be signed with generations up to this one; answered by
    /// [`crate::model::effect::Effect::GenerationsReserved`].
    ReserveGenerations(Generation),
    /// The broker was seen to hold a device's spec, or to hold none for a device that was
    /// removed.
    SpecOut {
        /// The device.
        device: DeviceId,
        /// As of which change ([`crate::model::row::OutboxRow::change`]).
        change: u32,
    },
}
