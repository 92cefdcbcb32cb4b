//! The copy of the tree in which mistakes can be planted. What is the same as before is not
//! written again, so that a second build has little to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::MutantsError;
use super::catalog::Catalog;

/// The part of the copy that every crate can ask.
const PLANTED: (&str, &str) = (
    "protocol/src/planted.rs",
    "//! Which mistake is planted.

use core::sync::atomic::{AtomicUsize, Ordering};

static PLANTED: AtomicUsize = AtomicUsize::new(0);

/// Plants the mistake with this number, and no other; 0 plants none.
pub fn plant(place: usize) {
    PLANTED.store(place, Ordering::Relaxed);
}

/// True if this one is planted.
#[must_use]
pub fn is(place: usize) -> bool {
    PLANTED.load(Ordering::Relaxed) == place
}
",
);
/// Makes it known, in its own crate by the same name as elsewhere.
const ASKED: (&str, &str) = (
    "protocol/src/lib.rs",
    "\npub mod planted;\nextern crate self as hoist_protocol;\n",
);
/// The list of what this build can plant.
const TABLE: &str = "tests/src/mutants/switch.rs";

/// Makes a folder be the tree with a switch for every mistake.
///
/// # Errors
/// [`MutantsError`] when a mistake has no place, or a file cannot be read or written.
pub(super) fn write(root: &Path, catalog: &Catalog, to: &Path) -> Result<(), MutantsError> {
    let mut kept = BTreeSet::new();
    let switched = catalog.files();
    for file in tracked(root)? {
        let path = root.join(&file);
        // Removed, and not yet from the index.
        if !path.exists() {
            continue;
        }
        let content = match file.as_str() {
            TABLE => catalog.table().into_bytes(),
            name if switched.contains(name) => catalog.switched(root, name)?.into_bytes(),
            _ => fs::read(&path).map_err(|source| MutantsError::File { path, source })?,
        };
        let more = if file == ASKED.0 { ASKED.1 } else { "" };
        put(&to.join(&file), &[&content, more.as_bytes()].concat())?;
        kept.insert(to.join(file));
    }
    put(&to.join(PLANTED.0), PLANTED.1.as_bytes())?;
    kept.insert(to.join(PLANTED.0));
    remove_others(to, &kept)
}

/// The files of the tree that are tracked, or would be.
fn tracked(root: &Path) -> Result<Vec<String>, MutantsError> {
    let words = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let failed = |why: String| MutantsError::Command {
        command: format!("git {}", words.join(" ")),
        why,
    };
    let git = Command::new("git").args(words).current_dir(root).output();
    let git = git.map_err(|error| failed(error.to_string()))?;
    if !git.status.success() {
        let said = String::from_utf8_lossy(&git.stderr);
        return Err(failed(format!(
            "{} (the copy is made of what git tracks)",
            said.trim()
        )));
    }
    let listed = String::from_utf8(git.stdout).map_err(|error| failed(error.to_string()))?;
    let names = listed.split('\0').filter(|name| !name.is_empty());
    Ok(names.map(str::to_owned).collect())
}

fn put(path: &Path, content: &[u8]) -> Result<(), MutantsError> {
    if fs::read(path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, content));
    written.map_err(|source| MutantsError::File {
        path: path.to_path_buf(),
        source,
    })
}

/// Removes what the tree has no more: it could still be compiled.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<(), MutantsError> {
    let failed = |source| MutantsError::File {
        path: folder.to_path_buf(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(root: &Path, words: &[&str]) {
        let status = Command::new("git").args(words).current_dir(root).status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn a_second_copy_writes_only_what_has_changed() {
        let root = tempfile::tempdir().unwrap();
        let copy = root.path().join("target/tree");
        git(root.path(), &["init", "--quiet"]);
        let put = |name: &str, text: &str| put(&root.path().join(name), text.as_bytes()).unwrap();
        put(".gitignore", "/target\n");
        put("protocol/src/lib.rs", "pub mod id;\n");
        put("protocol/src/id.rs", "pub struct Id;\n");
        put("old.rs", "");
        let none = Catalog {
            mistakes: Vec::new(),
        };
        write(root.path(), &none, &copy).unwrap();
        let lib = fs::read_to_string(copy.join("protocol/src/lib.rs")).unwrap();
        assert!(
            lib.starts_with("pub mod id;\n\npub mod planted;\n"),
            "{lib}"
        );

        let modified = |name: &str| fs::metadata(copy.join(name)).unwrap().modified().unwrap();
        let names = ["protocol/src/lib.rs", "protocol/src/planted.rs"];
        let before = names.map(modified);
        put("protocol/src/id.rs", "pub struct Id(u8);\n");
        fs::remove_file(root.path().join("old.rs")).unwrap();
        write(root.path(), &none, &copy).unwrap();
        assert_eq!(names.map(modified), before);
        let id = fs::read_to_string(copy.join("protocol/src/id.rs")).unwrap();
        assert_eq!(id, "pub struct Id(u8);\n");
        assert!(!copy.join("old.rs").exists());
    }
}
