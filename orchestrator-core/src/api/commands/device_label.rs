//! `device-label`: sets labels of one device at once, or of all that a selector names in the
//! background.

use std::collections::BTreeMap;

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::lookup;
use crate::model::error::{Code, Rejection};
use crate::model::row::PassWork;
use crate::model::selector::Selector;
use crate::reply::{Answer, DeviceLabelResult, PassResult};
use crate::rules::device::label;
use crate::rules::stop::Stop;
use crate::rules::{dynamic, pass};

/// `device-label`: one device, or all devices that a selector names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceLabel {
    /// The device's id; either this or a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The devices, as `site=eu,board in (a,b),!broken`. They are changed in the background, a
    /// page at a time: `pass-list` tells how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Of the selected devices only the members of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Labels to set, whatever they were before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Names of labels to take away; one that is not there is no mistake.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for DeviceLabel {
    const WORD: &'static str = "device-label";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            device: self.device.as_deref(),
            group: self.group.as_deref(),
            more: self.selector.as_deref().into_iter().collect(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        check(self)?;
        let set: Vec<(String, String)> = self.set.clone().into_iter().collect();
        match (&self.device, &self.selector) {
            (Some(device), None) => {
                let (device, mut row) = ask.device(device)?;
                let labels = label::changed(&row.labels, &set, &self.remove)?;
                let home = dynamic::all(ask.ctx.txn)?.home(&row.group, &labels);
                ask.may_change(&home)?;
                label::set(ask.ctx, &device, &mut row, labels)?;
                let (device, labels) = (device.to_string(), row.labels.into_iter().collect());
                Ok(Answer::DeviceLabeled(DeviceLabelResult { device, labels }))
            }
            (None, Some(selector)) => {
                let work = PassWork::Label {
                    selector: Selector::parse(selector)?,
                    set,
                    remove: self.remove.clone(),
                };
                let groups = selected_groups(ask, self.group.as_deref())?;
                let pass = pass::begin(ask.ctx, work, groups, ask.user)?;
                let pass = (!self.dry_run).then_some(pass);
                Ok(Answer::PassBegun(PassResult { pass }))
            }
            _ => Err(either().into()),
        }
    }
}

/// The groups in which devices are selected; none means all.
pub(crate) fn selected_groups(
    ask: &Ask,
    group: Option<&str>,
) -> Result<Vec<hoist_protocol::id::GroupId>, Stop> {
    let Some(group) = group else {
        return Ok(ask.groups.to_vec());
    };
    let (group, _) = lookup::group(ask.ctx.txn, group)?;
    ask.may_change(&group)?;
    Ok(vec![group])
}

/// The refusal of a command that names no devices, or both ways.
pub(crate) fn either() -> Rejection {
    let why = "a command names one device or a selector";
    Rejection::new(Code::Command, why).field("device")
}

fn check(command: &DeviceLabel) -> Result<(), Rejection> {
    let refused = |why: String, field| Err(Rejection::new(Code::Command, why).field(field));
    if command.device.is_some() && command.group.is_some() {
        return refused("a group goes with a selector".to_owned(), "group");
    }
    if command.set.is_empty() && command.remove.is_empty() {
        return refused("there is no label to set or to take away".to_owned(), "set");
    }
    if command.set.contains_key("") {
        return refused("a label has a name".to_owned(), "set");
    }
    let both = command
        .remove
        .iter()
        .find(|name| command.set.contains_key(*name));
    if let Some(name) = both {
        return refused(format!("{name} is set and taken away"), "remove");
    }
    let set: Vec<(String, String)> = command.set.clone().into_iter().collect();
    label::check(&set).map_err(|refusal| refusal.field("set"))?;
    let gone = command
        .remove
        .iter()
        .map(|name| (name.clone(), String::new()));
    label::check(&gone.collect::<Vec<_>>()).map_err(|refusal| refusal.field("remove"))
}
