//! The device's own key: made once at first start, never leaves the state directory.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hoist_protocol::envelope::PrivateKey;

use super::files::{PRIVATE_FILE, SystemFiles, create_private_dir, no_follow, write_atomic};

/// File name of the key's 32-byte seed in the state directory.
pub const KEY_FILE: &str = "device.key";

/// Why there is no device key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system refused.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Others could have read the key.
    #[error("{} is readable by others: run `chmod 600 {}`, and replace the key if others had access", path.display(), path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
    },
    /// The file is not a seed. A new key would be another identity, so none is made.
    #[error("{} is not a device key of 32 bytes: restore it, or remove it to get a new identity that an operator must approve", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
    },
    /// The system gave no randomness.
    #[error("no random bytes for a device key: {detail}")]
    Randomness {
        /// The error of the system.
        detail: String,
    },
}

/// Loads the device's key, or makes it at first start (0600, in a 0700 folder).
///
/// # Errors
/// [`IdentityError`]; an existing file that is damaged is never replaced.
pub fn load_or_create_key(state_dir: &Path) -> Result<PrivateKey, IdentityError> {
    create_private_dir(state_dir).map_err(failed(state_dir))?;
    match load_key(state_dir)? {
        Some(key) => Ok(key),
        None => create_key(&state_dir.join(KEY_FILE)),
    }
}

/// The device's key, if it was made.
///
/// # Errors
/// [`IdentityError`].
pub fn load_key(state_dir: &Path) -> Result<Option<PrivateKey>, IdentityError> {
    let path = state_dir.join(KEY_FILE);
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(no_follow())
        .open(&path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&path)(error)),
    };
    let mode = file.metadata().map_err(failed(&path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(IdentityError::Exposed { path });
    }
    let mut seed = Vec::with_capacity(33);
    // One byte more than a seed shows a file that is too long.
    file.by_ref()
        .take(33)
        .read_to_end(&mut seed)
        .map_err(failed(&path))?;
    let seed: [u8; 32] = seed
        .try_into()
        .map_err(|_| IdentityError::Malformed { path })?;
    Ok(Some(PrivateKey::from_seed(&seed)))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_path_buf();
    move |source| IdentityError::File { path, source }
}

fn create_key(path: &Path) -> Result<PrivateKey, IdentityError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| IdentityError::Randomness {
        detail: error.to_string(),
    })?;
    write_atomic(&SystemFiles, path, &seed, PRIVATE_FILE).map_err(|source| {
        IdentityError::File {
            path: path.to_path_buf(),
            source,
        }
    })?;
    Ok(PrivateKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_key_is_made_once_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let first = load_or_create_key(&state).unwrap().public();
        assert_eq!(load_or_create_key(&state).unwrap().public(), first);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.join(KEY_FILE)), 0o600);
        assert_eq!(mode(&state), 0o700);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        // bad-inputs row 70
        let dir = tempfile::tempdir().unwrap();
        load_or_create_key(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = load_or_create_key(dir.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_damaged_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        write_atomic(
            &SystemFiles,
            &dir.path().join(KEY_FILE),
            b"short",
            PRIVATE_FILE,
        )
        .unwrap();
        assert!(matches!(
            load_or_create_key(dir.path()),
            Err(IdentityError::Malformed { .. })
        ));
        assert_eq!(fs::read(dir.path().join(KEY_FILE)).unwrap(), b"short");
    }
}
