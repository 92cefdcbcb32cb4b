//! Release directories become signed releases: the same directory always gives the same
//! bytes, so the same id. Content is hashed when read and checked again when written, so
//! a file that changes in between is an error and never a wrong release.

mod contents;
mod directory;
mod hoist_file;
mod pack;
mod scripts;
mod written;

pub use directory::read_release_dir;
pub use hoist_file::{HoistFile, write_hoist};
pub use pack::{PackedArtifact, PackedRelease};

use std::io;
use std::path::{Path, PathBuf};

use hoist_protocol::bundle::BundleError;
use hoist_protocol::code::Code;
use hoist_protocol::envelope::OpenError;
use hoist_protocol::status::ScriptKind;

use super::program::NoStart;
use super::strict_toml::TomlError;

/// Why a directory or file is not a release.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Neither `release.toml` nor `artifact.toml` is there.
    #[error("{} has neither a release.toml nor an artifact.toml", path.display())]
    NoRelease {
        /// The directory.
        path: PathBuf,
    },
    /// The text does not fit; names line and remedy.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A requirement that no version could meet (`E_REQUIREMENT`); names file, line and the
    /// allowed forms.
    #[error(transparent)]
    Requirement(TomlError),
    /// A script that every artifact must have is missing (`E_RELEASE_INVALID`).
    #[error("artifact {artifact} has no scripts/{}: every artifact needs a way in and a way back", kind.word())]
    MissingScript {
        /// The artifact.
        artifact: String,
        /// The script.
        kind: ScriptKind,
    },
    /// A script that may not be executed (`E_SCRIPT`).
    #[error("{} is not executable: run `chmod +x {}`", path.display(), path.display())]
    NotExecutable {
        /// The script.
        path: PathBuf,
    },
    /// A script that no device could start (`E_SCRIPT`).
    #[error("{} {cause}: {}", path.display(), cause.fix(path))]
    NoStart {
        /// The script.
        path: PathBuf,
        /// Why.
        cause: NoStart,
    },
    /// A file in `scripts/` that is none of the known ones.
    #[error("{} is no script Hoist knows: pre-install, install, post-install, verify, rollback", path.display())]
    UnknownScript {
        /// The file.
        path: PathBuf,
    },
    /// A payload path leads outside or is malformed (`E_ARCHIVE`).
    #[error("payload {target:?} is not a plain relative path inside the artifact's folder")]
    BadPath {
        /// As written.
        target: String,
    },
    /// Two payloads that cannot both be files everywhere (`E_ARCHIVE`, bad-inputs row 52).
    #[error(
        "payloads {first:?} and {second:?} of artifact {artifact} collide: they differ only in case, or one is the folder of the other"
    )]
    Collision {
        /// The artifact.
        artifact: String,
        /// One target.
        first: String,
        /// The other.
        second: String,
    },
    /// Something else than a regular file (`E_ARCHIVE`).
    #[error("{} is not a regular file: links, folders and devices are not packed", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A mode that no payload may have (`E_ARCHIVE`).
    #[error("{} would arrive with mode {mode}: only the bits of 0777 travel, its owner must be able to read it, and setuid, setgid and sticky are for the install script to set; run `chmod`, or name another in artifact.toml, like mode = {{ \"payload/app\" = \"0755\" }}", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// As found or written.
        mode: String,
    },
    /// The content of the files together is out of the format's bounds (`E_RELEASE_INVALID`).
    #[error("the release is not valid: {what}")]
    Invalid {
        /// The fault.
        what: String,
    },
    /// A file changed between hashing and writing.
    #[error("{} changed while it was packed: pack again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Not a `.hoist` file, or a truncated one.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The release in a `.hoist` file is not signed by a trusted key (`E_SIG`).
    #[error("the release in the file is not to be trusted")]
    Signature(#[source] OpenError),
}

impl PackError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::File { .. } | Self::NoRelease { .. } => Code::Release,
            Self::Toml(_) => Code::Config,
            Self::Requirement(_) => Code::Requirement,
            Self::NotExecutable { .. } | Self::NoStart { .. } => Code::Script,
            Self::MissingScript { .. } | Self::UnknownScript { .. } | Self::Invalid { .. } => {
                Code::ReleaseInvalid
            }
            Self::BadPath { .. }
            | Self::NotAFile { .. }
            | Self::Mode { .. }
            | Self::Collision { .. } => Code::Archive,
            Self::Changed { .. } => Code::Hash,
            Self::Bundle(_) => Code::Archive,
            Self::Signature(error) => error.code(),
        }
    }

    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }
}

#[cfg(test)]
mod tests;
