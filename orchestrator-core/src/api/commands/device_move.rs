//! `device-move` (S14): a device obeys another group.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::commands::device_label::{either, selected_groups};
use crate::api::lookup;
use crate::model::row::PassWork;
use crate::model::selector::Selector;
use crate::reply::{Answer, PassResult};
use crate::rules::stop::Stop;
use crate::rules::{device, dynamic, pass};

/// `device-move`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceMove {
    /// The device's id; either this or a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The devices, as `site=eu,board in (a,b),!broken`. They are moved in the background, a page
    /// at a time: `pass-list` tells how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The group that is to be obeyed.
    pub group: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for DeviceMove {
    const WORD: &'static str = "device-move";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            device: self.device.as_deref(),
            group: Some(&self.group),
            more: self.selector.as_deref().into_iter().collect(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        match (&self.device, &self.selector) {
            (Some(device), None) => self.move_one(ask, device),
            (None, Some(selector)) => self.move_selected(ask, selector),
            _ => Err(either().into()),
        }
    }
}

impl DeviceMove {
    fn move_one(&self, ask: &mut Ask, device: &str) -> Result<Answer, Stop> {
        let (device, mut row) = ask.device(device)?;
        let (group, _) = lookup::group(ask.ctx.txn, &self.group)?;
        ask.may_change(&group)?;
        if row.group != group {
            let groups = dynamic::all(ask.ctx.txn)?;
            dynamic::by_hand(&groups, &group)?;
            dynamic::by_hand(&groups, &row.group)?;
            device::move_to(ask.ctx, &device, &mut row, &group)?;
            device::settle(ask.ctx, &device, &mut row)?;
        }
        let group = row.group;
        Ok(Answer::DeviceMoved { device, group })
    }

    fn move_selected(&self, ask: &mut Ask, selector: &str) -> Result<Answer, Stop> {
        let selector = Selector::parse(selector)?;
        let (group, _) = lookup::group(ask.ctx.txn, &self.group)?;
        ask.may_change(&group)?;
        dynamic::by_hand(&dynamic::all(ask.ctx.txn)?, &group)?;
        let groups = selected_groups(ask, None)?;
        let work = PassWork::Move { selector, group };
        let pass = pass::begin(ask.ctx, work, groups, ask.user)?;
        let pass = (!self.dry_run).then_some(pass);
        Ok(Answer::PassBegun(PassResult { pass }))
    }
}
