//! The people and devices that there are, as the broker, HTTP and the orchestrator ask: people by
//! `users.toml`, devices by the token key.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};
use std::{io, thread};

use hoist_broker_config::Peers;
use hoist_broker_config::credentials::{
    self, People, Refusal, SERVICE_USER, Shown, TokenCredentials, TokenKey,
};
use hoist_orchestrator::config::{Directory, Rights, UserChange};
use hoist_orchestrator::http::TokenAuth;
use hoist_orchestrator_core::api::command::{UserAdd, UserRemove};
use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::row::Revocation;
use hoist_orchestrator_core::reply::UserItem;
use hoist_page::LOCAL_READER;
use hoist_protocol::access::Role;
use hoist_protocol::enroll::ClaimSecret;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{ClaimId, DeviceId, GroupId, IdError, Namespace, UserId};

use crate::tls::{Accepted, DeviceAuthority};
use crate::users::{Extent, User, Users, UsersError, decode_hash};

/// The time between two looks for an edit of `users.toml`.
const LOOK: Duration = Duration::from_millis(100);

/// The people and devices of one server.
pub(crate) struct Registry {
    namespace: Namespace,
    key: TokenKey,
    users: Users,
    revoked: RwLock<Revoked>,
    claims: RwLock<Claims>,
    /// Makes the certificates of devices, where TLS is spoken.
    authority: OnceLock<Arc<DeviceAuthority>>,
    /// The CAs of others whose certificates are accepted of devices, where TLS is spoken.
    accepted: OnceLock<Arc<Accepted>>,
    /// Where people are connected from, once the server's own broker runs.
    peers: OnceLock<Peers>,
}

/// Devices that were removed or revoked, or have other tokens.
#[derive(Default)]
struct Revoked {
    /// The part of each device's tokens and certificates that is worth nothing.
    devices: HashMap<DeviceId, Revocation>,
    /// Rises with every change.
    changes: u64,
}

/// Claims by which devices may come in to enroll.
#[derive(Default)]
struct Claims {
    names: HashSet<ClaimId>,
    /// Rises with every change.
    changes: u64,
}

impl Registry {
    pub(crate) fn new(namespace: Namespace, token_key: [u8; 32], users: Users) -> Self {
        Self {
            namespace,
            key: TokenKey::new(token_key),
            users,
            revoked: RwLock::default(),
            claims: RwLock::default(),
            authority: OnceLock::new(),
            accepted: OnceLock::new(),
            peers: OnceLock::new(),
        }
    }

    /// Certificates are made by this CA from now on, and those of these CAs let devices in too.
    pub(crate) fn certify_by(&self, authority: Arc<DeviceAuthority>, accepted: Arc<Accepted>) {
        // There is one start, and one CA in it.
        let _again = self.authority.set(authority);
        let _again = self.accepted.set(accepted);
    }

    /// Takes in what somebody edits, for as long as there is a server. A file system that
    /// does not answer holds up this thread of its own, and nobody else.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub(crate) fn watch(self: &Arc<Self>) -> io::Result<()> {
        let registry = Arc::downgrade(self);
        let look = move || {
            while let Some(registry) = Weak::upgrade(&registry) {
                registry.users.look();
                drop(registry);
                thread::sleep(LOOK);
            }
        };
        let builder = thread::Builder::new().name("users".into());
        builder.spawn(look).map(drop)
    }

    /// Asks the server's own broker where people are connected from.
    pub(crate) fn reached_by(&self, peers: Peers) {
        // There is one broker in the life of a registry.
        let _ = self.peers.set(peers);
    }

    /// Takes in what was revoked before this start.
    pub(crate) fn revoke_all(&self, revoked: Vec<(DeviceId, Revocation)>) {
        let mut all = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for (device, until) in revoked {
            let known = all.devices.entry(device).or_default();
            let both = known.and(until);
            changed |= both != *known;
            *known = both;
        }
        all.changes += u64::from(changed);
    }

    /// Changes which claims there are.
    fn change_claims(&self, change: impl FnOnce(&mut HashSet<ClaimId>)) {
        let mut claims = self.claims.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut claims.names);
        claims.changes += 1;
    }

    /// The credentials of everybody who may come in; the orchestrator by `service_token`.
    pub(crate) fn credentials(self: &Arc<Self>, service_token: &str) -> TokenCredentials {
        TokenCredentials {
            namespace: self.namespace.clone(),
            key: self.key.clone(),
            service_token_sha256: credentials::hash_user_token(service_token),
            people: Arc::clone(self) as Arc<dyn People>,
        }
    }
}

impl People for Registry {
    fn user(&self, name: &UserId) -> Option<credentials::User> {
        let user = self.users.find(name)?;
        Some(credentials::User {
            role: user.role,
            groups: user.groups,
            token_sha256: user.token_sha256,
        })
    }

    fn admits(&self, device: &DeviceId, shown: Shown) -> Result<(), Refusal> {
        if let Shown::OtherCertificate { by, .. } = shown
            && !self
                .accepted
                .get()
                .is_some_and(|accepted| accepted.has(&by))
        {
            return Err(Refusal::Authority);
        }
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = revoked.devices.get(device) else {
            return Ok(());
        };
        match shown {
            Shown::Token(issue) | Shown::Certificate(issue) if issue <= until.issue => {
                Err(Refusal::Revoked)
            }
            Shown::OtherCertificate { from_s, .. }
                if from_s.saturating_mul(1_000) <= until.at_ms =>
            {
                Err(Refusal::RevokedSince)
            }
            Shown::Token(issue) if until.ends_token(issue) => Err(Refusal::Replaced),
            Shown::Certificate(issue) if issue <= until.certificates => Err(Refusal::Replaced),
            Shown::Token(_) | Shown::Certificate(_) | Shown::OtherCertificate { .. } => Ok(()),
        }
    }

    fn knows_claim(&self, claim: &ClaimId) -> bool {
        let claims = self.claims.read().unwrap_or_else(PoisonError::into_inner);
        claims.names.contains(claim)
    }

    fn version(&self) -> u64 {
        let claims = self.claims.read().unwrap_or_else(PoisonError::into_inner);
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        // Each of them only rises, so that no change of one hides one of another.
        let accepted = self.accepted.get().map_or(0, |accepted| accepted.changes());
        self.users.changes() + revoked.changes + claims.changes + accepted
    }
}

impl TokenAuth for Registry {
    fn user_with(&self, token_sha256: &[u8; 32]) -> Option<(UserId, Rights)> {
        let user = self
            .users
            .list()
            .into_iter()
            .find(|user| user.token_sha256 == *token_sha256)?;
        let rights = Rights {
            role: user.role,
            groups: user.groups,
        };
        Some((user.name, rights))
    }
}

impl Directory for Registry {
    fn rights_of(&self, user: &UserId) -> Option<Rights> {
        if user.as_str() == LOCAL_READER {
            return Some(Rights {
                role: Role::Viewer,
                groups: Vec::new(),
            });
        }
        let user = self.users.find(user)?;
        Some(Rights {
            role: user.role,
            groups: user.groups,
        })
    }

    fn addresses_of(&self, user: &UserId) -> BTreeSet<IpAddr> {
        let peers = self.peers.get();
        peers.map(|peers| peers.of(user)).unwrap_or_default()
    }

    fn device_token(&self, device: &DeviceId, issue: u32) -> String {
        self.key.device_token(&self.namespace, device, issue)
    }

    fn claim_secret(&self, claim: &ClaimId) -> ClaimSecret {
        self.key.claim_secret(&self.namespace, claim)
    }

    fn certify(
        &self,
        device: &DeviceId,
        issue: u32,
        key: &PublicKey,
    ) -> Result<Vec<u8>, Rejection> {
        let Some(authority) = self.authority.get() else {
            let why = "this server does not speak TLS, by which certificates are shown";
            return Err(Rejection::new(Code::EnrollPlain, why));
        };
        let made = authority.certify(device, (issue, key), SystemTime::now());
        made.map_err(|failure| Rejection::new(Code::Internal, failure.clause()))
    }

    fn revoke(&self, device: &DeviceId, until: Revocation) {
        self.revoke_all(vec![(device.clone(), until)]);
    }

    fn claim_made(&self, claim: &ClaimId) {
        self.change_claims(|claims| claims.extend([claim.clone()]));
    }

    fn claim_ended(&self, claim: &ClaimId) {
        self.change_claims(|claims| claims.retain(|known| known != claim));
    }

    fn claims_are(&self, claims: Vec<ClaimId>) {
        self.change_claims(|names| *names = claims.into_iter().collect());
    }

    fn add_user(&self, user: &UserAdd, by: &UserId) -> Result<UserChange, Rejection> {
        let added = self.users.add(parse(user)?, by, extent(user.dry_run));
        added.map_err(|error| rejection(&error))
    }

    fn remove_user(&self, user: &UserRemove, by: &UserId) -> Result<(), Rejection> {
        let name: UserId = user.user.parse().map_err(|error| name("user", &error))?;
        let removed = self.users.remove(&name, by, extent(user.dry_run));
        removed.map_err(|error| rejection(&error))
    }

    fn list_users(&self) -> Vec<UserItem> {
        let item = |user: User| UserItem {
            user: user.name.to_string(),
            role: user.role,
            groups: user.groups.iter().map(ToString::to_string).collect(),
        };
        self.users.list().into_iter().map(item).collect()
    }
}

fn extent(dry_run: bool) -> Extent {
    if dry_run {
        Extent::Check
    } else {
        Extent::Write
    }
}

fn name(field: &str, error: &IdError) -> Rejection {
    Rejection::new(Code::Name, error.to_string()).field(field)
}

fn parse(user: &UserAdd) -> Result<User, Rejection> {
    if [SERVICE_USER, LOCAL_READER].contains(&user.user.as_str()) {
        let why = format!("{} is the server itself", user.user);
        return Err(Rejection::new(Code::UserExists, why));
    }
    // In the order given, each once. A group may be made later.
    let mut groups: Vec<GroupId> = Vec::new();
    for group in &user.groups {
        let group = group.parse().map_err(|error| name("groups", &error))?;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(User {
        name: user.user.parse().map_err(|error| name("user", &error))?,
        role: user.role,
        groups,
        token_sha256: decode_hash(&user.token_sha256).ok_or_else(|| {
            Rejection::new(Code::Command, "a token hash is 64 hex digits").field("tokenSha256")
        })?,
    })
}

fn rejection(error: &UsersError) -> Rejection {
    let code = match error {
        UsersError::Exists { .. } | UsersError::Shared => Code::UserExists,
        UsersError::Beyond { .. } => Code::Role,
        UsersError::LastAdmin { .. } => Code::LastAdmin,
        UsersError::Unknown { .. } => Code::User,
        UsersError::NotInEffect { .. } => Code::Config,
        UsersError::File(_) => Code::Internal,
    };
    Rejection::new(code, crate::failure::chain(error))
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
