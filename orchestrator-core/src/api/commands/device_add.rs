//! `device-add`: registers a device; the same device again is the same answer.

use std::collections::BTreeMap;

use hoist_protocol::access::Role;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{DeviceId, GroupId};
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::lookup;
use crate::model::effect::Effect;
use crate::model::error::{Code, Rejection};
use crate::model::key::DeviceKey;
use crate::model::row::DeviceRow;
use crate::reply::Answer;
use crate::rules::device::{self, access, label};
use crate::rules::dynamic;
use crate::rules::stop::Stop;
use crate::rules::text::{one_line, parse_name};

/// `device-add`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceAdd {
    /// The device's id.
    pub device: String,
    /// Its type, which a release may require.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// Its group; `unassigned` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Facts for selecting devices: at most 16, without control characters.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub labels: std::collections::BTreeMap<String, String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for DeviceAdd {
    const WORD: &'static str = "device-add";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            device: Some(&self.device),
            group: Some(self.group.as_deref().unwrap_or(GroupId::UNASSIGNED)),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let wish = Wish {
            device: &self.device,
            device_type: self.device_type.as_deref(),
            group: self.group.as_deref(),
            labels: &self.labels,
            public_key: None,
        };
        match register(ask, &wish)? {
            Registered::New { id, row } | Registered::Same { id, row } => {
                Ok(added(self, id, row.group.clone(), row.issue))
            }
            Registered::Other { refusal, .. } => Err(refusal.into()),
        }
    }
}

/// A device as it is to be registered.
pub(crate) struct Wish<'a> {
    pub(crate) device: &'a str,
    pub(crate) device_type: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// The key to pin; without one the first that it shows.
    pub(crate) public_key: Option<PublicKey>,
}

/// The result of a wish to register a device.
pub(crate) enum Registered {
    /// It is registered now.
    New { id: DeviceId, row: Box<DeviceRow> },
    /// It was registered before, just so.
    Same { id: DeviceId, row: Box<DeviceRow> },
    /// It was registered before, otherwise.
    Other {
        id: DeviceId,
        row: Box<DeviceRow>,
        refusal: Rejection,
    },
}

/// Registers a device. What one that was not heard yet has retained is read: it may be
/// waiting to be registered, and speaks only once.
pub(crate) fn register(ask: &mut Ask, wish: &Wish) -> Result<Registered, Stop> {
    let id: DeviceId = parse_name("device", wish.device)?;
    let unassigned = GroupId::unassigned();
    let group_text = wish.group.unwrap_or(unassigned.as_str());
    let (group, _) = lookup::group(ask.ctx.txn, group_text)?;
    ask.may_change(&group)?;
    let labels: Vec<(String, String)> = wish.labels.clone().into_iter().collect();
    let groups = dynamic::all(ask.ctx.txn)?;
    let home = groups.home(&group, &labels);
    if home != group {
        dynamic::by_hand(&groups, &group)?;
        ask.may_change(&home)?;
    }
    let group = home;
    let device_type = wish.device_type.unwrap_or_default().to_owned();
    check_texts(&labels, &device_type)?;
    let key = DeviceKey(id.clone());
    if let Some(known) = ask.ctx.txn.read(&key)? {
        let row = Box::new(known);
        if let Some(refusal) = access::refusal(&id, &row) {
            return Ok(Registered::Other { id, row, refusal });
        }
        let key_differs = wish.public_key.is_some() && row.public_key != wish.public_key;
        if key_differs {
            let how = match row.public_key {
                Some(_) => "with another key",
                None => "without a key",
            };
            let refusal = exists(&id, how, "publicKey");
            return Ok(Registered::Other { id, row, refusal });
        }
        let same_type = device_type.is_empty() || row.device_type == device_type;
        if row.group == group && row.labels == labels && same_type {
            if row.last_seen_ms.is_none() {
                ask.ctx.effects.push(Effect::ReadReports(id.clone()));
            }
            return Ok(Registered::Same { id, row });
        }
        let how = match (row.group == group, same_type) {
            (false, _) => format!("in group {}", row.group),
            (true, false) if row.device_type.is_empty() => "without a type".to_owned(),
            (true, false) => format!("with the type {}", row.device_type),
            (true, true) => "with other labels".to_owned(),
        };
        let refusal = exists(&id, &how, "device");
        return Ok(Registered::Other { id, row, refusal });
    }
    ask.may_be_registered(&id)?;
    let row = DeviceRow {
        labels,
        device_type,
        public_key: wish.public_key,
        ..DeviceRow::new(ask.ctx.now.unix_ms)
    };
    let row = device::register(ask.ctx, &id, row, &group)?;
    let row = Box::new(row);
    Ok(Registered::New { id, row })
}

fn exists(device: &DeviceId, how: &str, field: &str) -> Rejection {
    let why = format!("{device} is registered {how}");
    Rejection::new(Code::DeviceExists, why).field(field)
}

/// A dry run gives nothing that a token could be made of.
fn added(command: &DeviceAdd, device: DeviceId, group: GroupId, issue: u32) -> Answer {
    if command.dry_run {
        Answer::DevicePlanned { device, group }
    } else {
        Answer::DeviceAdded { device, issue }
    }
}

fn check_texts(labels: &[(String, String)], device_type: &str) -> Result<(), Rejection> {
    label::check(labels)?;
    one_line(device_type, "type")?;
    if device_type.len() > hoist_protocol::device::TEXT_BYTES_MAX {
        let why = "a device type has at most 64 bytes";
        return Err(Rejection::new(Code::Size, why).field("type"));
    }
    Ok(())
}
