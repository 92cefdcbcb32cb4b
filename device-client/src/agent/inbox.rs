//! Messages of the broker, verified before the machine hears of them. A message that is not signed
//! by who may say it is dropped here.

use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::device::{DeviceInfo, Installed, Trouble};
use hoist_protocol::envelope::{Kind, OpenError, PublicKey, open};
use hoist_protocol::id::{GroupId, ReleaseId};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::root::KeyRole;
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::mqtt::Incoming;
use super::preflight::Downgrade;
use super::runner::Agent;
use super::storage::Candidate;
use super::work::check_release;
use crate::machine::Verdict;
use crate::session::ANNOUNCE_AFTER_MS;

/// The end of a connection by a server that knows the device no more.
const REFUSED: &str = "the server has removed or revoked this device, which comes in again with \
                       another token, of `hoist device token rotate` or `hoist device add`, or enrolled \
                       anew and approved";

impl Agent {
    pub(super) fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Connected => self.begin(),
            Incoming::Message { topic, payload } => self.message(&topic, &payload),
            Incoming::Acknowledged(carries) => {
                self.session.acknowledged(carries, &mut self.clock);
            }
            // Without it nothing is heard. The broker's rules may be mended meanwhile.
            Incoming::Refused => {
                return self
                    .disconnected("the broker refuses a subscription that this device needs");
            }
            Incoming::Revoked => {
                self.session.removed(&mut self.clock);
                // A device that never had a spec of its own has nothing to forget, and hears it all the same.
                return self.disconnected(&format!("{}: {REFUSED}", Code::Revoked));
            }
            Incoming::Lost { reason } => return self.disconnected(&reason),
        }
        self.act();
        if matches!(&self.connection, Some(connection) if connection.is_stuck()) {
            self.disconnected("the connection takes nothing any more");
        }
    }

    fn begin(&mut self) {
        tracing::info!(session = self.session.number().0, "connected");
        self.connected_at = Instant::now();
        self.session.connected(&mut self.clock);
        self.certificate_is_good();
        #[cfg(feature = "tls")]
        self.plan_renewal();
        self.await_own_spec();
    }

    /// Without a spec of its own the device announces itself (W4).
    pub(super) fn await_own_spec(&mut self) {
        if self.session.announces() {
            let after = Duration::from_millis(ANNOUNCE_AFTER_MS);
            self.announce_at = Some(Instant::now() + after);
        }
    }

    fn message(&mut self, topic: &str, payload: &[u8]) {
        let parsed = self.topics.parse(topic);
        if payload.is_empty() {
            // Of its own spec that says that it is removed; of others only that nothing is
            // retained any more.
            if matches!(parsed, Ok(Topic::DeviceSpec(device)) if device == self.host.device) {
                self.session.removed(&mut self.clock);
            }
            return;
        }
        let done = match parsed {
            Ok(Topic::Root(number)) if number == self.session.wanted_root() => {
                self.root_document(payload)
            }
            Ok(Topic::DeviceSpec(device)) if device == self.host.device => {
                self.device_spec(topic, payload)
            }
            Ok(Topic::GroupSpec(group)) if self.session.follows(&group) => {
                self.group_spec(&group, topic, payload)
            }
            #[cfg(feature = "tls")]
            Ok(Topic::EnrollAnswer(device)) if device == self.host.device => {
                self.renewed(payload);
                Ok(())
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
        if matches!(done, Err(OpenError::UnknownKey { .. })) {
            self.session.signed_by_unknown();
        }
        let obeys = self.session.machine().obeys();
        match done {
            Ok(()) => {}
            // Beside a spec that it obeys, it is no more than one message from somebody else.
            Err(OpenError::Signature) if !obeys => self.distrusts(Trouble::SignerNotTrusted),
            Err(OpenError::UnknownKey { .. }) if !obeys => self.distrusts_unless_named(),
            Err(error) => {
                tracing::warn!(topic, code = error.code().as_str(), %error, "message refused");
            }
        }
    }

    fn device_spec(&mut self, topic: &str, payload: &[u8]) -> Result<(), OpenError> {
        let keys = self.keys(KeyRole::Orchestrator);
        let opened = open::<DeviceSpec>(&keys, Kind::DeviceSpec, topic, payload)?;
        self.trusts(Trouble::SignerNotTrusted);
        self.look_at_key(opened.message.public_key);
        let (spec, by) = (opened.message, opened.key);
        self.session.device_spec(spec, by, payload, &mut self.clock);
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

    fn group_spec(
        &mut self,
        group: &GroupId,
        topic: &str,
        payload: &[u8],
    ) -> Result<(), OpenError> {
        let keys = self.keys(KeyRole::Orchestrator);
        let opened = open::<GroupSpec>(&keys, Kind::GroupSpec, topic, payload)?;
        let (spec, by) = (opened.message, opened.key);
        self.trusts(Trouble::SignerNotTrusted);
        self.source = spec
            .source
            .clone()
            .or_else(|| self.server.as_ref()?.artifacts.clone());
        self.session.group_spec(group, spec, by, &mut self.clock);
        Ok(())
    }

    fn manifest(&mut self, release: ReleaseId, payload: &[u8]) {
        let Some(entry) = self.session.manifest(release) else {
            return;
        };
        let keys = self.keys(KeyRole::Release);
        let verdict = match open::<ReleaseManifest>(&keys, Kind::Release, "", payload) {
            Ok(opened) if ReleaseId::of(opened.body) == release => {
                let downgrade = Downgrade::from(entry.policy.overrides.allow_downgrade);
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
            Err(OpenError::UnknownKey { .. }) if self.session.asks_again(&entry) => return,
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
        self.session.checked(&entry, verdict, &mut self.clock);
    }

    fn own_status(&mut self, topic: &str, payload: &[u8]) -> Result<(), OpenError> {
        let received = DeviceStatus::receive(payload);
        let status = received.as_ref().ok().map(|received| {
            let mut status = received.status.clone();
            if received.verify(&self.key.public(), topic).is_err() {
                status.outcomes.clear();
            }
            status
        });
        self.session.own_status(status, &mut self.clock);
        received?;
        Ok(())
    }

    /// No spec came: say who we are and what we last were told (W4).
    pub(super) fn announce(&mut self) {
        self.announce_at = None;
        self.session.announce();
        self.act();
    }

    /// Something that the server is told of this device may have changed.
    pub(super) fn changed(&mut self) {
        self.session.changed();
        self.act();
    }

    /// What the device is and has, for [`Session::describe`](crate::session::Session::describe).
    pub(super) fn description(&self) -> DeviceInfo {
        let installed = self.storage.inventory.installed.iter();
        let installed = installed.map(|installed| Installed {
            name: installed.name.clone(),
            version: installed.version.clone(),
            counter: installed.counter,
        });
        DeviceInfo {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            device_type: self.host.device_type.clone(),
            attributes: self.host.attributes.clone(),
            inventory: installed.collect(),
            floor: self.storage.inventory.floor,
            trouble: self.trouble(),
            ..DeviceInfo::default()
        }
    }
}

fn unusable(reason: Reason, detail: &str) -> Verdict {
    let detail = detail.to_owned();
    Verdict::Refused { reason, detail }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
