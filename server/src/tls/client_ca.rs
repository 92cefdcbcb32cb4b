//! The CAs of others, in the file that `--client-ca` names: read again when it changes. Sessions of
//! devices whose CA stays go on; those of a CA that was taken out end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist_net::tls::Pem;
use hoist_net::tls::server::{Acceptor, ClientAuthorities};
use hoist_orchestrator::health::{Health, Stops};
use hoist_protocol::code::Code;

use super::{Accepted, DeviceAuthority, FileVersion, version_of};
use crate::failure::{Failure, of_tls};

/// The subject of what is wrong, for [`Health`].
const ABOUT: &str = "certificates of devices";

/// Looks after the file.
pub(super) struct ClientCa {
    file: PathBuf,
    own: Arc<DeviceAuthority>,
    asking: Acceptor,
    accepted: Arc<Accepted>,
    /// The version that was seen last, and the one that was read.
    seen: FileVersion,
    read: FileVersion,
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
            seen: version,
            read: version,
        }
    }

    /// Reads the file again once it rests in another version.
    pub(super) fn look(&mut self, health: &Health) {
        let version = version_of(&self.file);
        if std::mem::replace(&mut self.seen, version) != version || version == self.read {
            return;
        }
        self.read = version;
        match self.read_again() {
            Ok(number) => {
                tracing::info!(number, "the CAs of devices beside our own were exchanged");
                health.end(ABOUT);
            }
            Err(failure) => {
                let code = Code::parse(&failure.code).unwrap_or(Code::Certificate);
                tracing::error!(
                    code = code.as_str(),
                    why = failure.what,
                    "the file of --client-ca is not usable, the CAs of before stay accepted"
                );
                let clause = failure.clause();
                let detail = format!("the CAs of before stay accepted: {clause}");
                health.begin(ABOUT, code, &detail, Stops::Part);
            }
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

/// The CAs that are accepted of clients.
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
        .transpose()?;
    let name = named.map(|path| path.display().to_string());
    let others = name.as_deref().zip(text.as_deref());
    let others = others.map(|(name, text)| Pem { name, text });
    ClientAuthorities::new(own, others).map_err(|error| of_tls(&error))
}
