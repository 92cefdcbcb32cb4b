//! The settings of the doors: who else than this machine comes in, and how what is said there is
//! encrypted.

use std::path::PathBuf;

use hoist_server::failure::Failure;

use super::{Choice, Setting, or_default};
use crate::args::Serve;

/// Names and encryption of the server's doors.
#[derive(Debug, Clone)]
pub(crate) struct DoorSettings {
    /// Another host to listen on, for both.
    pub(crate) listen: Option<Setting<String>>,
    /// The hosts that clients connect to, with commas.
    pub(crate) name: Option<Setting<String>>,
    /// A given certificate.
    pub(crate) tls_cert: Option<Setting<PathBuf>>,
    /// Its key.
    pub(crate) tls_key: Option<Setting<PathBuf>>,
    /// A CA of devices beside the server's own.
    pub(crate) client_ca: Option<Setting<PathBuf>>,
    /// The oldest version of TLS.
    pub(crate) tls_min: Option<Setting<String>>,
    /// Nothing is encrypted.
    pub(crate) no_tls: Setting<bool>,
}

impl DoorSettings {
    pub(super) fn resolve(
        choose: &Choice<'_>,
        serve: &Serve,
        (listen, name): (Option<String>, Option<String>),
        (cert, key, no_tls): (Option<PathBuf>, Option<PathBuf>, Option<bool>),
        (client_ca, min): (Option<PathBuf>, Option<String>),
    ) -> Result<Self, Failure> {
        let no_tls = choose.of(serve.no_tls.then_some(("--no-tls", true)), None, no_tls)?;
        Ok(Self {
            listen: choose.of(serve.listen.clone().map(|v| ("--listen", v)), None, listen)?,
            name: choose.of(serve.name.clone().map(|v| ("--name", v)), None, name)?,
            tls_cert: choose.path(serve.tls_cert.as_ref(), "--tls-cert", cert)?,
            tls_key: choose.path(serve.tls_key.as_ref(), "--tls-key", key)?,
            client_ca: choose.path(serve.client_ca.as_ref(), "--client-ca", client_ca)?,
            tls_min: choose.of(serve.tls_min.clone().map(|v| ("--tls-min", v)), None, min)?,
            no_tls: or_default(no_tls, false),
        })
    }
}

impl Choice<'_> {
    /// A file that is named by a flag or in the settings file.
    pub(super) fn path(
        &self,
        flag: Option<&PathBuf>,
        name: &'static str,
        file: Option<PathBuf>,
    ) -> Result<Option<Setting<PathBuf>>, Failure> {
        self.of(flag.map(|path| (name, path.clone())), None, file)
    }
}
