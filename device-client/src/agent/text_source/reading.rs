//! The reading of an enrollment text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hoist_protocol::code::Code;

use super::TextSource;
use crate::agent::said;

/// Far more than any text has.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// A text that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the enrollment text from {place}")]
pub(in crate::agent) struct Unread {
    place: String,
    #[source]
    source: io::Error,
}

impl TextSource {
    /// Reads the text, and warns of a file that others can read.
    ///
    /// # Errors
    /// [`Unread`].
    pub(in crate::agent) fn read(self) -> Result<String, Unread> {
        match self {
            Self::Argument(text) => Ok(text),
            Self::File(path) => read_file(&path).map_err(|source| Unread {
                place: path.display().to_string(),
                source,
            }),
            Self::Input => read_input().map_err(|source| Unread {
                place: "standard input".to_owned(),
                source,
            }),
        }
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    // A pipe of the shell, as in `--file <(…)`, is nobody else's.
    if found.is_file() && found.permissions().mode() & 0o077 != 0 {
        let (code, path) = (Code::Exposed, path.display());
        said::say(format_args!(
            "warning[{code}]: {path} holds the secret of a claim, and others can read it: \
             `chmod 600 {path}`"
        ));
    }
    first_line(file)
}

fn read_input() -> io::Result<String> {
    let input = io::stdin();
    if input.is_terminal() {
        said::say("paste the text of `hoist enroll create`, then press Enter");
    }
    first_line(input)
}

/// The first line that is not empty.
fn first_line(reader: impl Read) -> io::Result<String> {
    let mut reader = BufReader::new(reader.take(TEXT_BYTES_MAX));
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if !line.trim().is_empty() {
            break;
        }
        line.clear();
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_first_line_that_is_not_empty() {
        let read = |text: &str| first_line(text.as_bytes()).unwrap();
        assert_eq!(read("hoist-enroll:AQ").trim(), "hoist-enroll:AQ");
        assert_eq!(
            read("\n\r\nhoist-enroll:AQ\r\nmore").trim(),
            "hoist-enroll:AQ"
        );
        assert_eq!(read("\n"), "");
        assert_eq!(first_line(io::repeat(b'a')).unwrap().len(), 64 * 1024);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let refused = TextSource::File("/nowhere/text".into()).read().unwrap_err();
        assert!(refused.to_string().contains("/nowhere/text"), "{refused}");
    }
}
