//! The files of a CA of the server: its key and its certificate, made once. A key is never replaced:
//! whatever it has certified stays good, and a certificate that is lost is made anew for it.

use std::path::{Path, PathBuf};

use hoist_protocol::code::Code;
use rcgen::{CertificateParams, KeyPair};

use crate::failure::Failure;
use crate::private_file;

/// Where a CA is.
pub(super) struct CaFiles {
    /// Its certificate.
    pub(super) certificate: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
}

/// A CA as it is in its files.
pub(super) struct Ca {
    /// Its certificate, as PEM.
    pub(super) pem: String,
    /// Its key.
    pub(super) key: KeyPair,
}

impl CaFiles {
    /// The CA of a name in a folder.
    pub(super) fn of(folder: &Path, name: &str) -> Self {
        Self {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        }
    }

    /// Makes what is missing; a key only where `may_be_made` says that nobody believes another one.
    ///
    /// # Errors
    /// Those of `may_be_made`, `E_RECOVER` for a key that is none, `E_RANDOM`, `E_SECRET`,
    /// `E_DATA_DIR`.
    pub(super) fn ensure(
        &self,
        may_be_made: impl FnOnce() -> Result<(), Failure>,
        of: impl FnOnce(&KeyPair) -> CertificateParams,
    ) -> Result<(), Failure> {
        if self.certificate.exists() {
            return Ok(());
        }
        if !self.key.exists() {
            may_be_made()?;
            if let Some(folder) = self.key.parent() {
                private_file::create_dir(folder).map_err(|error| unusable(&error))?;
            }
            let key = KeyPair::generate().map_err(|error| not_made(&error))?;
            written(&self.key, &key.serialize_pem())?;
        }
        let key = self.key()?;
        let certificate = of(&key).self_signed(&key);
        let certificate = certificate.map_err(|error| not_made(&error))?;
        // The certificate last: with it, the CA is there.
        written(&self.certificate, &certificate.pem())?;
        tracing::info!(certificate = %self.certificate.display(), "a CA was made");
        Ok(())
    }

    /// Reads both files.
    ///
    /// # Errors
    /// `E_RECOVER` for a key that is none, `E_SECRET`, `E_DATA_DIR`.
    pub(super) fn read(&self) -> Result<Ca, Failure> {
        Ok(Ca {
            pem: read(&self.certificate)?,
            key: self.key()?,
        })
    }

    fn key(&self) -> Result<KeyPair, Failure> {
        KeyPair::from_pem(&read(&self.key)?).map_err(|error| {
            let what = format!("{} is no key", self.key.display());
            Failure::because(Code::Recover, what, &error).help("put it back from a backup")
        })
    }
}

fn written(path: &Path, text: &str) -> Result<(), Failure> {
    private_file::write(path, text.as_bytes()).map_err(|error| unusable(&error))
}

pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let bytes = private_file::read(path).map_err(|error| unusable(&error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn unusable(error: &private_file::PrivateFileError) -> Failure {
    let code = match error {
        private_file::PrivateFileError::Exposed { .. } => Code::Secret,
        private_file::PrivateFileError::Io { .. } => Code::DataDir,
    };
    Failure::because(code, "the server's own CA", error).help(code.hint())
}

pub(super) fn not_made(error: &rcgen::Error) -> Failure {
    Failure::because(Code::Random, "no certificate can be made", error)
}
