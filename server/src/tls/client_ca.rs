//! The CAs of others, in the file that `--client-ca` names: read again when it changes. Sessions of
//! devices whose CA stays go on; those of a CA that was taken out end. An empty file names none; one
//! that is gone says nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist_net::tls::Pem;
use hoist_net::tls::server::{Acceptor, ClientAuthorities};
use hoist_orchestrator::health::{Health, Stops};
use hoist_protocol::code::Code;

use super::{Accepted, DeviceAuthority, FileVersion, Versions, is_told, version_of};
use crate::failure::{Failure, of_tls};

/// The subject of what is wrong, for [`Health`].
const ABOUT: &str = "certificates of devices";

/// Looks after the file.
pub(super) struct ClientCa {
    file: PathBuf,
    own: Arc<DeviceAuthority>,
    asking: Acceptor,
    accepted: Arc<Accepted>,
    versions: Versions<FileVersion>,
}

impl ClientCa {
    /// The file in the version that was read, for this door.
    pub(super) fn new(
        (file, version): (&Path, FileVersion),
        own: Arc<DeviceAuthority>,
        (asking, accepted): (Acceptor, Arc<Accepted>),
    ) -> Self {
        Self {
            file: file.to_owned(),
            own,
            asking,
            accepted,
            versions: Versions::of(version),
        }
    }

    /// Reads the file again once it rests in another version, and until it can be used.
    pub(super) fn look(&mut self, health: &Health) {
        if !self.versions.wants(version_of(&self.file)) {
            return;
        }
        let read = self.read_again();
        self.versions.were_read(read.is_ok());
        match read {
            Ok(number) => {
                tracing::info!(number, "the CAs of devices beside our own were exchanged");
                health.end(ABOUT);
            }
            Err(failure) => tell(health, &failure),
        }
    }

    fn read_again(&self) -> Result<usize, Failure> {
        let clients = read(&self.own, Some(&self.file))?;
        let others: Vec<_> = clients.others().collect();
        self.asking.ask(clients).map_err(|error| of_tls(&error))?;
        // The door is shut by now for whom this ends.
        self.accepted.accept(others.iter().copied());
        Ok(others.len())
    }
}

fn tell(health: &Health, failure: &Failure) {
    let code = Code::parse(&failure.code).unwrap_or(Code::Certificate);
    let clause = failure.clone().clause();
    let detail =
        format!("the CAs of before stay accepted (an empty file would name none): {clause}");
    if !is_told(health, ABOUT, &detail) {
        tracing::error!(
            code = code.as_str(),
            why = failure.what,
            "the file of --client-ca is not usable, the CAs of before stay accepted"
        );
    }
    health.begin(ABOUT, code, &detail, Stops::Part);
}

/// The CAs that are accepted of clients. A file without a word names none.
pub(super) fn read(
    own: &DeviceAuthority,
    named: Option<&Path>,
) -> Result<ClientAuthorities, Failure> {
    let own = Pem {
        name: "devices.pem",
        text: own.pem().as_bytes(),
    };
    let text = named
        .map(|path| super::read("--client-ca", path))
        .transpose()?
        .filter(|text| !text.trim_ascii().is_empty());
    let name = named.map(|path| path.display().to_string());
    let others = name.as_deref().zip(text.as_deref());
    let others = others.map(|(name, text)| Pem { name, text });
    ClientAuthorities::new(own, others).map_err(|error| of_tls(&error))
}
