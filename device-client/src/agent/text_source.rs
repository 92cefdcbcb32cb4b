//! The place where an enrollment text is taken from. The text holds a secret, and everybody on this
//! machine can see the arguments of a program while it runs.

use std::path::PathBuf;

// Nobody enrolls without encryption.
#[cfg(feature = "tls")]
mod reading;

/// The place of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TextSource {
    /// It is an argument itself.
    Argument(String),
    /// The first line of a file.
    File(PathBuf),
    /// The first line of standard input.
    Input,
}
