//! A failure for files that somebody may not look at: they belong to somebody else, and are not
//! missing.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hoist_protocol::code::Code;

use crate::failure::Failure;

/// Where the system says how users are called.
const NAMES: &str = "/etc/passwd";

/// True if the file system does not even say what is there.
pub fn is_denied(path: &Path) -> bool {
    let looked = std::fs::metadata(path);
    looked.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// A path that only its owner may look at, below or in this data directory.
pub fn denied(path: &Path, data_dir: &Path) -> Failure {
    let owner = owner(path);
    let names = std::fs::read_to_string(NAMES).unwrap_or_default();
    let owner = owner.map(|uid| name_of(uid, &names));
    refused(path, data_dir, owner.as_deref())
}

fn refused(path: &Path, data_dir: &Path, owner: Option<&str>) -> Failure {
    let path = path.display();
    let what = format!("this user may not read {path}: permission denied");
    let own = "name a client.toml of your own with --client (`hoist user add` makes one)";
    Failure::new(Code::Config, what).help(match owner {
        Some(owner) => format!(
            "it belongs to {owner}: put `sudo -u {owner}` before the command and --data-dir {} \
             behind it, or {own}",
            data_dir.display()
        ),
        None => own.to_owned(),
    })
}

/// The user whom a path belongs to, or the nearest folder above it that can be seen.
fn owner(path: &Path) -> Option<u32> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let mut seen = whole.ancestors().filter_map(|path| path.metadata().ok());
    seen.next().map(|found| found.uid())
}

/// The name of a user, or else the number as `sudo` reads it.
fn name_of(uid: u32, names: &str) -> String {
    let uid = uid.to_string();
    let mut lines = names
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.get(2) == Some(&uid.as_str()));
    found
        .and_then(|fields| fields.first().map(|name| (*name).to_owned()))
        .unwrap_or_else(|| format!("#{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_told_with_whose_it_is_and_how_to_get_in() {
        let names = "root:x:0:0::/root:/bin/sh\nhoist:x:998:998::/var/lib/hoist:/bin/false\n";
        assert_eq!(name_of(998, names), "hoist");
        assert_eq!(name_of(7, names), "#7");
        let dir = Path::new("/var/lib/hoist");
        let failure = refused(&dir.join("client.toml"), dir, Some("hoist"));
        assert!(
            failure
                .what
                .contains("/var/lib/hoist/client.toml: permission denied")
        );
        let help = failure.help.unwrap();
        assert!(help.contains("`sudo -u hoist`"), "{help}");
        assert!(help.contains("--data-dir /var/lib/hoist"), "{help}");
    }

    #[test]
    fn the_owner_of_what_cannot_be_seen_is_that_of_the_folder_above() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().metadata().unwrap().uid();
        assert_eq!(owner(&dir.path().join("a/b")), Some(own));
        assert!(!is_denied(&dir.path().join("a/b")));
    }
}
