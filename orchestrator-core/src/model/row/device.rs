//! The stored rows of a device.

use hoist_protocol::device::Installed;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{
    ClaimId, DeploymentId, GroupId, Resync, Round, Seq, SessionCounter, UserId,
};
use serde::{Deserialize, Serialize};

use crate::model::row::InstanceRow;

/// Stays of a device that are remembered, many more than a device has while a deployment is kept:
/// statuses of deployments from before are only taken where there is a record (S14), and one in
/// which it never started does not name it any more (S5).
pub const STAYS_MAX: usize = 32;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// The group it obeys.
    pub group: GroupId,
    /// The group's turn at which it joined.
    pub joined: u64,
    /// Where it was before, oldest first (S14); at most [`STAYS_MAX`].
    pub past: Vec<Stay>,
    /// Facts for selecting devices, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Its type; empty when it has none.
    pub device_type: String,
    /// Its resync number (W6).
    pub resync: Resync,
    /// Connected uptime, in ms, at which a resync was asked for last, to ask at most once a minute.
    pub asked_ms: Option<u64>,
    /// True while an operator holds the device: it starts nothing.
    pub held: bool,
    /// Deployments of its group in which it has no slot (S10), sorted.
    pub holds: Vec<DeploymentId>,
    /// Rounds of its own, above those of the deployments (S13), sorted.
    pub rounds: Vec<(DeploymentId, Round)>,
    /// The pinned key.
    pub public_key: Option<PublicKey>,
    /// Another key it has shown since: `E_REENROL`.
    pub offered_key: Option<PublicKey>,
    /// True if outcomes arrived that could not be verified.
    pub unverified: bool,
    /// The issue number its token is derived from.
    pub issue: u32,
    /// Its last known presence; absent = never heard.
    pub presence: Option<PresenceRecord>,
    /// Unix time it was heard of last, in ms.
    pub last_seen_ms: Option<u64>,
    /// When lost contact is looked at, in ms of connected uptime.
    pub contact_due_ms: Option<u64>,
    /// Its newest status.
    pub seq: Option<Seq>,
    /// The deployment that its newest status says it works on.
    pub running: Option<DeploymentId>,
    /// Final outcomes it says it reached (W5).
    pub ended: u32,
    /// Final outcomes recorded of it.
    pub recorded: u32,
    /// Number of outcomes that were missing as of its newest status.
    pub missed: u32,
    /// Number of times it was asked about the missing outcomes; no more once it has told everything
    /// it has.
    pub asks: u8,
    /// The newest deployment it has a record in.
    pub latest: Option<DeploymentId>,
    /// Version of its agent.
    pub agent: String,
    /// Installed artifacts.
    pub inventory: Vec<Installed>,
    /// Unix time of registration, in ms.
    pub created_ms: u64,
    /// The standing of its tokens and certificates.
    pub access: Access,
    /// Deployments of its group that let it in by name, each up to a round (S16), sorted.
    pub permits: Vec<(DeploymentId, Round)>,
    /// The claim by which [`DeviceRow::offered_key`] came: it is on offer no longer than that is
    /// there. Absent where it came otherwise, and in rows of servers that did not note it.
    pub offered_by: Option<ClaimId>,
}

/// The standing of the tokens and certificates of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Access {
    /// Those of its issue are good.
    #[default]
    Current,
    /// Tokens of the issue before are good too.
    Overlap {
        /// Until this Unix time, in ms.
        until_ms: u64,
    },
    /// None is: the device was revoked.
    Revoked(Revoked),
}

/// The end of everything that a device came in with. It stays registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Unix time, in ms.
    pub at_ms: u64,
    /// By whom.
    pub by: UserId,
    /// The operator's text about it; empty when there is none.
    pub reason: String,
}

/// The facts that a device reports of itself and a release can ask for, as of its newest info.
/// Without a row they are not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FactsRow {
    /// Attributes a release can require, sorted by name.
    pub attributes: Vec<(String, String)>,
    /// Highest floor among the releases it has confirmed.
    pub floor: u64,
}

/// The content of a birth or a last will (W8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceRecord {
    /// True if the device is there.
    pub online: bool,
    /// The MQTT session it is about.
    pub session: SessionCounter,
    /// In which of the broker's runs ([`InstanceRow::broker_run`]) it was heard.
    pub run: u32,
    /// When, in ms of connected uptime.
    pub since_ms: u64,
}

/// A device's time in a group, in the group's turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// Where it was.
    pub group: GroupId,
    /// When it joined.
    pub joined: u64,
    /// When it left.
    pub left: u64,
}

impl DeviceRow {
    /// The device's presence: known to be there, known not to be there, or unknown (`None`).
    #[must_use]
    pub fn is_there(&self, instance: &InstanceRow) -> Option<bool> {
        let heard = self
            .presence
            .filter(|heard| heard.run == instance.broker_run)?;
        Some(heard.online)
    }

    /// True if a deployment lets the device in by name, in this round.
    #[must_use]
    pub fn is_permitted(&self, id: DeploymentId, round: Round) -> bool {
        let permits = self.permits.iter();
        let mut own = permits.filter(|(deployment, _)| *deployment == id);
        own.any(|(_, up_to)| *up_to >= round)
    }

    /// True if the device was not heard of since this Unix time in ms, and is not known to be there.
    #[must_use]
    pub fn is_away(&self, since_ms: u64) -> bool {
        let is_there = self.presence.is_some_and(|heard| heard.online);
        !is_there && self.last_seen_ms.unwrap_or(self.created_ms) < since_ms
    }

    /// The end of everything that the device came in with, if it was revoked.
    #[must_use]
    pub fn revoked(&self) -> Option<&Revoked> {
        match &self.access {
            Access::Revoked(revoked) => Some(revoked),
            Access::Current | Access::Overlap { .. } => None,
        }
    }

    /// No other key is on offer any more; the one that was, also by a claim that is gone.
    pub fn take_offer(&mut self) -> Option<PublicKey> {
        self.offered_by = None;
        self.offered_key.take()
    }

    /// True if the device starts nothing whatever is deployed: an operator holds it, or it was
    /// revoked.
    #[must_use]
    pub fn starts_nothing(&self) -> bool {
        self.held || self.revoked().is_some()
    }

    /// A device just registered, in no group yet.
    #[must_use]
    pub fn new(created_ms: u64) -> Self {
        Self {
            group: GroupId::unassigned(),
            joined: 0,
            past: Vec::new(),
            labels: Vec::new(),
            device_type: String::new(),
            resync: Resync(0),
            asked_ms: None,
            held: false,
            holds: Vec::new(),
            rounds: Vec::new(),
            public_key: None,
            offered_key: None,
            unverified: false,
            issue: 1,
            presence: None,
            last_seen_ms: None,
            contact_due_ms: None,
            seq: None,
            running: None,
            ended: 0,
            recorded: 0,
            missed: 0,
            asks: 0,
            latest: None,
            agent: String::new(),
            inventory: Vec::new(),
            created_ms,
            access: Access::Current,
            permits: Vec::new(),
            offered_by: None,
        }
    }
}
