//! The first start: when something may be missing, and what it gives a directory.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_orchestrator_core::model::now::Mode;
use hoist_protocol::access::Role;
use hoist_protocol::code::Code;
use hoist_protocol::id::{Namespace, UserId, sha256};

use super::DataDir;
use crate::client_file::ClientFile;
use crate::failure::Failure;
use crate::private_file;
use crate::token::random_token;
use crate::users::{User, Users};

/// The name of the first user.
const ADMIN: &str = "admin";

/// A file by which somebody asks for a new first user, after `users.toml` was lost.
pub(super) const NEW_ADMIN: &str = "new-administrator";

/// Present while a first start is not complete: only then may something be missing.
pub(super) struct FirstStart {
    pub(super) marker: PathBuf,
}

impl DataDir {
    /// Tells a first start, also one that was cut off, from a directory that lost
    /// something.
    pub(super) fn first_start(&self, mode: Mode) -> Result<Option<FirstStart>, Failure> {
        let marker = self.root.join("first-start");
        let refused =
            |what: String, help: String| Err(Failure::new(Code::Recover, what).help(help));
        self.refuse_restoring()?;
        if mode == Mode::Serving {
            self.refuse_recovering()?;
        }
        match (marker.exists(), self.keys().exists(), self.has_store()) {
            (false, true, true) => Ok(None),
            // Whoever opens it begins a recovery before anything is made.
            (false, true, false) if mode == Mode::Recovering => Ok(None),
            (false, true, false) => refused(
                format!(
                    "there is no store in {} beside its keys",
                    self.store().display()
                ),
                format!(
                    "starting empty would forget every device and deployment. {}",
                    self.way_back()
                ),
            ),
            (false, false, _) if mode == Mode::Recovering => refused(
                format!("there are no keys in {}", self.root.display()),
                "without its keys no device obeys: bring a backup back with `hoist restore`"
                    .to_owned(),
            ),
            (false, false, _) if self.store().exists() || self.users().exists() => refused(
                format!(
                    "{} is missing beside what belongs to it",
                    self.keys().display()
                ),
                "put the keys back from a backup; with new ones no device would obey any more"
                    .to_owned(),
            ),
            (true, ..) => Ok(Some(FirstStart { marker })),
            (false, false, _) => {
                private_file::write(&marker, b"").map_err(|error| self.unusable(error))?;
                Ok(Some(FirstStart { marker }))
            }
        }
    }

    /// Beside a fleet, somebody has to want a new administrator: a lost file makes none.
    pub(super) fn take_new_admin(&self) -> Result<(), Failure> {
        let wanted = self.root.join(NEW_ADMIN);
        if fs::remove_file(&wanted).is_ok() {
            tracing::warn!("users.toml was lost, and a new administrator was asked for");
            return Ok(());
        }
        let what = format!("{} is missing", self.users().display());
        Err(Failure::new(Code::Recover, what).help(format!(
            "put it back from a backup; or, for a new administrator and no other user, \
             `touch {}` and start again",
            wanted.display()
        )))
    }

    /// Gives a directory without users its administrator.
    pub(super) fn create_admin(
        &self,
        namespace: &Namespace,
        mqtt: SocketAddr,
        http: SocketAddr,
    ) -> Result<(), Failure> {
        let name: UserId = ADMIN
            .parse()
            .map_err(|error| Failure::because(Code::Name, ADMIN, &error))?;
        let token = random_token()?;
        let token_sha256 = sha256(token.as_bytes());
        let file = ClientFile {
            mqtt: Endpoint::at(Scheme::Mqtt, mqtt).to_string(),
            device_mqtt: None,
            http: Endpoint::at(Scheme::Http, http).to_string(),
            namespace: namespace.clone(),
            user: name.clone(),
            token,
            ca: None,
            ca_file: None,
        };
        // The token first: a user whose token nobody knows could not be replaced.
        private_file::write(&self.client(), file.render().as_bytes())
            .map_err(|error| self.unusable(error))?;
        let admin = User {
            name,
            role: Role::Admin,
            groups: Vec::new(),
            token_sha256,
        };
        Users::create(&self.users(), admin).map_err(|error| self.unusable(error))
    }
}
