//! `device-hold`: a held device finishes what it has started and starts nothing else.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::reply::Answer;
use crate::rules::device::hold;
use crate::rules::stop::Stop;

/// `device-hold`: a held device finishes what it has started and starts nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceHold {
    /// The device's id.
    pub device: String,
    /// False lets it go again; default true.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub held: bool,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

fn yes() -> bool {
    true
}

impl Body for DeviceHold {
    const WORD: &'static str = "device-hold";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            device: Some(&self.device),
            as_what: Some(if self.held { "held" } else { "lifted" }),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let (device, mut row) = ask.device(&self.device)?;
        let held = self.held;
        if row.held != held {
            hold::set(ask.ctx, &device, &mut row, held)?;
        }
        Ok(Answer::DeviceHeld { device, held })
    }
}
