//! A server's CA of devices: made once, and the certificates that it makes for their keys. Only the
//! server believes it, so that nothing it makes can be taken for a server's.

use std::path::Path;
use std::time::SystemTime;

use hoist_protocol::code::Code;
use hoist_protocol::id::sha256;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};

use super::authority::{CA_LIFE, DAY, not_made, read, unusable};
use crate::failure::Failure;
use crate::private_file;

/// Digits in the name of a CA that tell it from others.
const NAME_DIGITS: usize = 8;

/// The CA of devices.
pub(crate) struct DeviceAuthority {
    pem: String,
}

impl DeviceAuthority {
    /// Reads the CA in a folder, or makes it.
    ///
    /// # Errors
    /// `E_RECOVER` for a certificate without its key or a key that is none, `E_SECRET`,
    /// `E_DATA_DIR`.
    pub(crate) fn open(folder: &Path, now: SystemTime) -> Result<Self, Failure> {
        let (key_file, ca_file) = (folder.join("devices.key"), folder.join("devices.pem"));
        if !ca_file.exists() {
            private_file::create_dir(folder).map_err(|error| unusable(&error))?;
            let key = KeyPair::generate().map_err(|error| not_made(&error))?;
            let ca = of_ca(&key, now).self_signed(&key);
            let ca = ca.map_err(|error| not_made(&error))?;
            // The certificate last: with it, the CA is there.
            for (path, text) in [(&key_file, key.serialize_pem()), (&ca_file, ca.pem())] {
                private_file::write(path, text.as_bytes()).map_err(|error| unusable(&error))?;
            }
            tracing::info!(folder = %folder.display(), "a CA of devices was made");
        }
        let pem = read(&ca_file)?;
        KeyPair::from_pem(&read(&key_file)?).map_err(|error| {
            let what = format!("{} is no key", key_file.display());
            Failure::because(Code::Recover, what, &error).help("put it back from a backup")
        })?;
        Ok(Self { pem })
    }

    /// Its certificate, as PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// The name is of this key alone: no other CA is called the same by accident.
fn of_ca(key: &KeyPair, now: SystemTime) -> CertificateParams {
    let hash = data_encoding::HEXLOWER.encode(&sha256(key.der_bytes()));
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("Hoist device CA {}", &hash[..NAME_DIGITS]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - DAY).into();
    params.not_after = (now + CA_LIFE).into();
    params
}

#[cfg(test)]
mod tests {
    use hoist_net::tls::{Pem, certificates};

    use super::*;

    #[test]
    fn a_ca_of_devices_is_made_once_and_its_key_is_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("tls");
        let now = SystemTime::now();
        let made = DeviceAuthority::open(&folder, now).unwrap();
        let again = DeviceAuthority::open(&folder, now).unwrap();
        assert_eq!(made.pem(), again.pem());
        assert!(!private_file::others_can_read(&folder.join("devices.key")));
        let text = made.pem().as_bytes();
        let ca = certificates(Pem { name: "ca", text }).unwrap().remove(0);
        assert!(ca.subject.starts_with("Hoist device CA ") && ca.is_ca);
    }

    #[test]
    fn a_ca_without_its_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        DeviceAuthority::open(dir.path(), SystemTime::now()).unwrap();
        std::fs::remove_file(dir.path().join("devices.key")).unwrap();
        let failure = DeviceAuthority::open(dir.path(), SystemTime::now()).err();
        assert_eq!(failure.unwrap().code, "E_DATA_DIR");
    }
}
