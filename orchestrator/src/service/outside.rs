//! Facts that the rules cannot look at themselves: rights of people, manifests to verify, and files
//! that are damaged. Rights come first: nobody makes the server work for a command that it refuses.

use hoist_orchestrator_core::api::command::{Command, Plan, VerbEffect};
use hoist_orchestrator_core::api::request::answered_before;
use hoist_orchestrator_core::engine::arrival::Asked;
use hoist_orchestrator_core::model::key::{ReleaseKey, RequestKey};
use hoist_orchestrator_core::model::txn::Txn;
use hoist_protocol::id::ArtifactId;

use super::Service;
use crate::release;
use crate::release_id;
use crate::release_uses;
use crate::rows;

impl Service {
    /// Looks up what is known of a command's sender; and of what it names, if it is to be carried
    /// out.
    pub(super) async fn look_up(&self, asked: &mut Asked) {
        let rights = self.directory.rights_of(&asked.user);
        asked.role = rights.as_ref().map(|rights| rights.role);
        asked.groups = rights.map(|rights| rights.groups).unwrap_or_default();
        if asked.from == Asked::MQTT {
            let addresses = self.directory.addresses_of(&asked.user);
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            if !addresses.is_empty() {
                asked.from = addresses.join(",");
            }
        }
        if asked.is_allowed() {
            asked.users = self.users_among(asked);
        }
        if asked.is_allowed() && !self.was_answered(asked).await {
            self.look_at_release(asked).await;
        }
    }

    /// The devices that a command registers, as far as their ids are names of users.
    fn users_among(&self, asked: &Asked) -> Vec<String> {
        let devices: Vec<&String> = match &asked.command {
            Ok(Command::DeviceAdd(add)) => vec![&add.device],
            Ok(Command::DeviceApprove(approve)) => vec![&approve.device],
            Ok(Command::DeviceImport(import)) => {
                import.devices.iter().map(|item| &item.device).collect()
            }
            _ => Vec::new(),
        };
        let users = devices.into_iter().filter(|name| self.is_user(name));
        users.cloned().collect()
    }

    /// True if a user has this name.
    pub(super) fn is_user(&self, name: &str) -> bool {
        let user = name.parse().ok();
        user.is_some_and(|user| self.directory.rights_of(&user).is_some())
    }

    /// True for a repeat, which is answered as before, of a command with much to look at.
    async fn was_answered(&self, asked: &Asked) -> bool {
        let named = &asked.command;
        let Ok(Command::ReleaseAdd(_) | Command::ReleaseRemove(_) | Command::Deploy(_)) = named
        else {
            return false;
        };
        let key = RequestKey(asked.user.clone(), asked.request.clone());
        let now = self.clock.now();
        let before = |txn: &mut Txn| answered_before(txn, &key, asked.body_hash, now);
        let before = rows::resolve(&*self.store, &mut Txn::default(), before).await;
        // What cannot be read now is not known to be a repeat.
        before.is_ok_and(|before| before.is_some())
    }

    /// Looks at what the core cannot: the beginning of an id, the manifest of `release-add`,
    /// and whether what is to be deployed is there for devices to fetch.
    async fn look_at_release(&self, asked: &mut Asked) {
        release_id::complete(&*self.store, asked).await;
        let directory = &self.config.artifacts;
        match &asked.command {
            Ok(Command::ReleaseAdd(add)) => {
                let keys = &self.config.keys.release;
                match release::verify(&add.manifest, keys, directory).await {
                    Ok(verified) => asked.release = Some(verified),
                    Err(rejection) => asked.command = Err(rejection),
                }
            }
            Ok(Command::ReleaseRemove(remove)) => {
                let uses = release_uses::find(&*self.store, &remove.release).await;
                asked.uses = uses
                    .inspect_err(|error| tracing::warn!(%error, "no deployment is looked at"))
                    .ok();
            }
            Ok(Command::Deploy(deploy) | Command::Plan(Plan(deploy)))
                if directory.has_damaged() =>
            {
                let artifacts = self.artifacts_of(&deploy.release).await;
                let damaged = artifacts.into_iter().find(|id| directory.is_damaged(*id));
                if let Some(damaged) = damaged {
                    asked.command = Err(release::damaged(damaged));
                }
            }
            _ => {}
        }
    }

    /// The artifacts of a release, as a command names it; none of one that does not exist.
    async fn artifacts_of(&self, text: &str) -> Vec<ArtifactId> {
        let found = async {
            let Some(id) = release_id::named(&*self.store, text).await? else {
                return Ok(None);
            };
            let key = ReleaseKey(id);
            let find = |txn: &mut Txn| txn.read(&key);
            rows::resolve(&*self.store, &mut Txn::default(), find).await
        };
        let artifacts = found.await.map(|row| {
            let artifacts = row.into_iter().flat_map(|row| row.manifest.artifacts);
            artifacts.map(|artifact| artifact.id()).collect()
        });
        artifacts.unwrap_or_else(|error| {
            tracing::warn!(%error, "the artifacts of a release are not looked at");
            Vec::new()
        })
    }
}

/// True if a command changes what people may do: whatever follows it is judged by rights that are
/// looked up after it.
pub(super) fn changes_rights(asked: &Asked) -> bool {
    let changes = |command: &Command| {
        let verb = command.verb();
        verb.is_managed() && verb.effect() == VerbEffect::Changes
    };
    asked.is_allowed() && asked.command.as_ref().is_ok_and(changes)
}
