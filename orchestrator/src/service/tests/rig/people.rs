//! The users that the orchestrator knows.

use hoist_protocol::enroll::ClaimSecret;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::ClaimId;

use super::*;
use hoist_orchestrator_core::model::row::Revocation;

/// An administrator, a viewer, and somebody who deploys until that user is removed.
pub(in crate::service) struct People {
    log: Arc<Log>,
    removed: Mutex<Vec<String>>,
}

impl People {
    pub(super) fn new(log: &Arc<Log>) -> Self {
        Self {
            log: Arc::clone(log),
            removed: Mutex::default(),
        }
    }
}

impl Directory for People {
    fn rights_of(&self, user: &UserId) -> Option<Rights> {
        if self
            .removed
            .lock()
            .unwrap()
            .iter()
            .any(|gone| gone == user.as_str())
        {
            return None;
        }
        let role = match user.as_str() {
            "alice" => Role::Admin,
            "mallory" => Role::Deployer,
            "vera" => Role::Viewer,
            _ => return None,
        };
        let groups = Vec::new();
        Some(Rights { role, groups })
    }

    fn device_token(&self, device: &DeviceId, issue: u32) -> String {
        format!("token-{device}-{issue}")
    }

    fn claim_secret(&self, _: &ClaimId) -> ClaimSecret {
        ClaimSecret([7; 32])
    }

    fn certify(&self, _: &DeviceId, issue: u32, key: &PublicKey) -> Result<Vec<u8>, Rejection> {
        Ok([&issue.to_be_bytes()[..], &key.0].concat())
    }

    fn claim_made(&self, _: &ClaimId) {}

    fn claim_ended(&self, _: &ClaimId) {}

    fn claims_are(&self, _: Vec<ClaimId>) {}

    fn revoke(&self, device: &DeviceId, _: Revocation) {
        self.log.add(Happened::Revoked(device.clone()));
    }

    fn add_user(&self, _: &UserAdd, _: &UserId) -> Result<UserChange, Rejection> {
        Ok(UserChange::Added)
    }

    fn remove_user(&self, remove: &UserRemove, _: &UserId) -> Result<(), Rejection> {
        self.removed.lock().unwrap().push(remove.user.clone());
        Ok(())
    }

    fn list_users(&self) -> Vec<UserItem> {
        Vec::new()
    }
}
