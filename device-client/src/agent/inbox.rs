//! What the broker says, verified before the machine hears of it. Whatever is not signed
//! by who may say it is dropped here.

use hoist_protocol::code::Code;
use hoist_protocol::codec::encode;
use hoist_protocol::device::{DeviceInfo, Installed, Presence, PresenceState, Trouble};
use hoist_protocol::envelope::{Kind, OpenError, PublicKey, open};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::ReleaseId;
use hoist_protocol::reason::Reason;
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::root::{KeyRole, RootDocument};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::mqtt::{Carries, Incoming};
use super::preflight::Downgrade;
use super::runner::Agent;
use super::storage::Candidate;
use super::work::check_release;
use crate::machine::{Event, InfoExtent, Verdict};

/// The pinned root document; later ones follow with rotation.
const FIRST_ROOT: u32 = 1;

impl Agent {
    pub(super) fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Connected => self.begin(),
            Incoming::Message { topic, payload } => self.message(&topic, &payload),
            Incoming::StatusAcknowledged { seq, ended } => {
                self.handle(Event::Acknowledged { seq, ended });
                self.status_in_flight = false;
                self.send_waiting_status();
            }
            Incoming::InfoAcknowledged => self.handle(Event::InfoAcknowledged),
            Incoming::Refused => {
                tracing::error!("the broker refuses a subscription this device needs");
            }
            Incoming::Revoked => {
                self.handle(Event::Removed);
                return self.disconnected("the server refuses this device's token");
            }
            Incoming::Lost { reason } => return self.disconnected(&reason),
        }
        if matches!(self.session, Some(ref session) if session.is_stuck()) {
            self.disconnected("the connection takes nothing any more");
        }
    }

    /// A new session: who we are, then what we need before anything else (W4, W7).
    fn begin(&mut self) {
        tracing::info!(session = self.counter.0, "connected");
        self.connected = true;
        self.connected_at = Instant::now();
        self.publish_presence(PresenceState::Online);
        if self.root.is_none() {
            self.subscribe(&Topic::Root(FIRST_ROOT));
        } else {
            self.join();
        }
    }

    fn join(&mut self) {
        if self.machine.wants_own_status() {
            self.subscribe(&Topic::Status(self.host.device.clone()));
        }
        self.subscribe(&Topic::DeviceHead(self.host.device.clone()));
        self.announce_at = Some(Instant::now() + super::runner::ANNOUNCE_AFTER);
        let actions = self.machine.handle(Event::Connected, self.now());
        debug_assert!(actions.is_empty(), "a new session waits for its head");
    }

    fn message(&mut self, topic: &str, payload: &[u8]) {
        let parsed = self.topics.parse(topic);
        if payload.is_empty() {
            // Of its own head that says that it is removed; of others only that nothing is
            // retained any more.
            if matches!(parsed, Ok(Topic::DeviceHead(device)) if device == self.host.device) {
                self.handle(Event::Removed);
            }
            return;
        }
        let done = match parsed {
            Ok(Topic::Root(FIRST_ROOT)) => self.root_document(payload),
            Ok(Topic::DeviceHead(device)) if device == self.host.device => {
                self.device_head(topic, payload)
            }
            Ok(Topic::GroupHead(group)) if Some(&group) == self.group.as_ref() => {
                self.group_head(topic, payload)
            }
            Ok(Topic::Release(release)) => {
                self.manifest(release, payload);
                Ok(())
            }
            Ok(Topic::Status(device)) if device == self.host.device => {
                self.own_status(topic, payload)
            }
            _ => Ok(()),
        };
        match done {
            Ok(()) => {}
            // Beside a head that it obeys, it is no more than one message from somebody else.
            Err(OpenError::Signature | OpenError::UnknownKey { .. }) if !self.machine.obeys() => {
                self.distrusts(Trouble::SignerNotTrusted);
            }
            Err(error) => {
                tracing::warn!(topic, code = error.code().as_str(), %error, "message refused");
            }
        }
    }

    fn keys(&self, role: KeyRole) -> Vec<PublicKey> {
        self.root
            .iter()
            .flat_map(|root| root.keys_of(role))
            .collect()
    }

    fn root_document(&mut self, payload: &[u8]) -> Result<(), OpenError> {
        if self.root.is_some() {
            return Ok(());
        }
        let Some(server) = &self.server else {
            return Ok(());
        };
        let root = match RootDocument::open_pinned(payload, &server.root_sha256) {
            Err(OpenError::Signature | OpenError::UnknownKey { .. }) => {
                self.distrusts(Trouble::RootNotTrusted);
                return Ok(());
            }
            opened => opened?,
        };
        if root.namespace != server.namespace {
            tracing::error!("the pinned root document is for another namespace");
            return Ok(());
        }
        if let Err(error) = self.storage.keep_root(payload) {
            tracing::warn!(%error, "the root document cannot be kept");
        }
        self.root = Some(root);
        self.trusts(Trouble::RootNotTrusted);
        self.unsubscribe(&Topic::Root(FIRST_ROOT));
        self.join();
        Ok(())
    }

    fn device_head(&mut self, topic: &str, payload: &[u8]) -> Result<(), OpenError> {
        let keys = self.keys(KeyRole::Orchestrator);
        let head = open::<DeviceHead>(&keys, Kind::DeviceHead, topic, payload)?.message;
        self.trusts(Trouble::SignerNotTrusted);
        if self.machine.wants_own_status() {
            self.unsubscribe(&Topic::Status(self.host.device.clone()));
        }
        self.clock.signed(head.generation.0);
        let generation = head.generation;
        let before = std::mem::replace(&mut self.storage.head, payload.to_vec());
        self.look_at_key(head.public_key);
        self.handle(Event::DeviceHead(head));
        let own = self.machine.own_head();
        if own.is_some_and(|own| own.generation == generation) {
            self.announce_at = None;
        } else {
            // An older one was brought back: the server has to hear that we know better.
            self.storage.head = before;
        }
        Ok(())
    }

    /// Says once that the server does not believe this device, and once that it does again.
    fn look_at_key(&mut self, pinned: Option<PublicKey>) {
        let own = self.key.public();
        let unbelieved = pinned.is_some_and(|pinned| pinned != own);
        if std::mem::replace(&mut self.unbelieved, unbelieved) == unbelieved {
            return;
        }
        let (device, key) = (&self.host.device, own.fingerprint());
        if unbelieved {
            tracing::error!(
                code = Code::Reenrol.as_str(),
                fingerprint = key,
                "the server knows this device by another key and does not believe it: an operator \
                 can accept this one with `hoist device approve {device} --fingerprint {key}`"
            );
        } else {
            tracing::info!(
                fingerprint = key,
                "the server believes this device by its key"
            );
        }
    }

    fn group_head(&mut self, topic: &str, payload: &[u8]) -> Result<(), OpenError> {
        let keys = self.keys(KeyRole::Orchestrator);
        let head = open::<GroupHead>(&keys, Kind::GroupHead, topic, payload)?.message;
        self.trusts(Trouble::SignerNotTrusted);
        self.clock.signed(head.generation.0);
        self.source = head
            .source
            .clone()
            .or_else(|| self.server.as_ref()?.artifacts.clone());
        self.handle(Event::GroupHead(head));
        Ok(())
    }

    fn manifest(&mut self, release: ReleaseId, payload: &[u8]) {
        let Some(notice) = self.wanted.take_if(|notice| notice.release == release) else {
            return;
        };
        self.unsubscribe(&Topic::Release(release));
        if !self.machine.asks_for(&notice) {
            return;
        }
        let keys = self.keys(KeyRole::Release);
        let verdict = match open::<ReleaseManifest>(&keys, Kind::Release, "", payload) {
            Ok(opened) if ReleaseId::of(opened.body) == release => {
                let downgrade = Downgrade::from(notice.policy.overrides.allow_downgrade);
                let inventory = &self.storage.inventory;
                let verdict = check_release(&self.host, inventory, &opened.message, downgrade);
                self.storage.candidate = Some(Candidate {
                    id: release,
                    bytes: payload.to_vec(),
                    release: opened.message,
                });
                verdict
            }
            Ok(_) => unusable(Reason::BadSignature, "the manifest is of another release"),
            Err(error) if error.code() == Code::Version => unusable(
                Reason::Unsupported,
                "this agent is too old for the manifest",
            ),
            Err(error) => {
                tracing::error!(%release, code = error.code().as_str(), %error, "release manifest refused");
                unusable(
                    Reason::BadSignature,
                    "no trusted release key signed the manifest",
                )
            }
        };
        match verdict {
            Verdict::Already if !notice.policy.overrides.reinstall => self.confirm(&notice),
            verdict => self.handle(Event::Manifest {
                deployment: notice.deployment,
                release,
                verdict,
            }),
        }
    }

    fn own_status(&mut self, topic: &str, payload: &[u8]) -> Result<(), OpenError> {
        if !self.machine.wants_own_status() {
            return Ok(());
        }
        self.unsubscribe(&Topic::Status(self.host.device.clone()));
        let received = DeviceStatus::receive(payload)?;
        let mut status = received.status.clone();
        if received.verify(&self.key.public(), topic).is_err() {
            status.outcomes.clear();
        }
        self.handle(Event::OwnStatus(status));
        Ok(())
    }

    pub(super) fn subscribe(&mut self, topic: &Topic) {
        let topic = self.topics.format(topic);
        if let Some(session) = &mut self.session {
            session.subscribe(&topic);
        }
    }

    pub(super) fn unsubscribe(&mut self, topic: &Topic) {
        let topic = self.topics.format(topic);
        if let Some(session) = &mut self.session {
            session.unsubscribe(&topic);
        }
    }

    fn publish(&mut self, topic: &Topic, payload: Vec<u8>, carries: Carries) {
        let topic = self.topics.format(topic);
        if let Some(session) = &mut self.session {
            session.publish(&topic, payload, carries);
        }
    }

    pub(super) fn publish_presence(&mut self, state: PresenceState) {
        let presence = Presence {
            state,
            session: self.counter,
        };
        let topic = Topic::Presence(self.host.device.clone());
        self.publish(&topic, encode(&presence), Carries::Other);
    }

    /// W7: never faster than the link drains; the newest waits, older ones are skipped.
    pub(super) fn send_waiting_status(&mut self) {
        if !self.connected || self.status_in_flight {
            return;
        }
        let Some(status) = self.waiting_status.take() else {
            return;
        };
        let topic = Topic::Status(self.host.device.clone());
        let payload = status.seal(&self.key, &self.topics.format(&topic));
        self.status_in_flight = true;
        self.publish(
            &topic,
            payload,
            Carries::Status {
                seq: status.seq,
                ended: status.ended,
            },
        );
    }

    /// No head came: say who we are and what we last were told (W4).
    pub(super) fn announce(&mut self) {
        self.announce_at = None;
        self.publish_info(InfoExtent::Full);
    }

    pub(super) fn publish_info(&mut self, extent: InfoExtent) {
        let pinned = self.machine.own_head().and_then(|head| head.public_key);
        let own = self.key.public();
        let installed = self
            .storage
            .inventory
            .installed
            .iter()
            .map(|installed| Installed {
                name: installed.name.clone(),
                version: installed.version.clone(),
                counter: installed.counter,
            });
        let full = extent == InfoExtent::Full;
        let info = DeviceInfo {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            device_type: self.host.device_type.clone(),
            attributes: self.host.attributes.clone(),
            inventory: installed.collect(),
            floor: self.storage.inventory.floor,
            public_key: (pinned != Some(own)).then_some(own),
            stored_head: (full && !self.storage.head.is_empty()).then(|| self.storage.head.clone()),
            trouble: self.trouble(),
        };
        let payload = encode(&info);
        if !self.connected || (!full && self.info.as_ref() == Some(&payload)) {
            return;
        }
        self.info = Some(payload.clone());
        self.publish(
            &Topic::Info(self.host.device.clone()),
            payload,
            Carries::Info(extent),
        );
    }
}

fn unusable(reason: Reason, detail: &str) -> Verdict {
    let detail = detail.to_owned();
    Verdict::Refused { reason, detail }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
