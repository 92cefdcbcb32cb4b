//! Key files. A private key is 64 hex digits of its Ed25519 seed, or PKCS#8 as PEM, and its owner's
//! alone; a public one is PEM: as hex it would look like a private one.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use hoist_protocol::envelope::{PrivateKey, PublicKey};

use super::KeysError;
use crate::private_file::{self, PrivateFileError};

/// Bytes of every secret: an Ed25519 seed, or the token key.
pub(super) const SEED_BYTES: usize = 32;

/// Writes a secret for its owner only.
pub(super) fn write_seed(path: &Path, seed: &[u8; SEED_BYTES]) -> Result<(), KeysError> {
    let text = data_encoding::HEXLOWER.encode(seed) + "\n";
    Ok(private_file::write(path, text.as_bytes())?)
}

/// Reads one secret; one that others can read is refused.
pub fn read_seed(path: &Path) -> Result<[u8; SEED_BYTES], KeysError> {
    let text = private_file::read(path)?;
    let path = || path.to_owned();
    let text = str::from_utf8(&text).map_err(|_| KeysError::Malformed { path: path() })?;
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return Err(KeysError::Encrypted { path: path() });
    }
    let seed = match text.contains("-----BEGIN") {
        true => KeypairBytes::from_pkcs8_pem(text.trim())
            .ok()
            .map(|pair| pair.secret_key),
        false => of_hex(text),
    };
    seed.ok_or_else(|| KeysError::Malformed { path: path() })
}

/// Reads a private key.
pub fn read_signing_key(path: &Path) -> Result<PrivateKey, KeysError> {
    Ok(PrivateKey::from_seed(&read_seed(path)?))
}

/// Reads the public key in a file: its own, or that of the private key that is in it. Nothing is
/// guessed of bare hex digits: by a public key that was taken for a seed anybody could sign, and a
/// seed that was taken for a public key would be published.
pub fn read_public(path: &Path) -> Result<PublicKey, KeysError> {
    let text = private_file::read_named(path).map_err(PrivateFileError::io("read", path))?;
    if text.contains("PRIVATE KEY") {
        return Ok(read_signing_key(path)?.public());
    }
    let key = match text.contains("-----BEGIN") {
        true => VerifyingKey::from_public_key_pem(text.trim())
            .ok()
            .map(|key| PublicKey(key.to_bytes())),
        false if of_hex(&text).is_some() => {
            let path = path.to_owned();
            return Err(KeysError::Ambiguous { path });
        }
        false => None,
    };
    key.filter(PublicKey::is_sound)
        .ok_or_else(|| KeysError::Malformed {
            path: path.to_owned(),
        })
}

/// A private key as PKCS#8.
#[must_use]
pub fn private_pem(seed: &[u8; SEED_BYTES]) -> String {
    let pair = KeypairBytes {
        secret_key: *seed,
        // Without it: not everything reads the newer form.
        public_key: None,
    };
    // Bytes of a known length always encode.
    let pem = pair.to_pkcs8_pem(LineEnding::LF);
    pem.map(|pem| pem.as_str().to_owned()).unwrap_or_default()
}

/// A public key as SubjectPublicKeyInfo.
#[must_use]
pub fn public_pem(key: &PublicKey) -> String {
    let key = VerifyingKey::from_bytes(&key.0).ok();
    let pem = key.and_then(|key| key.to_public_key_pem(LineEnding::LF).ok());
    // Keys of a root document that verifies are points of the curve.
    pem.unwrap_or_default()
}

fn of_hex(text: &str) -> Option<[u8; SEED_BYTES]> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes());
    bytes.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SEED: [u8; SEED_BYTES] = [7; SEED_BYTES];

    fn written(dir: &Path, name: &str, text: &str, mode: u32) -> std::path::PathBuf {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_key_is_read_from_hex_and_from_pem_with_any_line_ends() {
        let dir = tempfile::tempdir().unwrap();
        let public = PrivateKey::from_seed(&SEED).public();
        let pem = private_pem(&SEED);
        for text in [
            data_encoding::HEXLOWER.encode(&SEED),
            pem.clone(),
            pem.replace('\n', "\r\n"),
        ] {
            let path = written(dir.path(), "key", &text, 0o600);
            assert_eq!(read_seed(&path).unwrap(), SEED, "{text}");
        }
        for (text, mode) in [(pem, 0o600), (public_pem(&public), 0o644)] {
            let path = written(dir.path(), "public", &text, mode);
            assert_eq!(read_public(&path).unwrap(), public, "{text}");
        }
    }

    #[test]
    fn hex_digits_that_may_be_a_private_or_a_public_key_are_neither() {
        let dir = tempfile::tempdir().unwrap();
        let public = PrivateKey::from_seed(&SEED).public();
        for digits in [SEED, public.0] {
            for mode in [0o600, 0o644] {
                let text = data_encoding::HEXLOWER.encode(&digits);
                let path = written(dir.path(), "key", &text, mode);
                let refused = read_public(&path).unwrap_err();
                assert!(matches!(refused, KeysError::Ambiguous { .. }), "{refused}");
            }
        }
    }

    #[test]
    fn an_open_an_encrypted_and_a_foreign_key_are_refused_each_by_its_reason() {
        // bad-inputs row 70
        let dir = tempfile::tempdir().unwrap();
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4=\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (text, mode, code) in [
            (
                private_pem(&SEED),
                0o644,
                hoist_protocol::code::Code::Secret,
            ),
            (encrypted.to_owned(), 0o600, hoist_protocol::code::Code::Key),
            (
                "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n".to_owned(),
                0o600,
                hoist_protocol::code::Code::Key,
            ),
            ("hello".to_owned(), 0o600, hoist_protocol::code::Code::Key),
        ] {
            let path = written(dir.path(), "key", &text, mode);
            let refused = read_signing_key(&path).unwrap_err();
            assert_eq!(refused.code(), code, "{refused}");
        }
        let path = written(dir.path(), "key", encrypted, 0o600);
        let refused = read_signing_key(&path).unwrap_err().to_string();
        assert!(refused.contains("encrypted"), "{refused}");
    }
}
