//! The arguments of `hoist-agent`, as data.

use std::path::PathBuf;

use crate::agent::text_source::TextSource;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Run,
    Apply(PathBuf),
    /// The place of the text, and the device that it is to be.
    Enroll(TextSource, Option<String>),
    Status,
    CheckConfig,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Help,
    Version,
    Do(Verb, Option<PathBuf>),
}

/// The words that stand in the arguments.
#[derive(Default)]
struct Words {
    verb: Option<Word>,
    config: Option<PathBuf>,
    device: Option<String>,
    file: Option<PathBuf>,
}

enum Word {
    Apply(PathBuf),
    /// With the text, or `-`, if one follows.
    Enroll(Option<String>),
    Status,
    CheckConfig,
}

/// The wish that the arguments express.
///
/// # Errors
/// What is wrong with them.
pub(super) fn parse(args: impl Iterator<Item = String>) -> Result<Parsed, String> {
    let mut args = args.peekable();
    let mut words = Words::default();
    while let Some(arg) = args.next() {
        let first = words.verb.is_none();
        match arg.as_str() {
            "--help" | "-h" => return Ok(Parsed::Help),
            "--version" | "-V" => return Ok(Parsed::Version),
            "--config" => words.config = Some(args.next().ok_or("--config needs a file")?.into()),
            "--device" => words.device = Some(args.next().ok_or("--device needs an id")?),
            "--file" => words.file = Some(args.next().ok_or("--file needs a file")?.into()),
            "enroll" if first => {
                let text = args.next_if(|next| next == "-" || !next.starts_with('-'));
                words.verb = Some(Word::Enroll(text));
            }
            "status" if first => words.verb = Some(Word::Status),
            "check-config" if first => words.verb = Some(Word::CheckConfig),
            "apply" if first => {
                let path = args.next();
                if matches!(path.as_deref(), Some("--help" | "-h")) {
                    return Ok(Parsed::Help);
                }
                let path = path.filter(|path| !path.starts_with('-'));
                let path = path.ok_or("apply needs a .hoist file or a directory")?;
                words.verb = Some(Word::Apply(path.into()));
            }
            other => match other.strip_prefix("--config=") {
                Some(path) => words.config = Some(path.into()),
                None => return Err(format!("unknown argument {other:?}")),
            },
        }
    }
    words.wish()
}

impl Words {
    fn wish(self) -> Result<Parsed, String> {
        let verb = match self.verb {
            Some(Word::Enroll(text)) => Verb::Enroll(text_source(text, self.file)?, self.device),
            _ if self.device.is_some() => return Err("--device is for enroll alone".to_owned()),
            _ if self.file.is_some() => return Err("--file is for enroll alone".to_owned()),
            Some(Word::Apply(path)) => Verb::Apply(path),
            Some(Word::Status) => Verb::Status,
            Some(Word::CheckConfig) => Verb::CheckConfig,
            None => Verb::Run,
        };
        Ok(Parsed::Do(verb, self.config))
    }
}

/// The one place of a text that was named.
fn text_source(text: Option<String>, file: Option<PathBuf>) -> Result<TextSource, String> {
    match (text, file) {
        (Some(_), Some(_)) => Err("enroll takes a text or --file FILE, not both".to_owned()),
        (None, None) => Err(
            "enroll needs the text of `hoist enroll create`: `--file FILE`, or \
                             `-` to read it from standard input"
                .to_owned(),
        ),
        (Some(text), None) if text == "-" => Ok(TextSource::Input),
        (Some(text), None) => Ok(TextSource::Argument(text)),
        (None, Some(file)) if file.as_os_str() == "-" => Ok(TextSource::Input),
        (None, Some(file)) => Ok(TextSource::File(file)),
    }
}
