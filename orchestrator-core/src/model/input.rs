//! Everything the orchestrator can be told. The adapter decodes, verifies signatures and
//! looks up roles; what it found is in the input, so that deciding stays pure.

use hoist_protocol::access::Role;
use hoist_protocol::device::{DeviceInfo, Presence};
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::head::{DeviceHead, GroupHead, Notice};
use hoist_protocol::id::{
    DeploymentId, DeviceId, Generation, GroupId, Name, RequestId, Round, UserId,
};
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::status::DeviceStatus;

use crate::api::command::Command;
use crate::model::error::{Code, Rejection};
use crate::model::row::Refusal;
use crate::model::timer::Timer;
use crate::rules::deployment::retention::{Left, Old};
use crate::rules::rollout::limit::Found;

/// The two clocks of a decision, and the settings that go with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Unix time in milliseconds.
    pub unix_ms: u64,
    /// Milliseconds this orchestrator has been connected, ever: what timeouts count (S7).
    /// The adapter persists it by [`Input::Attended`].
    pub attended_ms: u64,
    /// How long silence is borne.
    pub patience: Patience,
    /// What the server is there for.
    pub mode: Mode,
    /// What is kept for how long.
    pub keep: Keep,
}

/// How long what is over is kept: settings; none = for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// A deployment that is over on every device, in ms.
    pub ended_deployments_ms: Option<u64>,
    /// A device that is away and not heard, in ms of both clocks.
    pub silent_devices_ms: Option<u64>,
}

/// What a server is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// To roll out what operators want.
    #[default]
    Serving,
    /// To learn from the fleet what its store does not know any more; nothing is begun.
    Recovering,
}

/// How long silence is borne before anything is concluded from it: settings, in attended
/// ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a device may be out of contact, or take to answer, before it counts as
    /// lost (S6, S7).
    pub grace_ms: u64,
    /// Nothing is concluded from silence this soon after (re)connecting: devices that
    /// were cut off with us need time to report (S7).
    pub settle_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            grace_ms: 60_000,
            settle_ms: 30_000,
        }
    }
}

/// What the signature of a status is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureEvidence {
    /// Verified with the device's pinned key and topic, or no outcomes to sign.
    Valid,
    /// Wrong, or no key is pinned to verify it with.
    Invalid,
    /// Missing.
    Absent,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// When it was published, for the first time as far as the broker says.
    Live,
    /// Because it is what the broker keeps now: newer than everything that is on its way.
    Kept,
    /// Once more, since it was not acknowledged: what came after it may be known already.
    Again,
}

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
        /// Whether it came before.
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
        /// Whose.
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
        /// How it came.
        delivered: Delivered,
    },
    /// What a device is and has.
    Info {
        /// From its topic.
        device: DeviceId,
        /// As decoded.
        info: Box<DeviceInfo>,
    },
    /// A person's command.
    Command(Box<CommandInput>),
    /// A timer whose time has come, by the clock it is on.
    TimerDue(Timer),
    /// The answer to [`crate::model::effect::Effect::FindLine`].
    LineFound(Box<Found>),
    /// What a group's head with our signature lists, as it was seen: its numbers and rounds
    /// are never given again.
    SeenHead(Vec<Notice>),
    /// The rounds in a device's head with our signature, as it was seen.
    SeenRounds {
        /// Whose.
        device: DeviceId,
        /// Deployments, and the rounds that were opened for the device.
        rounds: Vec<(DeploymentId, Round)>,
    },
    /// A release's manifest that was kept beside a lost store.
    RecoverRelease(Box<VerifiedRelease>),
    /// A group's head with our signature that outlived the store.
    RecoverGroup {
        /// Whose.
        group: GroupId,
        /// As it was signed.
        head: Box<GroupHead>,
    },
    /// A device's head with our signature that the device kept.
    RecoverDevice {
        /// Whose.
        device: DeviceId,
        /// As it was signed.
        head: Box<DeviceHead>,
        /// Whether it was signed after everything that the store knew of.
        newer: bool,
        /// The key that the device shows.
        shown: Option<PublicKey>,
    },
    /// The fleet has answered: what a group has active or scheduled ends.
    RecoveryOver(GroupId),
    /// Something that may have been kept for long enough ([`Keep`]).
    Old(Old),
    /// The answer to [`crate::model::effect::Effect::Sweep`].
    Left(Box<Left>),
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
    /// Persists [`Now::attended_ms`]; once per batch is enough.
    Attended,
    /// Persists that heads may be signed with generations up to this one; answered by
    /// [`crate::model::effect::Effect::GenerationsReserved`].
    ReserveGenerations(Generation),
    /// The broker was seen to hold a device's head, or to hold none for a device that was
    /// removed.
    HeadOut {
        /// Whose.
        device: DeviceId,
        /// As of which change ([`crate::model::row::OutboxRow::change`]).
        change: u32,
    },
}

/// A command with what the adapter knows about its sender and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandInput {
    /// From the topic; the broker vouches for it.
    pub user: UserId,
    /// What the user may do; absent when the user is not known (any more).
    pub role: Option<Role>,
    /// The only groups the user may change; empty means all.
    pub groups: Vec<GroupId>,
    /// From the topic.
    pub request: RequestId,
    /// SHA-256 of verb and body, to tell a repeat from a reused id.
    pub body_hash: [u8; 32],
    /// Which command was asked for, for the log: it may be none.
    pub verb: String,
    /// The parsed command, or why it could not be parsed.
    pub command: Result<Command, Rejection>,
    /// For `release-add`: what was verified of the manifest.
    pub release: Option<VerifiedRelease>,
    /// For `release-remove`: who needs the release.
    pub uses: Option<Uses>,
}

/// Deployments that need a release: found by looking at all of them, before it is decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uses {
    /// The highest number that was given when they were looked at.
    pub last: DeploymentId,
    /// Those that had not ended, or on which a device was at work.
    pub by: Vec<DeploymentId>,
}

/// A release whose signature and artifacts the adapter has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRelease {
    /// The manifest in its envelope, as it will be retained.
    pub sealed: Vec<u8>,
    /// The manifest.
    pub manifest: ReleaseManifest,
    /// The names of its artifacts, in manifest order, from their own manifests.
    pub artifacts: Vec<Name>,
}
