//! How the front door and HTTP see `users.toml`.

use std::sync::Arc;

use hoist_broker_config::credentials::{self, People, TokenCredentials, TokenKey};
use hoist_orchestrator::http::Bearers;
use hoist_protocol::access::Role;
use hoist_protocol::id::{DeviceId, Namespace, UserId};

use crate::keys::Keys;
use crate::users::Users;

impl People for Users {
    fn user(&self, name: &UserId) -> Option<credentials::User> {
        let user = self.find(name)?;
        Some(credentials::User {
            role: user.role,
            groups: user.groups,
            token_sha256: user.token_sha256,
        })
    }

    fn is_revoked(&self, _device: &DeviceId, _issue: u32) -> bool {
        // No command revokes a token yet.
        false
    }
}

impl Bearers for Users {
    fn user_of(&self, token: &str) -> Option<(UserId, Role)> {
        let hash = credentials::hash_user_token(token);
        let user = self
            .list()
            .into_iter()
            .find(|user| user.token_sha256 == hash)?;
        Some((user.name, user.role))
    }
}

/// Who may come in: people by `users.toml`, devices by the token key, the orchestrator
/// by `service_token`.
pub(crate) fn credentials(
    namespace: &Namespace,
    keys: &Keys,
    users: Arc<Users>,
    service_token: &str,
) -> TokenCredentials {
    TokenCredentials {
        namespace: namespace.clone(),
        key: TokenKey::new(keys.token),
        service_token_sha256: credentials::hash_user_token(service_token),
        people: users,
    }
}
