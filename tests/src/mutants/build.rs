//! Copies the tree with its mistakes, builds it in a target folder of its own, and runs what
//! comes of it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::catalog::Catalog;
use super::{MutantsError, copy};

/// Both programs, so that whoever runs one has built the other.
const PROGRAMS: [&str; 2] = ["simulate", "power_cut"];

/// A copy of the tree in which mistakes can be planted.
pub(super) struct Workshop {
    tree: PathBuf,
    target: PathBuf,
    mistakes: usize,
}

impl Workshop {
    /// Copies the tree, below the target folder.
    ///
    /// # Errors
    /// [`MutantsError`] when a mistake has no place, or a file cannot be read or written.
    pub(super) fn set_up(root: &Path) -> Result<Self, MutantsError> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
        let folder = target.join("mutants");
        let catalog = Catalog::read(root)?;
        let tree = folder.join("tree");
        copy::write(root, &catalog, &tree)?;
        Ok(Self {
            tree,
            target: folder.join("target"),
            mistakes: catalog.mistakes.len(),
        })
    }

    /// The number of mistakes that compile: all of them.
    ///
    /// # Errors
    /// [`MutantsError`] when one does not.
    pub(super) fn check(&self) -> Result<usize, MutantsError> {
        self.cargo(&["check"])?;
        Ok(self.mistakes)
    }

    /// Builds the programs and runs one with the words of this one; its code is ours.
    ///
    /// # Errors
    /// [`MutantsError`] when they cannot be built, or it cannot be run.
    pub(super) fn run(&self, program: &str) -> Result<ExitCode, MutantsError> {
        self.cargo(&["build", "--release"])?;
        let path = self.target.join("release").join(program);
        let status = Command::new(&path).args(env::args_os().skip(1)).status();
        let status = status.map_err(|source| MutantsError::File { path, source })?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }

    /// Runs cargo on the copy; it says on standard error how far it is.
    fn cargo(&self, what: &[&str]) -> Result<(), MutantsError> {
        // What a mistake makes superfluous is no fault of the tree.
        let mut flags = env::var("RUSTFLAGS").unwrap_or_default();
        flags += " --cap-lints=allow";
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(what)
            .args(["--locked", "-p", "hoist-tests"])
            .args(PROGRAMS.iter().flat_map(|program| ["--bin", program]))
            .arg("--manifest-path")
            .arg(self.tree.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&self.target)
            .env("RUSTFLAGS", flags.trim());
        let failed = |why| MutantsError::Command {
            command: format!("cargo {} of {}", what.join(" "), self.tree.display()),
            why,
        };
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(format!("{status}"))),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}
