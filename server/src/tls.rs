//! The certificate of a running server: a given one, or one of its own CA. Its files are read again
//! when they change, and what is wrong with them then is told while the last good one is shown.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use hoist_net::tls::server::TlsMin;
use hoist_net::tls::server::{Acceptor, Identity};
use hoist_net::tls::{Certificate, Pem};
use hoist_orchestrator::health::{Health, Stops};
use hoist_orchestrator::http::Hosts;
use hoist_orchestrator::metrics::Metrics;
use hoist_protocol::code::Code;

use crate::failure::{Failure, of_tls};
use crate::private_file::{self, PrivateFileError};

mod accepted;
mod authority;
mod ca;
mod client_ca;
mod devices;
mod for_broker;
#[cfg(test)]
mod tests;
mod versions;

pub use for_broker::{BrokerCertificate, for_broker};

/// The time between two looks at the files.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// The time between two looks at the calendar.
const RENEW_PERIOD: Duration = Duration::from_secs(3_600);
/// A certificate that ends so soon is told, when somebody else has to renew it.
const SOON: Duration = Duration::from_secs(14 * 24 * 3_600);
/// The subject of what is wrong, for [`Health`].
const ABOUT: &str = "certificate";

/// The way in which what clients say is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all: only on this machine.
    None,
    /// By a certificate of a CA of its own, made at the first start.
    Own,
    /// By a given one.
    Given {
        /// The chain, as PEM.
        certificate: PathBuf,
        /// The key of its first certificate, as PEM.
        key: PathBuf,
    },
}

pub(crate) use accepted::Accepted;
use client_ca::ClientCa;
pub(crate) use devices::DeviceAuthority;
use versions::Versions;

/// The terms on which TLS is spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsTerms {
    /// The oldest version.
    pub min: TlsMin,
    /// The CAs of clients beside the server's own, as PEM.
    pub client_ca: Option<PathBuf>,
}

/// Where a server's own CA is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The client file that pins it.
    pub(crate) client: PathBuf,
}

/// The certificate that is shown.
pub(crate) struct Shown {
    /// For HTTP, where nobody is asked for a certificate.
    pub(crate) acceptor: Acceptor,
    /// For MQTT, where devices may show one.
    pub(crate) asking: Acceptor,
    /// Makes the certificates of devices.
    pub(crate) devices: Arc<DeviceAuthority>,
    /// The CAs of others that are accepted of devices.
    pub(crate) accepted: Arc<Accepted>,
    /// What clients pin, as PEM.
    pub(crate) ca: String,
    /// The host by which clients come, as far as the certificate says one.
    pub(crate) host: Option<String>,
    /// The hosts that the certificate is for.
    pub(crate) certified: Vec<String>,
    files: Files,
    /// Those of the files.
    versions: Versions<Version>,
    names: Vec<String>,
    /// Looks after the file of `--client-ca`, where there is one.
    client_ca: Option<ClientCa>,
    /// Where the server's own CA is; absent when the certificate is a given one.
    authority: Option<Place>,
    /// Where it says when its certificates end.
    metrics: Metrics,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The facts that tell one version of the files from another.
type Version = Vec<FileVersion>;
type FileVersion = Option<(u64, i64, i64, u64)>;

fn version_of(path: &Path) -> FileVersion {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
}

impl Shown {
    /// Reads the certificate for these names, or makes one. Nothing is shown without encryption.
    ///
    /// # Errors
    /// `E_CERT` and its siblings, `E_CONFIG` for a file that cannot be read, `E_SECRET` for a key
    /// that others can read, `E_RECOVER` without the CA that a fleet pins, `E_DATA_DIR`.
    pub(crate) fn open(
        (encryption, terms): (&Encryption, &TlsTerms),
        names: &[String],
        place: Place,
    ) -> Result<Option<Self>, Failure> {
        let folder = place.folder.clone();
        let (files, authority) = match encryption {
            Encryption::None => return Ok(None),
            Encryption::Given { certificate, key } => {
                let (certificate, key) = (certificate.clone(), key.clone());
                (Files { certificate, key }, None)
            }
            Encryption::Own => {
                let file = authority::server_file(&place.folder);
                authority::ensure(&place, (&file, names), SystemTime::now())?;
                let (certificate, key) = (file.clone(), file);
                (Files { certificate, key }, Some(place))
            }
        };
        let version = files.version();
        let identity = files.read(names)?;
        let acceptor = Acceptor::new(&identity, terms.min).map_err(|error| of_tls(&error))?;
        let devices = DeviceAuthority::open(&folder, SystemTime::now())?;
        let devices = Arc::new(devices);
        let accepted = Arc::new(Accepted::default());
        let named = terms.client_ca.as_deref();
        let seen = named.and_then(version_of);
        let clients = client_ca::read(&devices, named)?;
        accepted.accept(clients.others());
        let asking = acceptor.asking(clients).map_err(|error| of_tls(&error))?;
        let client_ca = named.map(|file| {
            let doors = (asking.clone(), Arc::clone(&accepted));
            ClientCa::new((file, seen), Arc::clone(&devices), doors)
        });
        let certified = identity.certificate().names.iter();
        let mut certified = certified.filter(|name| !name.starts_with('*'));
        let host = names.first().or_else(|| certified.next()).cloned();
        // Clients are told the host: whatever certificate follows has to be for it.
        let names = match names {
            [] => host.iter().cloned().collect(),
            named => named.to_vec(),
        };
        Ok(Some(Self {
            acceptor,
            asking,
            devices,
            accepted,
            ca: identity.anchor_pem().to_owned(),
            host,
            certified: identity.certificate().names.clone(),
            files,
            versions: Versions::of(version),
            names,
            client_ca,
            authority,
            metrics: Metrics::default(),
        }))
    }

    /// The same, which says here when its certificates end.
    pub(crate) fn counted_in(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        if let Ok(identity) = self.files.read(&self.names) {
            self.count_ends(&identity);
        }
        self
    }

    fn count_ends(&self, identity: &Identity) {
        let ends = |text: &str| {
            let (name, text) = ("a CA", text.as_bytes());
            Pem { name, text }.ends()
        };
        let leaf = Some(identity.certificate().not_after);
        let all = [
            ("server", leaf),
            ("ca", ends(&self.ca)),
            ("device-ca", ends(self.devices.pem())),
        ];
        for (certificate, ends) in all {
            if let Some(ends) = ends {
                self.metrics.certificate_ends(certificate, ends);
            }
        }
    }

    /// Looks after the certificate for as long as the server runs. Whatever one it shows, HTTP is
    /// answered for its hosts.
    pub(crate) async fn watch(mut self, health: Health, hosts: Hosts) {
        let mut renew_at = tokio::time::Instant::now();
        let mut is_renewed = true;
        loop {
            if tokio::time::Instant::now() >= renew_at {
                renew_at += RENEW_PERIOD;
                let was_renewed = std::mem::replace(&mut is_renewed, self.renew(&health));
                if is_renewed && !was_renewed {
                    self.read_again(&health, &hosts);
                }
            }
            tokio::time::sleep(LOOK_PERIOD).await;
            if let Some(client_ca) = &mut self.client_ca {
                client_ca.look(&health);
            }
            // Certificate and key are two files: they are read once both rest.
            if self.versions.wants(self.files.version()) {
                let is_shown = self.read_again(&health, &hosts);
                self.versions.were_read(is_shown);
            }
        }
    }

    /// True if what is in the files is shown.
    fn read_again(&self, health: &Health, hosts: &Hosts) -> bool {
        let read = self.files.read(&self.names);
        match read.and_then(|identity| self.of_the_same_ca(identity)) {
            Ok(identity) => {
                self.acceptor.show(&identity);
                self.count_ends(&identity);
                let Certificate { subject, names, .. } = identity.certificate();
                hosts.certify(names.iter().cloned());
                tracing::info!(subject, "the certificate was exchanged");
                health.end(ABOUT);
                true
            }
            Err(failure) => {
                tell(health, &failure);
                false
            }
        }
    }

    /// What clients pin changes only when somebody means it.
    fn of_the_same_ca(&self, identity: Identity) -> Result<Identity, Failure> {
        if identity.anchor_pem() == self.ca {
            return Ok(identity);
        }
        let what = format!(
            "the certificate of {} in {} comes from another CA than the one that clients pin",
            identity.certificate().subject,
            self.files.certificate.display()
        );
        Err(Failure::new(Code::CertificateIssuer, what).help(
            "show one of the same CA; or give devices and people the new `ca` and start the server again",
        ))
    }

    /// Renews a certificate of its own in time, and tells when a given one ends soon; false if it
    /// could not be renewed.
    fn renew(&self, health: &Health) -> bool {
        let now = SystemTime::now();
        if let Some(place) = &self.authority {
            let wanted = (self.files.certificate.as_path(), self.names.as_slice());
            let ensured = authority::ensure(place, wanted, now);
            if let Err(failure) = &ensured {
                tell(health, failure);
            }
            return ensured.is_ok();
        }
        let Ok(identity) = self.files.read(&self.names) else {
            return true;
        };
        let Certificate {
            not_after, subject, ..
        } = identity.certificate();
        let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(*not_after);
        if ends < now + SOON {
            let ends = humantime::format_rfc3339_seconds(ends);
            let detail = format!(
                "the certificate of {subject} in {} ends on {ends}",
                self.files.certificate.display()
            );
            let code = Code::CertificateEnds;
            tracing::warn!(code = code.as_str(), why = detail, "{}", code.hint());
            health.begin(ABOUT, code, &detail, Stops::Part);
        }
        true
    }
}

impl Files {
    /// Reads both, and refuses a certificate that is not for all these names.
    fn read(&self, names: &[String]) -> Result<Identity, Failure> {
        let certificate = read("--tls-cert", &self.certificate)?;
        let key = private_file::read(&self.key).map_err(|error| match error {
            PrivateFileError::Exposed { .. } => {
                Failure::because(Code::Secret, "the key of the certificate", &error)
                    .help("chmod 600 the file, and think about who has read it")
            }
            PrivateFileError::Io { .. } => Failure::because(Code::Config, "--tls-key", &error),
        })?;
        let (at, key_at) = (self.certificate.display(), self.key.display());
        let (at, key_at) = (at.to_string(), key_at.to_string());
        let chain = Pem {
            name: &at,
            text: &certificate,
        };
        let key = Pem {
            name: &key_at,
            text: &key,
        };
        let identity = Identity::read(chain, key, SystemTime::now());
        let identity = identity.map_err(|error| of_tls(&error))?;
        let certified = &identity.certificate().names;
        let other = names
            .iter()
            .find(|name| !certified.iter().any(|of| covers(of, name)));
        match other {
            None => Ok(identity),
            Some(other) => Err(Failure::new(
                Code::CertificateName,
                format!(
                    "the certificate of {} in {at} is for {}, not for {other}",
                    identity.certificate().subject,
                    certified.join(", ")
                ),
            )
            .help("name with --name only hosts that it is for, or another certificate with --tls-cert")),
        }
    }

    fn version(&self) -> Version {
        vec![version_of(&self.certificate), version_of(&self.key)]
    }
}

fn tell(health: &Health, failure: &Failure) {
    let code = Code::parse(&failure.code).unwrap_or(Code::Certificate);
    let detail = format!("the last good one is shown: {}", failure.clone().clause());
    if !is_told(health, ABOUT, &detail) {
        tracing::error!(
            code = code.as_str(),
            why = failure.what,
            "the certificate is not usable, the last good one stays in effect"
        );
    }
    health.begin(ABOUT, code, &detail, Stops::Part);
}

/// True if this is known in these words: what is tried again and again is logged once.
fn is_told(health: &Health, about: &str, detail: &str) -> bool {
    let problems = health.problems();
    let mut problems = problems.iter();
    problems.any(|problem| problem.about == about && problem.detail == detail)
}

/// A certificate is no secret: others may read it.
fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let text = private_file::read_named(path).map_err(|error| {
        let what = format!("cannot read {flag} {}", path.display());
        Failure::because(Code::Config, what, &error)
    })?;
    Ok(text.into_bytes())
}

/// True if a name in a certificate, maybe `*.example.com`, is one for this host.
fn covers(certified: &str, host: &str) -> bool {
    if certified.eq_ignore_ascii_case(host) {
        return true;
    }
    let parent = host.split_once('.').map(|(_, parent)| parent);
    let wild = certified.strip_prefix("*.");
    wild.is_some() && wild.map(str::to_ascii_lowercase) == parent.map(str::to_ascii_lowercase)
}
