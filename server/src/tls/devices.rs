//! A server's CA of devices: made once, and the certificates that it makes for their keys. Only the
//! server believes it, so that nothing it makes can be taken for a server's.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use hoist_broker_config::credentials::{SERIAL_BYTES, serial_of};
use hoist_protocol::code::Code;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{DeviceId, sha256};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm,
};

use super::authority::{CA_LIFE, DAY};
use super::ca::{Ca, CaFiles, not_made, unusable};
use crate::failure::Failure;
use crate::private_file;

/// The life of a device's certificate, in days.
const LIFE_DAYS: u64 = 90;
/// Digits in the name of a CA that tell it from others.
const NAME_DIGITS: usize = 8;

/// The CA of devices.
pub(crate) struct DeviceAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    note: Note,
}

/// A note that devices have certificates of a CA. It lies beside the folder of that, so that nobody
/// makes another in its place if the folder is lost.
struct Note {
    path: PathBuf,
    is_there: AtomicBool,
}

impl Note {
    fn of(folder: &Path) -> Self {
        let path = folder.with_extension("enrolled");
        Self {
            is_there: path.exists().into(),
            path,
        }
    }

    /// Notes that devices have certificates of the CA of this name.
    fn write(&self, ca: &str) -> Result<(), Failure> {
        if !self.is_there.load(Ordering::Relaxed) {
            let text = format!("devices have certificates of {ca}\n");
            private_file::write(&self.path, text.as_bytes()).map_err(|error| unusable(&error))?;
            self.is_there.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Refuses another CA in the place of one whose certificates devices have.
    fn refuse_another(&self, files: &CaFiles) -> Result<(), Failure> {
        if !self.is_there.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let what = format!("{certificate} and its key are missing, and devices come in by them");
        Err(Failure::new(Code::Recover, what).help(format!(
            "put {key} and {certificate} back from a backup; or, for a new CA, remove {} and start \
             again: every device that has enrolled then has to enroll anew",
            self.path.display()
        )))
    }
}

impl DeviceAuthority {
    /// Reads the CA in a folder, or makes it.
    ///
    /// # Errors
    /// `E_RECOVER` for one that is gone and that devices come in by, or a key that is none,
    /// `E_SECRET`, `E_DATA_DIR`.
    pub(crate) fn open(folder: &Path, now: SystemTime) -> Result<Self, Failure> {
        let (files, note) = (CaFiles::of(folder, "devices"), Note::of(folder));
        files.ensure(|| note.refuse_another(&files), |key| of_ca(key, now))?;
        let Ca { pem, key } = files.read()?;
        let issuer = Issuer::new(of_ca(&key, now), key);
        Ok(Self { issuer, pem, note })
    }

    /// Its certificate, as PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for an issue of a device, whose key this is: DER.
    ///
    /// # Errors
    /// `E_RANDOM`, `E_DATA_DIR`.
    pub(crate) fn certify(
        &self,
        device: &DeviceId,
        (issue, key): (u32, &PublicKey),
        now: SystemTime,
    ) -> Result<Vec<u8>, Failure> {
        self.note.write(&name_of(self.issuer.key()))?;
        let mut random = [0; SERIAL_BYTES - 5];
        getrandom::fill(&mut random).map_err(|error| {
            let what = format!("no certificate can be made: {error}");
            Failure::new(Code::Random, what)
        })?;
        let serial = serial_of(issue, random);
        let mut params = CertificateParams::default();
        params.distinguished_name = named(device.as_str());
        params.serial_number = Some(SerialNumber::from(serial.to_vec()));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        // A device whose clock is behind does not look at it; the server's may be set back.
        params.not_before = (now - DAY).into();
        params.not_after = (now + DAY * u32::try_from(LIFE_DAYS).unwrap_or(1)).into();
        let certificate = params.signed_by(&DeviceKey(key), &self.issuer);
        let certificate = certificate.map_err(|error| not_made(&error))?;
        Ok(certificate.der().to_vec())
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// The name of the CA of a key, of which no other one is called the same by accident.
fn name_of(key: &KeyPair) -> String {
    let hash = data_encoding::HEXLOWER.encode(&sha256(key.der_bytes()));
    format!("Hoist device CA {}", &hash[..NAME_DIGITS])
}

fn of_ca(key: &KeyPair, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&name_of(key));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - DAY).into();
    params.not_after = (now + CA_LIFE).into();
    params
}

/// The public key of a device, as a certificate has it.
struct DeviceKey<'a>(&'a PublicKey);

impl PublicKeyData for DeviceKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.0.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

#[cfg(test)]
mod tests {
    use hoist_broker_config::credentials::issue_of;
    use hoist_net::tls::{Pem, certificates};
    use hoist_protocol::envelope::PrivateKey;

    use super::*;

    #[test]
    fn a_certificate_says_which_device_it_is_of_and_ends_after_ninety_days() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("tls");
        let now = SystemTime::now();
        let made = DeviceAuthority::open(&folder, now).unwrap();
        let again = DeviceAuthority::open(&folder, now).unwrap();
        assert_eq!(made.pem(), again.pem());
        assert!(!private_file::others_can_read(&folder.join("devices.key")));
        let key = PrivateKey::from_seed(&[1; 32]).public();
        let device = "dev-01".parse().unwrap();
        let der = again.certify(&device, (3, &key), now).unwrap();
        let certificate = hoist_net::tls::Certificate::read(&der).unwrap();
        let ca = Pem {
            name: "ca",
            text: made.pem().as_bytes(),
        };
        let ca = certificates(ca).unwrap().remove(0);
        assert_eq!(certificate.subject, "dev-01");
        assert_eq!(certificate.issuer, ca.subject);
        assert!(ca.subject.starts_with("Hoist device CA ") && ca.is_ca);
        assert_eq!(issue_of(&certificate.serial), Some(3));
        let life = certificate.not_after - certificate.not_before;
        assert_eq!(life, (LIFE_DAYS + 1) * 24 * 3_600);
    }

    #[test]
    fn a_ca_without_its_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("tls");
        DeviceAuthority::open(&folder, SystemTime::now()).unwrap();
        std::fs::remove_file(folder.join("devices.key")).unwrap();
        let failure = DeviceAuthority::open(&folder, SystemTime::now()).err();
        assert_eq!(failure.unwrap().code, "E_DATA_DIR");
    }

    #[test]
    fn a_ca_that_devices_come_in_by_is_replaced_by_none_and_its_certificate_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("tls");
        let open = || DeviceAuthority::open(&folder, SystemTime::now());
        let name = |authority: &DeviceAuthority| name_of(authority.issuer.key());
        let first = name(&open().unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
        let made = open().unwrap();
        assert_ne!(name(&made), first, "nobody has enrolled");
        let key = PrivateKey::from_seed(&[1; 32]).public();
        let device = "dev-01".parse().unwrap();
        made.certify(&device, (1, &key), SystemTime::now()).unwrap();
        // What its key has certified stays good.
        std::fs::remove_file(folder.join("devices.pem")).unwrap();
        let again = open().unwrap();
        assert_eq!(name(&again), name(&made));
        assert!(again.pem().contains("BEGIN CERTIFICATE"));
        std::fs::remove_dir_all(&folder).unwrap();
        let failure = open().err().unwrap();
        assert_eq!(failure.code, "E_RECOVER", "{failure}");
        assert!(!folder.exists());
        std::fs::remove_file(dir.path().join("tls.enrolled")).unwrap();
        assert!(open().is_ok());
    }
}
