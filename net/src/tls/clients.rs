//! The certificates that clients may show: the CAs that a server accepts of them, and what was
//! proven of one. Nobody has to show one, and nothing here decides what somebody may do.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::id::sha256;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::{Certificate, Pem, TlsError, provider};

tokio::task_local! {
    /// The subject of the certificate that is shown in the handshake of this task.
    static SUBJECT: Arc<OnceLock<String>>;
}

/// A client's certificate whose key was proven in the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Its statements.
    pub certificate: Certificate,
    /// The CA that has made it.
    pub by: Maker,
}

/// The CA of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// The server's own.
    Own,
    /// Another one: the SHA-256 of its certificate.
    Other(AuthorityId),
    /// None that is accepted.
    Nobody,
}

/// The SHA-256 of a CA's certificate.
pub type AuthorityId = [u8; 32];

/// The CAs that a server accepts of clients.
#[derive(Clone)]
pub struct ClientAuthorities {
    roots: Arc<RootCertStore>,
    own: Arc<RootCertStore>,
    others: Arc<[(AuthorityId, Arc<RootCertStore>)]>,
}

impl fmt::Debug for ClientAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientAuthorities({})", self.roots.len())
    }
}

impl ClientAuthorities {
    /// Those of a server: its own CA of devices, and the CAs in a file that somebody named.
    ///
    /// # Errors
    /// `E_CERT` for a text without certificates, or with one that is no CA.
    pub fn new(own: Pem<'_>, others: Option<Pem<'_>>) -> Result<Self, TlsError> {
        let (mut roots, mut only_own) = (RootCertStore::empty(), RootCertStore::empty());
        let mut only_others = Vec::new();
        for (pem, is_own) in [(Some(own), true), (others, false)] {
            let Some(pem) = pem else { continue };
            for (certificate, der) in super::certificates(pem)?.iter().zip(pem.certificates()?) {
                let wrong = |why: String| {
                    let subject = &certificate.subject;
                    let said = format!(
                        "the certificate of {subject} in {} is not one of a CA of clients: {why}",
                        pem.name
                    );
                    TlsError::new(Code::Certificate, said)
                };
                if !certificate.is_ca {
                    return Err(wrong("name the one by which those were signed".to_owned()));
                }
                let id = sha256(&der);
                let mut alone = RootCertStore::empty();
                for store in [&mut roots, if is_own { &mut only_own } else { &mut alone }] {
                    let added = store.add(der.clone());
                    added.map_err(|error| wrong(error.to_string()))?;
                }
                if !is_own {
                    only_others.push((id, Arc::new(alone)));
                }
            }
        }
        Ok(Self {
            roots: Arc::new(roots),
            own: Arc::new(only_own),
            others: only_others.into(),
        })
    }

    /// The CAs beside the server's own.
    pub fn others(&self) -> impl Iterator<Item = AuthorityId> {
        self.others.iter().map(|(id, _)| *id)
    }

    /// Verifies what clients show, and lets those in who show nothing.
    pub(super) fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        verifier_by(&self.roots).map(|inner| Arc::new(Named(inner)) as Arc<dyn ClientCertVerifier>)
    }

    /// The certificate that was shown and proven, maybe in an earlier session.
    pub(super) fn presented(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<Presented> {
        let (shown, between) = chain?.split_first()?;
        let certificate = Certificate::read(shown)?;
        // By its signature: anybody can write the name of our CA. It was in time when it was proven.
        let begins = between.iter().filter_map(|der| Certificate::read(der));
        // A CA between may have begun after what it made.
        let begun = begins.fold(certificate.not_before, |latest, by| {
            latest.max(by.not_before)
        });
        let begun = Duration::from_secs(begun);
        let begun = UnixTime::since_unix_epoch(begun);
        let is_by = |roots: &Arc<RootCertStore>| {
            verifier_by(roots).is_ok_and(|by| by.verify_client_cert(shown, between, begun).is_ok())
        };
        let other = || self.others.iter().find(|(_, root)| is_by(root));
        let by = match is_by(&self.own) {
            true => Maker::Own,
            false => other().map_or(Maker::Nobody, |(id, _)| Maker::Other(*id)),
        };
        Some(Presented { certificate, by })
    }
}

/// Verifies what clients show by these CAs.
fn verifier_by(roots: &Arc<RootCertStore>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider());
    // Clients have one certificate: names of CAs would only cost bytes.
    let builder = builder.allow_unauthenticated().clear_root_hint_subjects();
    builder.build().map_err(|error| {
        let said = format!("the CAs of clients cannot be used: {error}");
        TlsError::new(Code::Certificate, said)
    })
}

/// A verifier that says whose certificate it looks at.
#[derive(Debug)]
struct Named(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Named {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let _outside = SUBJECT.try_with(|subject| {
            let read = Certificate::read(end_entity);
            let named = read.map_or_else(|| "somebody".to_owned(), |read| read.subject);
            subject.set(named)
        });
        self.0.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// A handshake with a client; an error names the certificate that it shows.
pub(super) async fn naming<T>(
    handshake: impl Future<Output = io::Result<T>>,
) -> Result<T, TlsError> {
    let subject = Arc::new(OnceLock::new());
    let shaken = SUBJECT.scope(Arc::clone(&subject), handshake).await;
    shaken.map_err(|error| TlsError::of_client(&error, subject.get().map(String::as_str)))
}
