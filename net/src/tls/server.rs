//! The server's side: the certificate that it shows, exchanged while it runs, and its handshakes.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use hoist_protocol::code::Code;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{
    ClientHello, ParsedCertificate, ResolvesServerCert, ServerSessionMemoryCache,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificate::{Certificate, date};
use super::clients::naming;
use super::{Pem, TlsError, certificate_pem, provider};
use crate::stream::Stream;

pub use super::clients::{AuthorityId, ClientAuthorities, Maker, Presented};

/// The first byte of every TLS connection: a record of the handshake.
pub const HANDSHAKE: u8 = 22;
/// An alert of TLS, "unexpected message": for whoever speaks something else.
pub const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 10];
/// Sessions that are kept to be resumed, about 1 KiB each: all of 10 000 connections, and some that
/// are away. The oldest make room.
const SESSIONS: usize = 16_384;
/// For the last words to somebody who is refused.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A certificate with its chain and its key.
#[derive(Clone)]
pub struct Identity {
    shown: Arc<CertifiedKey>,
    leaf: Certificate,
    /// The last of the chain, as PEM.
    anchor: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.leaf.subject)
    }
}

impl Identity {
    /// Reads a chain, the server's own certificate first, and the key of that one.
    ///
    /// # Errors
    /// `E_CERT`, `E_CERT_KEY`, `E_CERT_EXPIRED` or `E_CERT_NOT_YET`, naming the file.
    pub fn read(chain: Pem<'_>, key: Pem<'_>, now: SystemTime) -> Result<Self, TlsError> {
        let mut certificates = chain.certificates()?;
        let read = super::certificates(chain)?;
        let leaf = in_order(chain.name, &read)?.clone();
        is_valid(chain.name, &leaf, now)?;
        is_signed(chain.name, &leaf, &certificates, now)?;
        let anchor = certificates
            .last()
            .map(|last| certificate_pem(last))
            .unwrap_or_default();
        // Whoever does not have the root does not believe it either: it would only cost bytes.
        if certificates.len() > 1 && read.last().is_some_and(Certificate::is_own) {
            certificates.pop();
        }
        let private = key.key()?;
        let shown = CertifiedKey::from_der(certificates, private, &provider());
        let shown = shown.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::new(
                Code::CertificateKey,
                format!(
                    "the key in {} does not belong to the certificate of {} in {}",
                    key.name, leaf.subject, chain.name
                ),
            ),
            error => TlsError::new(
                Code::CertificateKey,
                format!("the key in {} cannot be used: {error}", key.name),
            ),
        })?;
        Ok(Self {
            shown: Arc::new(shown),
            leaf,
            anchor,
        })
    }

    /// The statements of the server's own certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.leaf
    }

    /// The last certificate of the chain, as PEM: what clients pin.
    #[must_use]
    pub fn anchor_pem(&self) -> &str {
        &self.anchor
    }
}

/// The server's own certificate, if each is made by the one after it and the last by itself.
fn in_order<'a>(file: &str, chain: &'a [Certificate]) -> Result<&'a Certificate, TlsError> {
    let wrong = |said: String| TlsError::new(Code::Certificate, said);
    let (Some(leaf), Some(last)) = (chain.first(), chain.last()) else {
        return Err(wrong(format!("there is no certificate in {file}")));
    };
    for pair in chain.windows(2) {
        if !pair[0].is_of(&pair[1]) {
            let (one, other) = (&pair[0].subject, &pair[1].subject);
            let said = format!(
                "the certificates in {file} are in the wrong order: that of {one} was made by {}, and the next is that of {other}",
                pair[0].issuer
            );
            return Err(wrong(said)
                .with_help("put the server's own first and behind each the one that made it"));
        }
    }
    if leaf.is_ca {
        let said = format!(
            "the first certificate in {file}, that of {}, is one of a CA, which no client believes of a server",
            leaf.subject
        );
        return Err(wrong(said)
            .with_help("put the server's own first, or let `hoist serve --name NAME` make both"));
    }
    if !last.is_own() {
        let (of, by) = (&last.subject, &last.issuer);
        let said = format!(
            "the chain in {file} ends with the certificate of {of}, and that of {by}, by which it was signed, is missing"
        );
        return Err(wrong(said).with_help(format!(
            "append the certificate of {by}, and so on up to one that signed itself: that one is what devices pin"
        )));
    }
    Ok(leaf)
}

fn is_valid(file: &str, leaf: &Certificate, now: SystemTime) -> Result<(), TlsError> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let subject = &leaf.subject;
    if now > leaf.not_after {
        return Err(TlsError::new(
            Code::CertificateExpired,
            format!(
                "the certificate of {subject} in {file} expired on {}",
                date(leaf.not_after)
            ),
        ));
    }
    if now < leaf.not_before {
        return Err(TlsError::new(
            Code::CertificateNotYet,
            format!(
                "the certificate of {subject} in {file} is not valid before {}, and here it is {}",
                date(leaf.not_before),
                date(now)
            ),
        ));
    }
    Ok(())
}

/// Names are easily alike: what a client checks are signatures.
fn is_signed(
    file: &str,
    leaf: &Certificate,
    chain: &[CertificateDer<'static>],
    now: SystemTime,
) -> Result<(), TlsError> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH);
    let now = UnixTime::since_unix_epoch(now.unwrap_or_default());
    let algorithms = provider().signature_verification_algorithms;
    let verified = || {
        let (own, above) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let mut roots = RootCertStore::empty();
        roots.add(above.last().unwrap_or(own).clone())?;
        let own = ParsedCertificate::try_from(own)?;
        verify_server_cert_signed_by_trust_anchor(&own, &roots, above, now, algorithms.all)
    };
    verified().map_err(|error| {
        let said = format!(
            "no client would believe the certificate of {} in {file}: its chain does not prove it ({error})",
            leaf.subject
        );
        TlsError::new(Code::CertificateIssuer, said)
            .with_help("put the certificates by which it was signed into the file, behind it")
    })
}

/// The certificate that is shown now.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown))
    }
}

/// The oldest version of TLS that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMin {
    /// TLS 1.2, for clients that know nothing newer.
    V1_2,
    /// TLS 1.3, which every agent speaks.
    #[default]
    V1_3,
}

impl TlsMin {
    fn versions(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::V1_2 => vec![&TLS13, &TLS12],
            Self::V1_3 => vec![&TLS13],
        }
    }
}

/// Speaks TLS with whoever comes in. Clones are the same.
#[derive(Clone)]
pub struct Acceptor {
    terms: Arc<RwLock<Terms>>,
    shown: Arc<Shown>,
    min: TlsMin,
}

/// The terms of handshakes, until others are named.
#[derive(Clone)]
struct Terms {
    config: Arc<ServerConfig>,
    clients: Option<ClientAuthorities>,
}

impl Terms {
    fn new(
        shown: &Arc<Shown>,
        min: TlsMin,
        clients: Option<ClientAuthorities>,
    ) -> Result<Self, TlsError> {
        let failed = |error: Error| TlsError::new(Code::Tls, error.to_string());
        let resolver = Arc::clone(shown) as Arc<dyn ResolvesServerCert>;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&min.versions())
            .map_err(failed)?;
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier()?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(resolver);
        // A session that the server keeps is named by 32 bytes; one that the client keeps for it is
        // ten times as long, with the certificate in it, and travels twice with each connection.
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.send_tls13_tickets = 1;
        let config = Arc::new(config);
        Ok(Self { config, clients })
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}

/// A client after its handshake.
pub struct Accepted {
    /// The way to it.
    pub stream: Box<dyn Stream>,
    /// The certificate that it has shown.
    pub presented: Option<Presented>,
}

/// The reason that no TLS came about with a client.
#[derive(Debug)]
pub enum Refused {
    /// It closed without a word.
    Silent,
    /// It speaks something else, on this socket.
    Plain(TcpStream),
    /// The handshake failed: it does not believe the certificate, speaks no version that is spoken
    /// here, or shows a certificate that is not accepted.
    Handshake(TlsError),
}

impl Acceptor {
    /// Shows this certificate, and asks nobody for one.
    ///
    /// # Errors
    /// `E_TLS` without randomness.
    pub fn new(identity: &Identity, min: TlsMin) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(Arc::clone(&identity.shown))));
        Self::of(shown, min, None)
    }

    /// Shows the same certificate, whatever that is, and asks clients for one of theirs, which none
    /// must have. Nobody's session of the one is resumed at the other.
    ///
    /// # Errors
    /// `E_TLS` without randomness, `E_CERT` for CAs that cannot be used.
    pub fn asking(&self, clients: ClientAuthorities) -> Result<Self, TlsError> {
        Self::of(Arc::clone(&self.shown), self.min, Some(clients))
    }

    fn of(
        shown: Arc<Shown>,
        min: TlsMin,
        clients: Option<ClientAuthorities>,
    ) -> Result<Self, TlsError> {
        let terms = Terms::new(&shown, min, clients)?;
        let terms = Arc::new(RwLock::new(terms));
        Ok(Self { terms, shown, min })
    }

    /// Asks clients for certificates of these CAs from now on. Connections that are open stay; no
    /// session of before is resumed, so that a CA that is not among them lets nobody in.
    ///
    /// # Errors
    /// `E_TLS` without randomness, `E_CERT` for CAs that cannot be used: then nothing changes.
    pub fn ask(&self, clients: ClientAuthorities) -> Result<(), TlsError> {
        let next = Terms::new(&self.shown, self.min, Some(clients))?;
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Shows another certificate from now on. Connections that are open stay.
    pub fn show(&self, identity: &Identity) {
        let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Arc::clone(&identity.shown);
    }

    /// Shakes hands, however long the client takes.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn accept(&self, stream: TcpStream) -> Result<Accepted, Refused> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return Err(Refused::Silent),
            Ok(_) if first != [HANDSHAKE] => return Err(Refused::Plain(stream)),
            Ok(_) => {}
        }
        let terms = self
            .terms
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let acceptor = TlsAcceptor::from(terms.config);
        let encrypted = naming(acceptor.accept(stream)).await;
        let encrypted = encrypted.map_err(Refused::Handshake)?;
        let chain = encrypted.get_ref().1.peer_certificates();
        let presented = terms.clients.and_then(|clients| clients.presented(chain));
        Ok(Accepted {
            stream: Box::new(encrypted),
            presented,
        })
    }
}

/// Says something to a client that is refused, and closes.
pub async fn say_last(mut stream: TcpStream, bytes: &[u8]) {
    let last = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(LAST_WORDS, last).await;
}
