//! The certificate by which a device is let in: its files, which may be exchanged while the agent
//! runs.

use std::path::PathBuf;

use hoist_net::tls::{ClientKey, Pem, TlsError, Trust};
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::DeviceId;

use super::value::is_private;
use super::{ConfigError, Source, read};
use crate::agent::identity::KEY_FILE;

/// The files of a device's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, with those that prove it behind it, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM. Without one the certificate is for the key of the device, which keeps it
    /// up to date by itself.
    pub key: Option<PathBuf>,
}

/// The content of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateTexts {
    certificate: String,
    key: Option<String>,
}

impl CertificateTexts {
    /// A certificate for the device's own key.
    #[must_use]
    pub fn of(certificate: String) -> Self {
        Self {
            certificate,
            key: None,
        }
    }
}

/// A certificate that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// It is none, or not of this device and key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl CertificateFiles {
    /// Where a renewed certificate is kept until it is proven; none of a device that does not renew
    /// it by itself.
    #[must_use]
    pub fn beside(&self) -> Option<Self> {
        let certificate = self.certificate.with_extension("next.pem");
        self.key.is_none().then_some(Self {
            certificate,
            key: None,
        })
    }

    /// The renewed certificate that is not proven yet, if there is one.
    #[must_use]
    pub fn renewed(&self) -> Option<Self> {
        self.beside().filter(|files| files.certificate.exists())
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigError::File`], or [`ConfigError::KeyExposed`] for a key that others can read.
    pub fn read(&self) -> Result<CertificateTexts, ConfigError> {
        let (certificate, _) = read(&self.certificate)?;
        let key = self.key.as_ref().map(|path| {
            let (text, mode) = read(path)?;
            match is_private(mode) {
                true => Ok(text),
                false => Err(ConfigError::KeyExposed { path: path.clone() }),
            }
        });
        Ok(CertificateTexts {
            certificate,
            key: key.transpose()?,
        })
    }

    /// Trust in the same CA that shows the certificate of this device.
    ///
    /// # Errors
    /// `E_CERT` and its siblings.
    pub fn showing(
        &self,
        texts: &CertificateTexts,
        (trust, device): (&Trust, &DeviceId),
        own: &PrivateKey,
    ) -> Result<Trust, TlsError> {
        let name = self.certificate.display().to_string();
        let chain = Pem {
            name: &name,
            text: texts.certificate.as_bytes(),
        };
        let key_name = self.key.as_ref().map(|path| path.display().to_string());
        let key = key_name.as_deref().zip(texts.key.as_deref());
        let seed = own.seed();
        let key = match key {
            None => ClientKey::Ed25519(KEY_FILE, &seed),
            Some((name, text)) => ClientKey::Pem(Pem {
                name,
                text: text.as_bytes(),
            }),
        };
        trust.showing(chain, key, device.as_str())
    }
}

impl Source<'_> {
    /// The certificate that the broker is shown. What is in the files is looked at when it is.
    pub(super) fn certificate(
        &self,
        (certificate, key): (&Option<PathBuf>, &Option<PathBuf>),
        trust: &Trust,
    ) -> Result<Option<CertificateFiles>, ConfigError> {
        let Some(certificate) = certificate else {
            return match key {
                None => Ok(None),
                Some(_) => Err(self.refuse(
                    "client_key",
                    "client_key belongs to a certificate, and client_cert is not set: name both"
                        .into(),
                )),
            };
        };
        if trust.is_none() {
            let detail = "client_cert is shown by TLS alone: write mqtts:// in broker, with the `ca` of the server";
            return Err(self.refuse("client_cert", detail.into()));
        }
        let files = CertificateFiles {
            certificate: self.folder().join(certificate),
            key: key.as_ref().map(|key| self.folder().join(key)),
        };
        files.read()?;
        Ok(Some(files))
    }
}
