//! Everybody who may come in at a broker that others run, as far as a data directory knows their
//! tokens: devices by the token key, people by hash, and the canaries of `hoist doctor`.

use std::collections::BTreeMap;

use hoist_broker_config::credentials::{SERVICE_USER, TokenKey, hash_user_token};
use hoist_broker_config::render::{CANARIES, CANARY_ISSUE, Login, Secret};
use hoist_orchestrator_core::model::key::{Key, Prefix};
use hoist_orchestrator_core::model::row::{DeviceRow, Revocation, RevokedRow};
use hoist_protocol::access::PrincipalKind;
use hoist_protocol::code::Code;
use hoist_protocol::codec::{DecodeError, decode};
use hoist_protocol::id::{DeviceId, Namespace};

use crate::data_dir::DataDir;
use crate::doctor;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::users::Users;

/// The devices of a store, each with the issue of its newest token, and what of them is worth nothing.
#[derive(Debug, Default)]
pub struct Devices {
    issues: BTreeMap<DeviceId, u32>,
    revoked: BTreeMap<DeviceId, Revocation>,
}

impl Devices {
    /// Takes in a row of the store.
    ///
    /// # Errors
    /// [`DecodeError`] for a row that cannot be understood.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
        let key = Key(key.to_vec());
        let device = |prefix: Prefix| prefix.rest(&key).and_then(|id| id.parse().ok());
        if let Some(device) = device(Prefix::Devices) {
            self.issues
                .insert(device, decode::<DeviceRow>(value)?.issue);
        } else if let Some(device) = device(Prefix::Revoked) {
            self.revoked
                .insert(device, decode::<RevokedRow>(value)?.revocation());
        }
        Ok(())
    }

    /// Those that were removed or revoked and have not come back.
    pub fn shut_out(&self) -> impl Iterator<Item = &DeviceId> {
        let is_out = |(device, until): &(&DeviceId, &Revocation)| {
            let issue = self.issues.get(*device);
            until.issue > 0 && issue.is_none_or(|issue| *issue <= until.issue)
        };
        self.revoked.iter().filter(is_out).map(|(device, _)| device)
    }

    /// Those that may come in.
    fn admitted(&self) -> impl Iterator<Item = (&DeviceId, u32)> {
        let all = self.issues.iter().map(|(device, issue)| (device, *issue));
        let is_good = |(device, issue): &(&DeviceId, u32)| {
            let until = self.revoked.get(device);
            until.is_none_or(|until| !until.ends_token(*issue))
        };
        all.filter(is_good)
    }
}

/// The logins of a data directory; `tokens` are those of users that somebody showed.
///
/// # Errors
/// `E_CONFIG`, `E_SECRET` or `E_DATA_DIR` for keys or users that cannot be used.
pub fn logins(
    data_dir: &DataDir,
    namespace: &Namespace,
    devices: &Devices,
    (orchestrator, tokens): (&str, &[String]),
) -> Result<Vec<Login>, Failure> {
    let keys = Keys::load(&data_dir.keys(), namespace);
    let keys = keys.map_err(|error| data_dir.unusable(error))?;
    let key = TokenKey::new(keys.token);
    let mut logins = vec![Login {
        name: SERVICE_USER.to_owned(),
        party: PrincipalKind::Service,
        secret: Secret::Token(orchestrator.to_owned()),
    }];
    for user in Users::open(&data_dir.users())?.list() {
        let mut shown = tokens.iter();
        let token = shown.find(|token| hash_user_token(token) == user.token_sha256);
        logins.push(Login {
            name: user.name.to_string(),
            party: PrincipalKind::User,
            secret: token.map_or(Secret::Sha256(user.token_sha256), |token| {
                Secret::Token(token.clone())
            }),
        });
    }
    let canaries: Vec<DeviceId> = CANARIES.iter().filter_map(|id| id.parse().ok()).collect();
    let canaries = canaries.iter().map(|canary| (canary, CANARY_ISSUE));
    logins.extend(
        canaries
            .chain(devices.admitted())
            .map(|(device, issue)| Login {
                name: device.to_string(),
                party: PrincipalKind::Device,
                secret: Secret::Token(key.device_token(namespace, device, issue)),
            }),
    );
    Ok(logins)
}

/// Ok if no device has the name of a user or of the orchestrator: where rules go by name alone, each
/// of the two could do what the other may.
///
/// # Errors
/// `E_NAME`.
pub fn told_apart(logins: &[Login]) -> Result<(), Failure> {
    let is_device = |login: &&Login| login.party == PrincipalKind::Device;
    let mut devices = logins.iter().filter(is_device);
    let other = |device: &Login| {
        let mut others = logins.iter().filter(|login| !is_device(login));
        others.find(|login| login.name == device.name)
    };
    let Some(twin) = devices.find_map(other) else {
        return Ok(());
    };
    let name = &twin.name;
    let (who, other_way) = match twin.party {
        PrincipalKind::Service => ("the orchestrator's", String::new()),
        _ => ("a user's", format!(", or `hoist user remove {name}`")),
    };
    let what = format!(
        "device {name} has {who} name, and the rules of this broker tell clients apart by name alone"
    );
    Err(Failure::new(Code::Name, what).help(format!(
        "`hoist device remove {name}` and add it under another id{other_way}; or use Mosquitto, where people have an access list of their own"
    )))
}

/// The logins of the canaries of `hoist doctor`.
///
/// # Errors
/// `E_SECRET` or `E_DATA_DIR` for keys that cannot be used.
pub fn canaries(
    data_dir: &DataDir,
    namespace: &Namespace,
) -> Result<Option<[doctor::Login; 2]>, Failure> {
    let keys = Keys::load(&data_dir.keys(), namespace);
    let key = TokenKey::new(keys.map_err(|error| data_dir.unusable(error))?.token);
    let token = |device: &DeviceId, issue| key.device_token(namespace, device, issue);
    Ok(doctor::Login::canaries(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_the_name_of_a_user_or_of_the_orchestrator_is_refused_by_name() {
        let login = |name: &str, party| Login {
            name: name.to_owned(),
            party,
            secret: Secret::Token(String::new()),
        };
        let with = |device: &str| {
            told_apart(&[
                login(SERVICE_USER, PrincipalKind::Service),
                login("vera", PrincipalKind::User),
                login("pump-1", PrincipalKind::Device),
                login(device, PrincipalKind::Device),
            ])
        };
        assert_eq!(with("pump-2"), Ok(()));
        for (device, remedy) in [
            ("vera", "hoist user remove vera"),
            (SERVICE_USER, "Mosquitto"),
        ] {
            let failure = with(device).unwrap_err();
            assert!(failure.is(Code::Name), "{failure}");
            assert!(failure.what.contains(device), "{failure}");
            let help = failure.help.unwrap();
            assert!(
                help.contains(&format!("hoist device remove {device}")),
                "{help}"
            );
            assert!(help.contains(remedy), "{help}");
        }
    }
}
