//! `users.toml`: people and programs with a token, of which only the hash is kept. Read
//! again soon after it changes, so that an editor is as good as a command: as a whole, or not
//! at all. What somebody is in the middle of editing is never written over. Whoever asks who
//! there is never waits for a disk.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hoist_orchestrator::config::UserChange;
use hoist_orchestrator::health::{Health, Stops};
use hoist_protocol::access::Role;
use hoist_protocol::code::Code;
use hoist_protocol::id::{GroupId, UserId};
use serde::{Deserialize, Serialize};

mod error;

pub(crate) use error::UsersError;

use crate::failure::Failure;
use crate::private_file::{self, PrivateFileError};
use crate::toml_file::parse_toml;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    /// Its name.
    pub(crate) name: UserId,
    /// The rights of the user.
    pub(crate) role: Role,
    /// The only groups it may change; empty means all.
    #[serde(default)]
    pub(crate) groups: Vec<GroupId>,
    /// SHA-256 of its token, in hex.
    #[serde(with = "hex")]
    pub(crate) token_sha256: [u8; 32],
}

impl User {
    /// True if this user may give `other` its rights: nobody gives more than it has itself.
    fn covers(&self, other: &Self) -> bool {
        let all = self.groups.is_empty();
        let within = || other.groups.iter().all(|group| self.groups.contains(group));
        self.role >= other.role && (all || (!other.groups.is_empty() && within()))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersFile {
    #[serde(default)]
    users: Vec<User>,
}

/// The subject of a problem with the file, for people.
const NAME: &str = "users.toml";

const KEYS: [&str; 5] = ["users", "name", "role", "groups", "token_sha256"];

mod hex {
    use data_encoding::HEXLOWER_PERMISSIVE;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::decode_hash;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&HEXLOWER_PERMISSIVE.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        decode_hash(&text).ok_or_else(|| D::Error::custom("a token hash is 64 hex digits"))
    }
}

/// A token's hash from its 64 hex digits.
pub(crate) fn decode_hash(text: &str) -> Option<[u8; 32]> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    bytes.ok()?.try_into().ok()
}

/// The facts that tell one version of the file from another.
type Version = (u64, i64, i64, u64);

#[derive(Debug, Default)]
struct Loaded {
    version: Option<Version>,
    users: BTreeMap<UserId, User>,
    /// Rises with every change of the users.
    changes: u64,
    /// Why the file as it is now has not been taken.
    refused: Option<String>,
}

/// The extent of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// It is only checked.
    Check,
    /// It is made.
    Write,
}

/// The users of one data directory.
#[derive(Debug)]
pub(crate) struct Users {
    path: PathBuf,
    /// Never held while the file is looked at: that can take for ever.
    loaded: Mutex<Loaded>,
    /// Held by whoever looks at the file or writes it.
    file: Mutex<()>,
    /// Where a file that is not taken is told.
    health: Health,
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    /// `E_CONFIG` with the line, `E_SECRET` when others can read it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let users = read(path)?;
        let loaded = Loaded {
            version: version(path),
            users,
            changes: 0,
            refused: None,
        };
        if !has_admin(loaded.users.values()) {
            tracing::error!(
                code = Code::LastAdmin.as_str(),
                file = %path.display(),
                "nobody is an administrator of all groups: give one user there `role = \"admin\"` and no groups"
            );
        }
        Ok(Self {
            path: path.to_owned(),
            loaded: Mutex::new(loaded),
            file: Mutex::default(),
            health: Health::default(),
        })
    }

    /// Tells there when the file is changed to something that is not taken.
    pub(crate) fn telling(self, health: Health) -> Self {
        Self { health, ..self }
    }

    /// Creates the file with its first user.
    pub(crate) fn create(path: &Path, first: User) -> Result<(), PrivateFileError> {
        write(path, vec![first])
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user of a name.
    pub(crate) fn find(&self, name: &UserId) -> Option<User> {
        self.loaded().users.get(name).cloned()
    }

    /// All users by name.
    pub(crate) fn list(&self) -> Vec<User> {
        self.loaded().users.values().cloned().collect()
    }

    /// Rises with every change of the users, also by an editor.
    pub(crate) fn changes(&self) -> u64 {
        self.loaded().changes
    }

    /// Takes in what somebody may have changed in the file. May wait for the disk.
    pub(crate) fn look(&self) {
        let _alone = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh();
    }

    /// Adds a user, or gives the one with that very token another role or other groups. The
    /// very same one again changes nothing. Nobody gives or takes more than it has itself.
    pub(crate) fn add(
        &self,
        user: User,
        by: &UserId,
        extent: Extent,
    ) -> Result<UserChange, UsersError> {
        let _alone = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.refresh();
        within(&known, by, &user)?;
        if let Some(existing) = known.get(&user.name) {
            within(&known, by, existing)?;
        }
        if shared(known.values().chain([&user])).is_some() {
            return Err(UsersError::Shared);
        }
        let change = match known.get(&user.name) {
            Some(existing) if *existing == user => return Ok(UserChange::Nothing),
            Some(existing) if existing.token_sha256 == user.token_sha256 => UserChange::Changed,
            Some(existing) => {
                return Err(UsersError::Exists {
                    name: user.name,
                    role: existing.role,
                    groups: existing.groups.clone(),
                });
            }
            None => UserChange::Added,
        };
        let name = user.name.clone();
        let mut users = known.clone();
        users.insert(name.clone(), user);
        self.replace(&known, users, &name, extent)?;
        Ok(change)
    }

    /// Removes a user, who has no more than whoever asks.
    pub(crate) fn remove(
        &self,
        name: &UserId,
        by: &UserId,
        extent: Extent,
    ) -> Result<(), UsersError> {
        let _alone = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.refresh();
        let mut users = known.clone();
        let Some(removed) = users.remove(name) else {
            return Err(UsersError::Unknown { name: name.clone() });
        };
        within(&known, by, &removed)?;
        self.replace(&known, users, name, extent)
    }

    /// Puts these users in the place of those that were there, because of a change of `name`.
    fn replace(
        &self,
        known: &BTreeMap<UserId, User>,
        users: BTreeMap<UserId, User>,
        name: &UserId,
        extent: Extent,
    ) -> Result<(), UsersError> {
        if let Some(why) = self.loaded().refused.clone() {
            return Err(UsersError::NotInEffect { why });
        }
        if has_admin(known.values()) && !has_admin(users.values()) {
            return Err(UsersError::LastAdmin { name: name.clone() });
        }
        if extent == Extent::Write {
            write(&self.path, users.values().cloned().collect())?;
            self.take(users, version(&self.path));
        }
        Ok(())
    }

    /// From now on these are the users.
    fn take(&self, users: BTreeMap<UserId, User>, version: Option<Version>) {
        let mut loaded = self.loaded();
        loaded.users = users;
        loaded.version = version;
        loaded.changes += 1;
        loaded.refused = None;
    }

    /// Reads the file if it is another one; who there is then. One that became unreadable or
    /// wrong changes nothing: locking everybody out because of a typing mistake would help
    /// nobody.
    fn refresh(&self) -> BTreeMap<UserId, User> {
        let version = version(&self.path);
        if version != self.loaded().version {
            self.reread(version);
        }
        self.loaded().users.clone()
    }

    fn reread(&self, version: Option<Version>) {
        let (code, why) = match read(&self.path) {
            Ok(users) if has_admin(users.values()) => {
                tracing::info!(users = users.len(), "users.toml changed");
                self.take(users, version);
                self.health.end(NAME);
                return;
            }
            Ok(_) => (
                Code::LastAdmin,
                "it names no administrator of all groups".to_owned(),
            ),
            Err(failure) => (Code::Config, failure.clause()),
        };
        tracing::error!(
            code = code.as_str(),
            why,
            "users.toml is not usable, the last good one stays in effect"
        );
        let detail = format!("it is not in effect, the last good one is: {why}");
        self.health.begin(NAME, code, &detail, Stops::Part);
        let mut loaded = self.loaded();
        loaded.version = version;
        loaded.refused = Some(why);
    }
}

/// Refuses what would give or take more than `by` has itself.
fn within(users: &BTreeMap<UserId, User>, by: &UserId, user: &User) -> Result<(), UsersError> {
    let asking = users.get(by);
    if asking.is_some_and(|asking| asking.covers(user)) {
        return Ok(());
    }
    Err(UsersError::Beyond {
        by: by.clone(),
        name: user.name.clone(),
        groups: asking.map_or_else(Vec::new, |asking| asking.groups.clone()),
    })
}

/// True if somebody among them can add any user: an administrator limited to groups cannot.
fn has_admin<'a>(mut users: impl Iterator<Item = &'a User>) -> bool {
    users.any(|user| user.role == Role::Admin && user.groups.is_empty())
}

fn version(path: &Path) -> Option<Version> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
}

fn read(path: &Path) -> Result<BTreeMap<UserId, User>, Failure> {
    let bytes = private_file::read(path).map_err(|error| match error {
        PrivateFileError::Exposed { .. } => Failure::because(Code::Secret, "users", &error)
            .help(format!("chmod 600 {}", path.display())),
        error @ PrivateFileError::Io { .. } => Failure::because(Code::Config, "users", &error),
    })?;
    let mistake = |what: String| Failure::new(Code::Config, format!("{}: {what}", path.display()));
    let text = String::from_utf8(bytes).map_err(|_| mistake("it is not UTF-8".to_owned()))?;
    let file: UsersFile = parse_toml(path, &text, &KEYS)?;
    let mut users = BTreeMap::new();
    for user in file.users {
        let name = user.name.clone();
        if users.insert(name.clone(), user).is_some() {
            // Nobody could say which of them somebody meant to remove.
            return Err(mistake(format!("user {name} is there twice")));
        }
    }
    if let Some((one, other)) = shared(users.values()) {
        return Err(mistake(format!("users {one} and {other} have one token")));
    }
    Ok(users)
}

/// Two users with one token. HTTP tells people by their tokens alone, so that one of them would
/// speak in the name of the other.
fn shared<'a>(users: impl Iterator<Item = &'a User>) -> Option<(&'a UserId, &'a UserId)> {
    let mut owners = BTreeMap::new();
    for user in users {
        match owners.insert(user.token_sha256, &user.name) {
            Some(other) if *other != user.name => return Some((other, &user.name)),
            _ => {}
        }
    }
    None
}

fn write(path: &Path, users: Vec<User>) -> Result<(), PrivateFileError> {
    // Names and hex digits: there is nothing TOML could refuse.
    let text = toml::to_string(&UsersFile { users }).unwrap_or_default();
    private_file::write(path, text.as_bytes())
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
