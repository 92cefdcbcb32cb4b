//! Certificates and keys as people keep them: PEM, from a file or written in a configuration.

use hoist_protocol::code::Code;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Certificate, ClientKey, Pem, TlsError};

/// The bytes of an Ed25519 key in PKCS #8 before its seed (RFC 8410, section 7).
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

impl Pem<'_> {
    /// The Unix time at which the first of its certificates ends; none when there is no certificate.
    #[must_use]
    pub fn ends(self) -> Option<u64> {
        let all = self.certificates().ok()?;
        let ends = all.iter().filter_map(|der| Certificate::read(der));
        ends.map(|certificate| certificate.not_after).min()
    }

    /// Every certificate in it, in its order.
    ///
    /// # Errors
    /// `E_CERT` for none, or for what is not PEM.
    pub(super) fn certificates(self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let name = self.name;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.text).collect();
        let found = found.map_err(|error| {
            let said = format!("{name} is damaged ({error})");
            TlsError::new(Code::Certificate, said).with_help("write it anew")
        })?;
        if found.is_empty() {
            let said = format!("there is no certificate in {name}");
            return Err(TlsError::new(Code::Certificate, said).with_help(
                "it must have `-----BEGIN CERTIFICATE-----` in it (DER becomes PEM by `openssl x509 -inform der`)",
            ));
        }
        Ok(found)
    }

    /// The first private key in it.
    ///
    /// # Errors
    /// `E_CERT_KEY` for none, or one that is encrypted.
    pub(super) fn key(self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let name = self.name;
        let is_encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
            .iter()
            .any(|mark| self.text.windows(mark.len()).any(|part| part == *mark));
        if is_encrypted {
            let said =
                format!("the key in {name} is encrypted, and nobody is there to type its password");
            return Err(TlsError::new(Code::CertificateKey, said).with_help(format!(
                "`openssl pkey -in {name}` writes it without one, for a file of mode 0600"
            )));
        }
        PrivateKeyDer::from_pem_slice(self.text).map_err(|_| {
            let said = format!("there is no private key in {name}");
            TlsError::new(Code::CertificateKey, said)
                .with_help("it must have `-----BEGIN PRIVATE KEY-----` in it")
        })
    }
}

impl ClientKey<'_> {
    pub(super) fn key(self) -> Result<PrivateKeyDer<'static>, TlsError> {
        match self {
            Self::Pem(pem) => pem.key(),
            Self::Ed25519(_, seed) => {
                let der = [&ED25519_PKCS8[..], seed].concat();
                Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)))
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Pem(pem) => pem.name,
            Self::Ed25519(name, _) => name,
        }
    }
}

/// The statements of every certificate in a text, in its order.
///
/// # Errors
/// `E_CERT` for none, or for what is no certificate.
pub fn certificates(pem: Pem<'_>) -> Result<Vec<Certificate>, TlsError> {
    let all = pem.certificates()?;
    let read: Option<Vec<_>> = all.iter().map(|der| Certificate::read(der)).collect();
    read.ok_or_else(|| {
        let said = format!("a certificate in {} is malformed", pem.name);
        TlsError::new(Code::Certificate, said).with_help("write it anew")
    })
}

/// Every certificate in a text as DER, in its order.
///
/// # Errors
/// `E_CERT` for none, or for what is not PEM.
pub fn ders(pem: Pem<'_>) -> Result<Vec<Vec<u8>>, TlsError> {
    let all = pem.certificates()?;
    Ok(all.iter().map(|der| der.to_vec()).collect())
}
