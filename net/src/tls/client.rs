//! The client's side: whom it believes, and its handshake.

use std::fmt;
use std::sync::Arc;

use hoist_protocol::code::Code;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, InconsistentKeys, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::time::{ByTime, Clock};
use super::{Certificate, ClientKey, Pem, Time, TlsError, provider};
use crate::endpoint::Endpoint;
use crate::stream::Stream;

/// The CAs that a client believes, and its sessions with their servers, which are resumed. Clones
/// are the same.
#[derive(Clone, Default)]
pub struct Trust(Option<Pinned>);

#[derive(Clone)]
struct Pinned {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    clock: Arc<Clock>,
    /// From when to when the certificate is valid that it shows.
    shown: Option<(u64, u64)>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Trust(pinned)"
        } else {
            "Trust(nobody)"
        })
    }
}

impl Trust {
    /// Believes every certificate in a text, and what they have made.
    ///
    /// # Errors
    /// `E_CERT` for a text without certificates.
    pub fn pinned(ca: Pem<'_>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in ca.certificates()? {
            roots.add(certificate).map_err(|error| {
                let said = format!("a certificate in {} cannot be used: {error}", ca.name);
                TlsError::new(Code::Certificate, said)
            })?;
        }
        let (roots, clock) = (Arc::new(roots), Arc::new(Clock::default()));
        let config = configured(&roots, &clock, None)?;
        Ok(Self(Some(Pinned {
            roots,
            config,
            clock,
            shown: None,
        })))
    }

    /// Believes the same, by the same clock, and shows this certificate, the client's own first,
    /// which is called `name`. No session of the one is resumed by the other.
    ///
    /// # Errors
    /// `E_CERT` for a text without certificates, `E_CERT_NAME` for one of another name,
    /// `E_CERT_KEY` for a key that does not belong to the first of them.
    pub fn showing(
        &self,
        chain: Pem<'_>,
        key: ClientKey<'_>,
        name: &str,
    ) -> Result<Self, TlsError> {
        let Some(pinned) = &self.0 else {
            return Ok(Self::default());
        };
        let first = super::certificates(chain)?.into_iter().next();
        let Some(Certificate {
            subject,
            not_before,
            not_after,
            ..
        }) = first
        else {
            return Ok(self.clone());
        };
        if subject != name {
            let said = format!(
                "the certificate in {} is that of {subject}, not of {name}: name the one of this device",
                chain.name
            );
            return Err(TlsError::new(Code::CertificateName, said));
        }
        let certified = CertifiedKey::from_der(chain.certificates()?, key.key()?, &provider());
        let certified = certified.map_err(|error| {
            let said = match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
                    "the key in {} does not belong to the certificate of {subject} in {}: name the two that were made together",
                    key.name(),
                    chain.name
                ),
                error => format!("the key in {} cannot be used: {error}", key.name()),
            };
            TlsError::new(Code::CertificateKey, said)
        })?;
        Ok(Self(Some(Pinned {
            config: configured(&pinned.roots, &pinned.clock, Some(certified))?,
            shown: Some((not_before, not_after)),
            ..pinned.clone()
        })))
    }

    /// From when to when the certificate is valid that it shows, if it shows one, in Unix seconds.
    #[must_use]
    pub fn shown(&self) -> Option<(u64, u64)> {
        self.0.as_ref()?.shown
    }

    /// True if it believes nobody.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Judges certificates by this time and what passes from now on, and not by the system's.
    pub fn set_time(&self, time: Time) {
        if let Some(pinned) = &self.0 {
            pinned.clock.set(time);
        }
    }

    /// Speaks TLS on a socket with the host of an address.
    pub(crate) async fn encrypt(
        &self,
        stream: TcpStream,
        at: &Endpoint,
    ) -> Result<Box<dyn Stream>, TlsError> {
        let Some(pinned) = &self.0 else {
            let said = format!("nothing says whose certificate to believe at {at}");
            return Err(TlsError::new(Code::CertificateIssuer, said)
                .with_help("set `ca`, as `hoist device add` and `hoist user add` print it"));
        };
        let name = ServerName::try_from(at.host().to_owned()).map_err(|_| {
            let said = format!("{} can be the name of no certificate", at.host());
            TlsError::new(Code::CertificateName, said)
        })?;
        let connector = TlsConnector::from(Arc::clone(&pinned.config));
        let encrypted = connector.connect(name, stream).await;
        let encrypted =
            encrypted.map_err(|error| TlsError::of_handshake(&error, at.authority()))?;
        Ok(Box::new(encrypted))
    }
}

/// TLS 1.3 with whom these have certified, and with this certificate.
fn configured(
    roots: &Arc<RootCertStore>,
    clock: &Arc<Clock>,
    shown: Option<CertifiedKey>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let time = Arc::clone(clock) as Arc<dyn TimeProvider>;
    let builder = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| TlsError::new(Code::Tls, error.to_string()))?
        .dangerous()
        // The same verifier as always, with a time of ours.
        .with_custom_certificate_verifier(ByTime::new(roots, clock)?);
    Ok(Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::new(shown))))
        }
    }))
}
