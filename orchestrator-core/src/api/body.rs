//! One verb: its word, its role and its work, on the type of its JSON body.

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, UserId};

use crate::model::error::{Code, Rejection};
use crate::model::key::{DeploymentKey, DeviceKey};
use crate::model::now::Now;
use crate::model::release::{Uses, VerifiedRelease};
use crate::model::row::{DeploymentRow, DeviceRow};
use crate::query::{Queried, Reader};
use crate::reply::{Answer, ResultBody};
use crate::rules::ctx::Ctx;
use crate::rules::deployment::retention;
use crate::rules::device::{self, name};
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;

/// The effect of a verb on the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerbEffect {
    /// Runs again on every repeat.
    Reads,
    /// Executed once per user and request id, then answered the same.
    Changes,
}

/// The names in a command as they were typed: the audit trail tells them, and the rows of a device
/// are surely read.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    pub(crate) deployment: Option<u32>,
    pub(crate) release: Option<&'a str>,
    pub(crate) device: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
    /// The group; with a device, the one that the device is to be in.
    pub(crate) group: Option<&'a str>,
    /// Further groups or devices.
    pub(crate) more: Vec<&'a str>,
    /// What the verb alone does not say: how a device is held, what a user may do.
    pub(crate) as_what: Option<&'static str>,
    /// The text that a person leaves with what was done.
    pub(crate) reason: Option<&'a str>,
}

impl Names<'_> {
    /// The names in one line, `fw@1.0.0 eu`; of many the first, and how many more. Without the reason.
    pub(crate) fn text(&self) -> String {
        let deployment = self.deployment.map(|number| number.to_string());
        let one = [deployment.as_deref(), self.release, self.device, self.user];
        let one = one.into_iter().flatten().chain(self.group);
        let mut words: Vec<String> = one.map(str::to_owned).collect();
        words.extend(
            self.more
                .iter()
                .take(NAMED_MAX)
                .map(|name| (*name).to_owned()),
        );
        if let left @ 1.. = self.more.len().saturating_sub(NAMED_MAX) {
            words.push(format!("and {left} more"));
        }
        words.extend(self.as_what.map(str::to_owned));
        words.join(" ")
    }
}

/// Names of a kind that the audit trail tells of one command.
const NAMED_MAX: usize = 4;

/// The JSON body of a verb, with everything that the verb means.
pub(crate) trait Body {
    /// The last level of its topic.
    const WORD: &'static str;
    /// The least role that may use it.
    const ROLE: Role;
    /// The effect of the verb on the state; reads by default.
    const EFFECT: VerbEffect = VerbEffect::Reads;
    /// True if the adapter that keeps the users carries the verb out.
    const IS_MANAGED: bool = false;
    /// True if a user who is limited to groups may not use it.
    const OF_ALL_GROUPS: bool = false;

    /// True for a dry run, which only says what would happen.
    fn is_dry(&self) -> bool {
        false
    }

    /// The release in it, as it was typed.
    fn release_mut(&mut self) -> Option<&mut String> {
        None
    }

    /// The names in it; those of rows are loaded before it is executed.
    fn names(&self) -> Names<'_> {
        Names::default()
    }

    /// Carries out a verb that changes something.
    fn execute(&self, _: &mut Ask) -> Result<Answer, Stop> {
        let why = "this command changes nothing here";
        Err(Rejection::new(Code::Internal, why).into())
    }

    /// Answers a verb that reads. A list goes on where it was: ask again with the same reader.
    fn answer(&self, _: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        let why = "this command is not answered from rows";
        Ok(Err(Rejection::new(Code::Internal, why)))
    }
}

/// A command in the moment in which it is carried out.
pub(crate) struct Ask<'a, 'txn> {
    pub(crate) ctx: &'a mut Ctx<'txn>,
    pub(crate) user: &'a UserId,
    /// The only groups the user may change; empty means all.
    pub(crate) groups: &'a [GroupId],
    /// For `release-add`: what was verified of the manifest.
    pub(crate) release: Option<&'a VerifiedRelease>,
    /// For `release-remove`: who needs the release.
    pub(crate) uses: Option<&'a Uses>,
    /// For what registers devices: those of their ids that users have for names.
    pub(crate) users: &'a [String],
}

impl Ask<'_, '_> {
    /// Refuses a group that this user may not change.
    pub(crate) fn may_change(&self, group: &GroupId) -> Result<(), Rejection> {
        if self.groups.is_empty() || self.groups.contains(group) {
            return Ok(());
        }
        let why = format!("{} may not change group {group}", self.user);
        Err(Rejection::new(Code::Role, why).field("group"))
    }

    /// Refuses to register a device under a name that is somebody else's.
    pub(crate) fn may_be_registered(&self, device: &DeviceId) -> Result<(), Rejection> {
        let is_user = self.users.iter().any(|user| user == device.as_str());
        name::may_be_registered(device, is_user)
    }

    /// A device by its name, which the user may change.
    pub(crate) fn device(&self, text: &str) -> Result<(DeviceId, DeviceRow), Stop> {
        let device: DeviceId = parse_name("device", text)?;
        let row = self.ctx.txn.read(&DeviceKey(device.clone()))?;
        let row = row.ok_or_else(|| device::unknown(&device))?;
        self.may_change(&row.group)?;
        Ok((device, row))
    }

    /// A deployment by its number, which the user may change.
    pub(crate) fn deployment(&self, id: DeploymentId) -> Result<DeploymentRow, Stop> {
        let Some(row) = self.ctx.txn.read(&DeploymentKey(id))? else {
            return Err(retention::missing(self.ctx.txn, id)?.into());
        };
        self.may_change(&row.group)?;
        Ok(row)
    }
}
