//! The time by which a client judges certificates. The clock of a device may be wrong, and what it
//! was told of the time may be a lie.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hoist_protocol::code::Code;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{Certificate, Time, TlsError, provider};

/// The time that was set and what has passed since, or the system's.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// With the moment at which that was.
    set: Mutex<Option<(Time, Instant)>>,
}

impl Clock {
    pub(super) fn set(&self, time: Time) {
        let set = Some((time, Instant::now()));
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = set;
    }

    fn read(&self) -> Option<(Time, Instant)> {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let set = self.read().map(|(time, at)| {
            let since = Duration::from_secs(time.unix_s());
            UnixTime::since_unix_epoch(since.saturating_add(at.elapsed()))
        });
        Some(set.unwrap_or_else(UnixTime::now))
    }
}

/// Verifies what a server shows. Where only the least that it can be is known of the time, a
/// certificate that begins later is no certificate from the future.
#[derive(Debug)]
pub(super) struct ByTime {
    inner: Arc<WebPkiServerVerifier>,
    clock: Arc<Clock>,
}

impl ByTime {
    pub(super) fn new(
        roots: &Arc<RootCertStore>,
        clock: &Arc<Clock>,
    ) -> Result<Arc<Self>, TlsError> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider());
        let inner = builder.build().map_err(|error| {
            let said = format!("the CA of the server cannot be used: {error}");
            TlsError::new(Code::Certificate, said)
        })?;
        let clock = Arc::clone(clock);
        Ok(Arc::new(Self { inner, clock }))
    }
}

impl ServerCertVerifier for ByTime {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut at_s = now.as_secs();
        if let Some((Time::AtLeast(_), _)) = self.clock.read() {
            let chain = std::iter::once(end_entity).chain(intermediates);
            let begins = chain
                .filter_map(|der| Certificate::read(der))
                .map(|read| read.not_before);
            at_s = begins.fold(at_s, u64::max);
        }
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
