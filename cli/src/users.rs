//! `users.toml`: people and programs with a token, of which only the hash is kept. Read
//! again whenever it changes, so that an editor is as good as a command.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hoist_orchestrator::config::UserChange;
use hoist_protocol::access::Role;
use hoist_protocol::code::Code;
use hoist_protocol::id::{GroupId, UserId};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::private_file::{self, PrivateFileError};
use crate::settings::parse_toml;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    /// Its name.
    pub(crate) name: UserId,
    /// What it may do.
    pub(crate) role: Role,
    /// The only groups it may change; empty means all.
    #[serde(default)]
    pub(crate) groups: Vec<GroupId>,
    /// SHA-256 of its token, in hex.
    #[serde(with = "hex")]
    pub(crate) token_sha256: [u8; 32],
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersFile {
    #[serde(default)]
    users: Vec<User>,
}

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

/// What tells one version of the file from another.
type Version = (u64, i64, i64, u64);

#[derive(Debug, Default)]
struct Loaded {
    version: Option<Version>,
    users: BTreeMap<UserId, User>,
    /// Rises with every change of the users.
    changes: u64,
}

/// How far a change goes.
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
    loaded: Mutex<Loaded>,
}

/// Why users stay as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersError {
    /// The name is taken.
    #[error("user {name} exists")]
    Exists {
        /// Which.
        name: UserId,
    },
    /// Nobody would be left who can add another one.
    #[error("{name} is the only administrator")]
    LastAdmin {
        /// Which.
        name: UserId,
    },
    /// Nobody has the name.
    #[error("there is no user {name}")]
    Unknown {
        /// Which.
        name: UserId,
    },
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
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
        };
        if !has_admin(loaded.users.values()) {
            tracing::error!(
                code = Code::LastAdmin.as_str(),
                file = %path.display(),
                "nobody is an administrator: give one user there `role = \"admin\"`"
            );
        }
        Ok(Self {
            path: path.to_owned(),
            loaded: Mutex::new(loaded),
        })
    }

    /// Creates the file with its first user.
    pub(crate) fn create(path: &Path, first: User) -> Result<(), PrivateFileError> {
        write(path, vec![first])
    }

    /// The user of a name, as the file says now.
    pub(crate) fn find(&self, name: &UserId) -> Option<User> {
        self.with_current(|users| users.get(name).cloned())
    }

    /// All users by name.
    pub(crate) fn list(&self) -> Vec<User> {
        self.with_current(|users| users.values().cloned().collect())
    }

    /// Rises with every change of the users, also by an editor.
    pub(crate) fn changes(&self) -> u64 {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut loaded);
        loaded.changes
    }

    /// Adds a user, or gives the one with that very token another role or other groups. The
    /// very same one again changes nothing.
    pub(crate) fn add(&self, user: User, extent: Extent) -> Result<UserChange, UsersError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut loaded);
        let change = match loaded.users.get(&user.name) {
            Some(existing) if *existing == user => return Ok(UserChange::Nothing),
            Some(existing) if existing.token_sha256 == user.token_sha256 => UserChange::Changed,
            Some(_) => return Err(UsersError::Exists { name: user.name }),
            None => UserChange::Added,
        };
        let name = user.name.clone();
        let mut users = loaded.users.clone();
        users.insert(name.clone(), user);
        self.replace(&mut loaded, users, &name, extent)?;
        Ok(change)
    }

    /// Removes a user.
    pub(crate) fn remove(&self, name: &UserId, extent: Extent) -> Result<(), UsersError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut loaded);
        let mut users = loaded.users.clone();
        if users.remove(name).is_none() {
            return Err(UsersError::Unknown { name: name.clone() });
        }
        self.replace(&mut loaded, users, name, extent)
    }

    /// Puts these users in the place of those that were there, because of a change of `name`.
    fn replace(
        &self,
        loaded: &mut Loaded,
        users: BTreeMap<UserId, User>,
        name: &UserId,
        extent: Extent,
    ) -> Result<(), UsersError> {
        if has_admin(loaded.users.values()) && !has_admin(users.values()) {
            return Err(UsersError::LastAdmin { name: name.clone() });
        }
        if extent == Extent::Write {
            write(&self.path, users.values().cloned().collect())?;
            loaded.users = users;
            loaded.version = version(&self.path);
            loaded.changes += 1;
        }
        Ok(())
    }

    fn with_current<T>(&self, read: impl FnOnce(&BTreeMap<UserId, User>) -> T) -> T {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut loaded);
        read(&loaded.users)
    }

    /// A file that became unreadable or wrong changes nothing: locking everybody out
    /// because of a typing mistake would help nobody.
    fn refresh(&self, loaded: &mut Loaded) {
        let version = version(&self.path);
        if version == loaded.version {
            return;
        }
        loaded.version = version;
        match read(&self.path) {
            Ok(users) if !has_admin(users.values()) => {
                tracing::error!(
                    code = Code::LastAdmin.as_str(),
                    "users.toml names no administrator, the last good one stays in effect"
                );
            }
            Ok(users) => {
                tracing::info!(users = users.len(), "users.toml changed");
                loaded.users = users;
                loaded.changes += 1;
            }
            Err(failure) => {
                tracing::error!(%failure, "users.toml is not usable, the last good one stays in effect");
            }
        }
    }
}

/// Whether somebody among them can add others.
fn has_admin<'a>(mut users: impl Iterator<Item = &'a User>) -> bool {
    users.any(|user| user.role == Role::Admin)
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
    let file: UsersFile = parse_toml(path, &String::from_utf8_lossy(&bytes), &KEYS)?;
    Ok(file
        .users
        .into_iter()
        .map(|user| (user.name.clone(), user))
        .collect())
}

fn write(path: &Path, users: Vec<User>) -> Result<(), PrivateFileError> {
    // Names and hex digits: there is nothing TOML could refuse.
    let text = toml::to_string(&UsersFile { users }).unwrap_or_default();
    private_file::write(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, hash: u8) -> User {
        User {
            name: name.parse().unwrap(),
            role: Role::Viewer,
            groups: vec!["eu".parse().unwrap()],
            token_sha256: [hash; 32],
        }
    }

    fn admin(name: &str, hash: u8) -> User {
        User {
            role: Role::Admin,
            groups: Vec::new(),
            ..user(name, hash)
        }
    }

    fn opened() -> (tempfile::TempDir, Users) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        Users::create(&path, admin("admin", 1)).unwrap();
        let users = Users::open(&path).unwrap();
        (dir, users)
    }

    #[test]
    fn a_user_added_is_there_after_a_restart() {
        let (dir, users) = opened();
        users.add(user("vera", 2), Extent::Write).unwrap();
        let again = Users::open(&dir.path().join("users.toml")).unwrap();
        assert_eq!(again.find(&"vera".parse().unwrap()), Some(user("vera", 2)));
        assert_eq!(again.list().len(), 2);
    }

    #[test]
    fn a_name_is_given_once_but_the_same_user_may_be_added_again() {
        let (_dir, users) = opened();
        users.add(user("vera", 2), Extent::Write).unwrap();
        users.add(user("vera", 2), Extent::Write).unwrap();
        assert!(matches!(
            users.add(user("vera", 3), Extent::Write),
            Err(UsersError::Exists { .. })
        ));
    }

    #[test]
    fn an_edited_file_counts_at_once_and_a_broken_one_changes_nothing() {
        let (dir, users) = opened();
        let path = dir.path().join("users.toml");
        write(&path, vec![admin("bob", 4)]).unwrap();
        let names = |users: &Users| -> Vec<String> {
            users
                .list()
                .iter()
                .map(|user| user.name.to_string())
                .collect()
        };
        assert_eq!(names(&users), ["bob"]);
        private_file::write(&path, b"[[users]]\nname = 1\n").unwrap();
        assert_eq!(names(&users), ["bob"]);
        write(&path, vec![user("vera", 4)]).unwrap();
        assert_eq!(names(&users), ["bob"], "without an administrator");
    }

    #[test]
    fn the_last_administrator_is_neither_removed_nor_demoted() {
        let (_dir, users) = opened();
        let name = "admin".parse().unwrap();
        let demoted = || user("admin", 1);
        for extent in [Extent::Check, Extent::Write] {
            let removed = users.remove(&name, extent);
            assert!(matches!(removed, Err(UsersError::LastAdmin { .. })));
            let changed = users.add(demoted(), extent);
            assert!(matches!(changed, Err(UsersError::LastAdmin { .. })));
        }
        users.add(admin("bob", 2), Extent::Write).unwrap();
        users.add(demoted(), Extent::Write).unwrap();
        users.remove(&name, Extent::Write).unwrap();
    }

    #[test]
    fn every_change_is_counted_and_nothing_else_is() {
        let (dir, users) = opened();
        let mut seen = users.changes();
        let mut changed = |users: &Users| {
            let now = users.changes();
            std::mem::replace(&mut seen, now) != now
        };
        let wider = User {
            groups: Vec::new(),
            ..user("vera", 2)
        };
        let add = |user: User| users.add(user, Extent::Write).unwrap();
        assert_eq!(add(user("vera", 2)), UserChange::Added);
        assert!(changed(&users));
        assert_eq!(add(user("vera", 2)), UserChange::Nothing);
        assert!(!changed(&users));
        assert_eq!(add(wider), UserChange::Changed);
        assert!(changed(&users));
        users
            .remove(&"vera".parse().unwrap(), Extent::Check)
            .unwrap();
        assert!(!changed(&users));
        users
            .remove(&"vera".parse().unwrap(), Extent::Write)
            .unwrap();
        assert!(changed(&users));
        write(&dir.path().join("users.toml"), vec![admin("bob", 4)]).unwrap();
        assert!(changed(&users), "by an editor");
    }
}
