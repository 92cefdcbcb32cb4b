//! The server's data directory: what is where, what the first start creates, and what
//! later starts refuse to make up. Everything in it is its owner's alone.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hoist_orchestrator_core::model::now::Mode;
use hoist_protocol::code::Code;
use hoist_protocol::id::{Generation, Namespace};

use crate::client_file::ClientFile;
use crate::denied::{denied, is_denied};
use crate::failure::Failure;
use crate::keys::{self, Given, Keys, KeysError};
use crate::private_file::{self, PrivateFileError};
use crate::users::Users;

mod first_start;
mod noted;
mod ready;
mod recovery;

pub use noted::Noted;
pub use ready::{Announced, ReadyFile};

/// The addresses that clients are told, and what they pin.
#[derive(Debug, Clone, Copy)]
pub struct Addresses<'a> {
    /// Of MQTT.
    pub mqtt: &'a str,
    /// Of MQTT for devices, when it is another one.
    pub device_mqtt: Option<&'a str>,
    /// Of HTTP.
    pub http: &'a str,
    /// The CA, as PEM.
    pub ca: Option<&'a str>,
}

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The one in this folder, which may not be there yet.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the keys.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The key that signs releases; it may have been moved away.
    pub fn release_key(&self) -> PathBuf {
        self.keys().join("release.key")
    }

    /// The folder of the store.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The folder of what was signed.
    pub fn specs(&self) -> PathBuf {
        self.root.join("specs")
    }

    /// The folder of the artifacts.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// The client file that the first start makes.
    pub fn client(&self) -> PathBuf {
        self.root.join("client.toml")
    }

    /// Where the rows lie while a backup is made.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("backup.rows")
    }

    /// The folder of the server's own CA.
    pub fn authority(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The commands that bring a lost store back.
    pub fn way_back(&self) -> String {
        let root = self.root.display();
        let known = self.known_backup().unwrap_or_else(|| {
            format!("`hoist restore FILE --data-dir {root}` brings back what a backup holds")
        });
        format!(
            "{known}; without one, `hoist recover --data-dir {root}` brings back what the fleet \
             knows"
        )
    }

    pub(crate) fn users(&self) -> PathBuf {
        self.root.join("users.toml")
    }

    /// Ok if a server has ever had its data here.
    ///
    /// # Errors
    /// `E_DATA_DIR` where not, `E_CONFIG` where this user may not know.
    pub fn must_be_one(&self) -> Result<(), Failure> {
        let parts = [self.keys(), self.store()];
        if let Some(hidden) = parts.iter().find(|part| is_denied(part)) {
            return Err(denied(hidden, &self.root));
        }
        if parts.iter().any(|part| part.exists()) {
            return Ok(());
        }
        let what = format!("{} is no data directory of a server", self.root.display());
        Err(Failure::new(Code::DataDir, what).help("name it with --data-dir"))
    }

    /// Creates the directory itself, so that it can be locked. In one that was there and is
    /// open to others, what is ours is closed: the directory may have more in it.
    ///
    /// # Errors
    /// `E_DATA_DIR`.
    pub fn create(&self) -> Result<(), Failure> {
        private_file::create_dir(&self.root).map_err(|error| self.unusable(error))?;
        let ours = [
            self.keys(),
            self.authority(),
            self.store(),
            self.specs(),
            self.artifacts(),
        ];
        for folder in ours {
            private_file::close_dir(&folder).map_err(|error| self.unusable(error))?;
        }
        Ok(())
    }

    /// True if there is a store, or a part of one.
    pub fn has_store(&self) -> bool {
        let has = |file: &&str| self.store().join(file).exists();
        ["FORMAT", "db"].iter().any(has)
    }

    /// Makes what a first start makes and opens what is there; `open_store` opens the store,
    /// or makes one where it is told to. The caller holds the directory's lock.
    ///
    /// # Errors
    /// `E_RECOVER` for keys, a store or users that are missing beside the others, `E_SECRET`,
    /// `E_CONFIG`, `E_DATA_DIR`, and those of `open_store`.
    pub(crate) fn open<S>(
        &self,
        (namespace, mode): (&Namespace, Mode),
        now: Generation,
        mqtt: SocketAddr,
        http: SocketAddr,
        open_store: impl FnOnce(&Path, Found) -> Result<S, Failure>,
    ) -> Result<Opened<S>, Failure> {
        self.forget_ready();
        let first = self.first_start(mode)?;
        if first.is_some() && !self.keys().exists() {
            let none = Given::default();
            keys::create(&self.keys(), namespace, now, &none)
                .map_err(|error| self.unusable(error))?;
        }
        if first.is_some() && self.store().exists() && !self.store().join("FORMAT").exists() {
            // A store gets its FORMAT last: this one was cut off before it held anything.
            fs::remove_dir_all(self.store())
                .map_err(PrivateFileError::io("remove", &self.store()))
                .map_err(|error| self.unusable(error))?;
        }
        let keys = Keys::load(&self.keys(), namespace).map_err(|error| self.unusable(error))?;
        let found = match first {
            Some(_) if !self.has_store() => Found::Nothing,
            _ => Found::Store,
        };
        let store = open_store(&self.store(), found)?;
        if !self.users().exists() {
            if first.is_none() {
                self.take_new_admin()?;
            }
            self.create_admin(namespace, mqtt, http)?;
        }
        let users = Users::open(&self.users())?;
        if let Some(first) = first {
            fs::remove_file(&first.marker)
                .map_err(PrivateFileError::io("remove", &first.marker))
                .map_err(|error| self.unusable(error))?;
        }
        Ok(Opened { keys, store, users })
    }

    /// Makes the keys before the first start, which goes on from there. The caller holds the
    /// directory's lock.
    ///
    /// # Errors
    /// `E_DATA_DIR` where there are keys, `E_RECOVER` where something lies that belongs to others,
    /// and those of keys that are given.
    pub fn create_keys(
        &self,
        namespace: &Namespace,
        now: Generation,
        given: &Given,
    ) -> Result<(), Failure> {
        if self.keys().exists() {
            let what = format!("there are keys in {} already", self.keys().display());
            return Err(Failure::new(Code::DataDir, what)
                .help("nothing was changed; replace one of them with `hoist keys rotate`"));
        }
        let _begun = self.first_start(Mode::Serving)?;
        keys::create(&self.keys(), namespace, now, given).map_err(|error| {
            let code = error.code();
            Failure::because(code, "no keys were made", &error).help(code.hint())
        })
    }

    /// Writes the bound addresses, and what clients pin, into the client file that the first start
    /// created, so that the CLI finds a server on free ports. One that was moved away stays away. A
    /// pinned CA outlives a start without encryption, because devices go on pinning it.
    ///
    /// # Errors
    /// `E_CONFIG` or `E_DATA_DIR`.
    pub fn update_client(&self, told: &Addresses<'_>) -> Result<(), Failure> {
        if !self.client().exists() {
            return Ok(());
        }
        let old = ClientFile::read(&self.client())?;
        match (&old.ca, told.ca) {
            (Some(_), None) => tracing::warn!(
                "nothing is encrypted, and this server was before: devices and people who come by \
                 TLS do not get in; start it with the --listen and --name, or --tls-cert, of before"
            ),
            (Some(pinned), Some(ca)) if pinned != ca => tracing::warn!(
                "the CA is another one than before: devices and people believe this server when \
                 their files name the new `ca`"
            ),
            _ => {}
        }
        let file = ClientFile {
            mqtt: told.mqtt.to_owned(),
            device_mqtt: told.device_mqtt.map(str::to_owned),
            http: told.http.to_owned(),
            ca: told.ca.map(str::to_owned).or(old.ca.clone()),
            ..old.clone()
        };
        if file == old {
            return Ok(());
        }
        private_file::write(&self.client(), file.render().as_bytes())
            .map_err(|error| self.unusable(error))
    }

    pub(crate) fn unusable(&self, error: impl Into<KeysError>) -> Failure {
        let error = error.into();
        let what = format!("data directory {}", self.root.display());
        match error {
            KeysError::File(PrivateFileError::Exposed { .. }) => {
                Failure::because(Code::Secret, what, &error)
                    .help("chmod 600 the file, and think about who has read it")
            }
            _ => Failure::because(Code::DataDir, what, &error),
        }
    }
}

/// The find at the place of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is a store, or has been one.
    Store,
    /// This is a first start, which makes one.
    Nothing,
}

/// The content of a data directory.
pub(crate) struct Opened<S> {
    pub(crate) keys: Keys,
    pub(crate) store: S,
    pub(crate) users: Users,
}

#[cfg(test)]
#[path = "data_dir_tests.rs"]
mod tests;
