//! Effects of a decision, which the adapter carries out once its rows are durable. Specs are not
//! among them: an effect only says which spec may have changed, and the engine publishes the
//! spec of [`crate::engine::desired`].

use hoist_protocol::id::{
    ArtifactId, ClaimId, DeploymentId, DeviceId, Generation, GroupId, ReleaseId, RequestId, Seq,
    UserId,
};
use hoist_protocol::topic::View;

use crate::model::damage::Damage;
use crate::model::enroll::EnrollOutcome;
use crate::model::error::Code;
use crate::model::row::Revocation;
use crate::model::search::{PassSeek, Seek};

mod event;

pub use event::Event;

/// The effects of one decision, in order.
pub type Effects = Vec<Effect>;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Tell people; at most once across a crash.
    Event(Event),
    /// A view for people may have changed.
    ViewChanged(View),
    /// A group's spec may have changed.
    GroupSpecChanged(GroupId),
    /// The spec of every group may have changed, and each view.
    EveryGroupChanged,
    /// A device's spec may have changed, or its device is gone.
    DeviceSpecChanged(DeviceId),
    /// Read a device's retained status again: what it said may have been missed (S7).
    ReadStatus(DeviceId),
    /// Read everything a device has retained, first what it is: what it said before it was
    /// registered was refused.
    ReadReports(DeviceId),
    /// A device was removed or revoked: what it came in with is worth nothing, whoever is connected
    /// with it is not any more, and what it has retained is cleared.
    DeviceRevoked {
        /// Which.
        device: DeviceId,
        /// What of it is worth nothing.
        until: Revocation,
    },
    /// Tokens or the key of a device were replaced: whoever is connected with one of them is not any more.
    Replaced {
        /// Which.
        device: DeviceId,
        /// What of it is worth nothing.
        until: Revocation,
    },
    /// There is another claim: whoever has its secret may ask for a certificate.
    ClaimMade(ClaimId),
    /// A claim was revoked, or is forgotten: whoever is connected by it is not any more.
    ClaimEnded(ClaimId),
    /// Answer a request for a certificate, which is made first if there is to be one.
    EnrollAnswered {
        /// For which device.
        device: DeviceId,
        /// That of the request.
        nonce: [u8; 16],
        /// The answer.
        outcome: EnrollOutcome,
    },
    /// Find a line among the members of a group, in the background, with a
    /// [`crate::rules::rollout::limit::Search`]; answered by [`crate::engine::input::Input::LineFound`].
    FindLine(Seek),
    /// Find a page of what is left of a removed deployment, in the background; answered by
    /// [`crate::engine::input::Input::Left`].
    Sweep(DeploymentId),
    /// Find the next devices that a pass has to change, in the background, with a
    /// [`crate::rules::pass::PassSearch`]; answered by [`crate::engine::input::Input::PassPage`].
    Pass(Box<PassSeek>),
    /// Specs may be signed with generations up to this one.
    GenerationsReserved(Generation),
    /// A release's manifest is to be retained.
    PublishRelease(ReleaseId),
    /// A release was added: its artifacts are used.
    ReleaseAdded {
        /// As `name@version`.
        release: String,
        /// All of its artifacts.
        artifacts: Vec<ArtifactId>,
    },
    /// A release was removed: its manifest is retained no more, and those of its artifacts
    /// that no other release names are not used any more.
    ReleaseRemoved {
        /// Which.
        release: ReleaseId,
        /// All of its artifacts.
        artifacts: Vec<ArtifactId>,
    },
    /// An input was refused: count it.
    Rejected {
        /// Why.
        code: Code,
        /// The sender of the input.
        sender: Sender,
    },
    /// A device reports a deployment that this server never gave: its store is an older copy
    /// of what it was, or the device lies. The number is not given again.
    OlderThanDevice {
        /// Which device.
        device: DeviceId,
        /// The highest it reports.
        deployment: DeploymentId,
        /// The highest that was known before.
        known: DeploymentId,
    },
    /// A stored row is damaged: what needed it was not decided.
    Damaged(Damage),
    /// A status that was known already (bad-inputs rows 26, 27): count it.
    Duplicate,
}

/// The sender of a refused message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// A device.
    Device {
        /// Which.
        device: DeviceId,
        /// The number of its newest report that was taken in by then, or with it.
        seq: Option<Seq>,
    },
    /// A person.
    User {
        /// The user.
        user: UserId,
        /// In which request.
        request: RequestId,
        /// Which command, as it was asked for.
        verb: String,
    },
    /// The topic names nobody.
    Nobody,
}
