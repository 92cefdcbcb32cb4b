//! The answers to `device-why` and `plan`. Words are for programs, sentences for people.

use hoist_protocol::device::Trouble;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::reason::Reason;
use serde::{Deserialize, Serialize};

use super::{
    ErrorBody, PresenceWord, RefusedItem, RevokedItem, Schedule, StatusWord, StepWord, WindowsView,
};
use crate::model::explained;
use crate::model::state::{CompleteWhen, DeploymentState, LineWord};
use crate::model::word::Word;
use crate::reply::view::FailureCount;

explained! {
    /// Why something is as it is: one closed list of kebab-case words.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Why {
        /// Nothing keeps the device from starting.
        Starts,
        /// It is at work.
        InProgress,
        /// It says that it waits to try again (S6).
        Retrying,
        /// It is at work, and out of contact for long (S6).
        ContactLost,
        /// Its time is over and it was asked (S7).
        Asked,
        /// It has ended well.
        Successful,
        /// Everything was there before (S12).
        AlreadyThere,
        /// It has failed, as it reported (S8).
        Failed,
        /// It says that the release does not fit it (S12).
        Incompatible,
        /// It counts as failed: it was asked and did not answer (S7).
        TimedOut,
        /// It obeys another group (S14).
        OtherGroup,
        /// It is in no group yet.
        Unassigned,
        /// Nothing is deployed to its group.
        NoDeployment,
        /// The start time has not come (S2).
        Scheduled,
        /// The deployment has completed by itself (S3).
        Completed,
        /// A newer deployment took its place (S11).
        Superseded,
        /// The deployment was aborted (S4).
        Aborted,
        /// Its group, or everything, is frozen: nobody starts anything.
        Frozen,
        /// An operator holds the device.
        Held,
        /// It was revoked: it comes in no more with what it has.
        Revoked,
        /// Every slot of the limit is given to another device (S10).
        NoSlot,
        /// The line of the limit is still being drawn (S10).
        LineSought,
        /// Its place in the order is above the line of the limit (S10).
        AboveLine,
        /// The device carries out another deployment first (S11).
        AnotherFirst,
        /// The specs that the device is to read are not known to be at the broker.
        NotPublished,
        /// It is not connected (S6).
        Offline,
        /// Nothing was heard of it since the broker started (W8).
        PresenceUnknown,
        /// It was told to trust another root document than this server's.
        RootNotTrusted,
        /// It trusts no key that signed what it is told.
        SignerNotTrusted,
        /// Its state directory cannot execute scripts.
        CannotExecute,
        /// Somebody at the device vetoes new starts, by a file named `hold`.
        HeldThere,
        /// It shows another key than the pinned one (`E_REENROL`).
        KeyNotApproved,
        /// Its last report was refused, so that it may stand elsewhere than is known.
        ReportRefused,
        /// It was registered once and is no more; its records stay (S14).
        Removed,
        /// The deployment is paused, until a person lets it go on (S16).
        Paused,
        /// A phase that has not opened lets it in (S16).
        Phase,
        /// The gate of the open phase is not passed yet (S16).
        Gate,
        /// The gate of the open phase holds, and is watched for a while (S16).
        Soak,
        /// The next phase waits until people approve it (S16).
        Approval,
        /// The pace of the rollout lets nobody more in now (S16).
        Pace,
        /// Its labels do not fit what the deployment is for (S16).
        Selector,
        /// It is not among the devices that the deployment is for (S16).
        NotListedDevice,
        /// As many devices of its place are at work or out of contact as may be (S16).
        Budget,
        /// No window is open in which it may begin to install (S16).
        Window,
    }
}

/// Something that must hold: a rule of admission, or what a device then still waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RuleWord {
    /// A rule of admission, which the specs state.
    Admission(crate::rules::rollout::admission::Rule),
    /// A condition that is left to wait for.
    Waiting(Wait),
}

/// The result of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleItem {
    /// Which.
    pub rule: RuleWord,
    /// True if the rule holds.
    pub pass: bool,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// The same as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
}

/// One device and one deployment: what decided, and what happens next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// `name@version`.
    pub release: String,
    /// To whom.
    pub group: String,
    /// Where it is.
    pub state: DeploymentState,
    /// The device's status in it; null when it is none of its devices.
    pub status: Option<StatusWord>,
    /// The step, while in progress.
    pub step: Option<Word<StepWord>>,
    /// Attempts begun.
    pub attempt: Option<u32>,
    /// Round.
    pub round: Option<u32>,
    /// Why it failed: a reason's word.
    pub reason: Option<Word<Reason>>,
    /// When its record changed last, RFC 3339.
    pub since: Option<String>,
    /// The reason that decided.
    pub why: Why,
    /// The rule that decided; null when every one holds.
    pub rule: Option<RuleWord>,
    /// The reason that decided, as a sentence.
    pub says: String,
    /// The next step, as a sentence.
    pub next: String,
    /// When, RFC 3339, where there is a time.
    pub at: Option<String>,
    /// Every rule, in the order in which they are looked at.
    pub rules: Vec<RuleItem>,
}

/// `device-why`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceWhy {
    /// Which device.
    pub device: String,
    /// The group it obeys; of a removed device, the one it obeyed.
    pub group: String,
    /// Why it is in its group, when labels have to do with it.
    #[serde(default)]
    pub placed: Option<String>,
    /// `online`, `offline` or `unknown`.
    pub presence: Word<PresenceWord>,
    /// When it was last heard of, RFC 3339; of a removed device, as its record says.
    pub last_seen: Option<String>,
    /// True while an operator holds the device.
    pub held: bool,
    /// When, by whom and why it was revoked; null when it is not.
    #[serde(default)]
    pub revoked: Option<RevokedItem>,
    /// The last refusal of its reports; null when nothing ever was refused.
    #[serde(default)]
    pub refused: Option<RefusedItem>,
    /// Why it is in doubt who it is, when it is: then its reports are not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<super::Identity>,
    /// The trouble that the device reports of itself: `root-not-trusted`, `signer-not-trusted`,
    /// `key-not-accepted`, `cannot-execute` or `held`.
    pub trouble: Option<Word<Trouble>>,
    /// Why there is nothing to explain, when there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Nothing>,
    /// The deployments that concern it: listed and scheduled ones of its group first, then its
    /// newest and those that it might have got.
    pub deployments: Vec<Explanation>,
    /// Explanations left out because the reply would grow too large: ask for them by number.
    pub omitted: u32,
}

/// Why no deployment concerns a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {
    /// Why.
    pub why: Why,
    /// The same as a sentence.
    pub says: String,
    /// The advice for an operator.
    pub next: String,
}

/// The number of devices that one rule leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Why.
    pub why: Why,
    /// Number of devices.
    pub count: u32,
}

/// Another deployment of the group, as a plan names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherDeployment {
    /// Which.
    pub deployment: DeploymentId,
    /// Its `name@version`.
    pub release: String,
}

/// The plan of `deploy` for one group. Changes until then change the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// `name@version`.
    pub release: String,
    /// Its id in hex.
    pub id: String,
    /// To whom.
    pub group: String,
    /// The equal deployment that is there already: nothing new would be created.
    pub existing: Option<DeploymentId>,
    /// Where it would be: scheduled or active.
    pub state: DeploymentState,
    /// True if the group, or everything, is frozen: nobody starts before that is lifted.
    #[serde(default)]
    pub frozen: bool,
    /// Devices in the group now.
    pub members: u32,
    /// Those that would start.
    pub eligible: u32,
    /// Those that would not, by what leaves them out.
    pub excluded: Vec<Excluded>,
    /// Active deployments that it would end (S11).
    pub supersedes: Vec<OtherDeployment>,
    /// Active deployments that it cannot stand beside (S11).
    pub conflicts: Vec<OtherDeployment>,
    /// Active deployments that devices carry out first (S11).
    pub after: Vec<OtherDeployment>,
    /// Devices that may start at most (S10).
    pub limit: Option<u32>,
    /// The members that are admitted when it is listed: `everyone`, or `sought` among the members.
    pub line: LineWord,
    /// When it starts, RFC 3339; null is at once.
    pub start: Option<String>,
    /// When it ends by itself, RFC 3339.
    pub until: Option<String>,
    /// The condition that completes it besides `limit` and `until`.
    pub complete_when: CompleteWhen,
    /// Seconds a device has to its deadline.
    pub timeout_secs: u32,
    /// Attempts a device has.
    pub attempts: u32,
    /// Devices spread their starts over this many seconds.
    pub spread_secs: u32,
    /// When devices may begin to install, as it was said; absent when at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowsView>,
    /// Seconds that a device has to come online with it before it puts back what was there; absent
    /// when its `verify` scripts are evidence enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_secs: Option<u32>,
    /// True if it goes below what is installed, down to the confirmed floor.
    pub allow_downgrade: bool,
    /// True if it installs where everything is there already.
    pub reinstall: bool,
    /// True if it comes before the deployments that wait on a device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// The course of its rollout.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// The counts of its members, looked at one by one.
    #[serde(flatten)]
    pub counted: Counted,
    /// Why `deploy` would refuse it.
    pub refused: Option<ErrorBody>,
    /// The number that sets the order of the devices.
    #[serde(skip)]
    pub order: Option<u32>,
}

/// The counts of a group's members, looked at one by one: of those that nobody holds, and of a
/// limited deployment of those that its limit lets start, as things are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Online now, and fit for the release as far as is known.
    pub online: u32,
    /// The same of those that are not online: they start when they connect.
    pub when_connected: u32,
    /// Those that would refuse it as they are now, by reason, most first.
    pub would_refuse: Vec<FailureCount>,
}

/// `plan`, and `deploy` with `dryRun`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanResult {
    /// One per group, in the order asked for.
    pub plans: Vec<Plan>,
}

explained! {
    /// A condition that a device which may start waits for, a kebab-case word in JSON.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Wait {
        /// It carries out no other deployment first (S11).
        Turn,
        /// The specs that it is to read are at the broker.
        Published,
        /// It is connected (S6).
        Reachable,
        /// Nothing on the device itself keeps it from obeying, as far as it says.
        Sound,
        /// The key it shows is the pinned one.
        KnownKey,
        /// Its last report was taken in.
        Heeded,
        /// A window is open in which it may begin (S16).
        Window,
    }
}
