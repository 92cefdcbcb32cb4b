//! Settings of the orchestrator: where to connect, its keys, and what only its host knows about
//! people and tokens.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hoist_orchestrator_core::api::command::{UserAdd, UserRemove};
use hoist_orchestrator_core::model::error::Rejection;
use hoist_orchestrator_core::model::now::{Keep, Mode};
use hoist_orchestrator_core::model::row::Revocation;
use hoist_orchestrator_core::reply::UserItem;
use hoist_protocol::access::Role;
use hoist_protocol::enroll::ClaimSecret;
use hoist_protocol::envelope::{PrivateKey, PublicKey};
use hoist_protocol::id::{ClaimId, DeviceId, GroupId, Namespace, UserId};

use tokio::sync::watch;

use crate::artifacts::ArtifactDirectory;
use crate::events::EventNews;
use crate::health::Health;
use crate::live::LiveViews;
use crate::metrics::Metrics;
use crate::mqtt::MqttLogin;
use crate::specs::SpecFolder;

/// The configuration of an orchestrator.
#[derive(Debug, Clone)]
pub struct OrchestratorConfig {
    /// The broker and the service's login.
    pub mqtt: MqttLogin,
    /// First level of every topic.
    pub namespace: Namespace,
    /// Its keys.
    pub keys: Keys,
    /// Keys that take their place while it runs.
    pub new_keys: watch::Receiver<Option<Keys>>,
    /// Where uploaded artifacts are.
    pub artifacts: ArtifactDirectory,
    /// Where what was signed is kept beside the store.
    pub specs: SpecFolder,
    /// Where devices fetch artifacts from, told in group specs; absent = each device's
    /// own setting (W1).
    pub source: Option<String>,
    /// The time for which a device may be out of contact, or take to answer (S6, S7). Default 60 s.
    pub grace: Duration,
    /// Nothing is concluded from silence this soon after connecting (S7). Default 30 s.
    pub settle: Duration,
    /// The purpose of the server.
    pub mode: Mode,
    /// The times for which things are kept. Default: everything for ever.
    pub keep: Keep,
    /// The time for which a spec with entries is valid (W2). Default 7 days.
    pub spec_validity: Duration,
    /// Where it says what is wrong, and tells people what others say.
    pub health: Health,
    /// Where it counts.
    pub metrics: Metrics,
    /// Whom it tells that there are more events.
    pub events: EventNews,
    /// Where published views are shown from in this process.
    pub live: LiveViews,
}

/// The keys an orchestrator works with; the root and release keys stay elsewhere.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs specs.
    pub orchestrator: PrivateKey,
    /// Trusted to sign releases.
    pub release: Vec<PublicKey>,
    /// The root documents with their numbers, sealed as devices get them, oldest first.
    pub roots: Vec<(u32, Vec<u8>)>,
    /// The number of the newest: the last level of its topic.
    pub root_number: u32,
    /// SHA-256 of the body of the newest: what new devices pin.
    pub root_sha256: [u8; 32],
}

/// The rights of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The role.
    pub role: Role,
    /// The only groups the user may change; empty means all.
    pub groups: Vec<GroupId>,
}

/// The result of adding a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    /// There is a new user.
    Added,
    /// A user may do something else now.
    Changed,
    /// The very same user was there.
    Nothing,
}

/// Facts that only the host knows: people and device tokens. Calls must return at once.
pub trait Directory: Send + Sync {
    /// The rights of a user, or `None` when there is no such user (any more).
    fn rights_of(&self, user: &UserId) -> Option<Rights>;

    /// The addresses that a user is connected to the broker from; none where the broker tells
    /// nobody.
    fn addresses_of(&self, _: &UserId) -> BTreeSet<IpAddr> {
        BTreeSet::new()
    }

    /// The token of a device, computed from its issue number; never stored or logged.
    fn device_token(&self, device: &DeviceId, issue: u32) -> String;

    /// The secret of a claim, computed from its name; never stored or logged.
    fn claim_secret(&self, claim: &ClaimId) -> ClaimSecret;

    /// Makes a certificate for an issue of a device, whose key this is: DER.
    ///
    /// # Errors
    /// `E_ENROLL_TLS` of a server without a CA of devices, or `E_INTERNAL`.
    fn certify(&self, device: &DeviceId, issue: u32, key: &PublicKey)
    -> Result<Vec<u8>, Rejection>;

    /// Makes these tokens and certificates of a device worth nothing: who is connected with one of
    /// them is not any more within a second. The revocation is stored by whoever calls
    /// ([`crate::revocation`]).
    fn revoke(&self, device: &DeviceId, until: Revocation);

    /// There is this claim from now on.
    fn claim_made(&self, claim: &ClaimId);

    /// There is this claim no longer: who is connected by it is not any more within a second.
    fn claim_ended(&self, claim: &ClaimId);

    /// There are these claims, and no others.
    fn claims_are(&self, claims: Vec<ClaimId>);

    /// Adds a user, or gives the user of that very token another role or other groups; the
    /// very same one again is fine. `by` gives no more than it has itself. A dry run only
    /// says whether it can.
    ///
    /// # Errors
    /// `E_ROLE`, `E_USER_EXISTS`, `E_LAST_ADMIN`, `E_NAME`, `E_CMD` or `E_INTERNAL`.
    fn add_user(&self, user: &UserAdd, by: &UserId) -> Result<UserChange, Rejection>;

    /// Removes a user who has no more than `by`. A dry run only says whether it can.
    ///
    /// # Errors
    /// `E_ROLE`, `E_USER`, `E_LAST_ADMIN`, `E_NAME` or `E_INTERNAL`.
    fn remove_user(&self, user: &UserRemove, by: &UserId) -> Result<(), Rejection>;

    /// All users by name.
    fn list_users(&self) -> Vec<UserItem>;
}
