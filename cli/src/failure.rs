//! The words that a person reads when something fails: the failure, its cause and the remedy, under
//! a stable code. Every operation's error ends as a [`Failure`]; only [`Failure::print`] formats
//! it.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal};

use hoist_device_client::agent::said;
use hoist_orchestrator_core::reply::ErrorBody;
use hoist_protocol::code::Code;
use serde_json::json;

use crate::exit;
use crate::output::{API_VERSION, Format};
use crate::why::wrapped;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Stable code, `E_…`: text, because a newer server may know more of them.
    pub(crate) code: String,
    /// The failure and its cause, one sentence without a full stop.
    pub(crate) what: String,
    /// The remedy.
    pub(crate) help: Option<String>,
    /// The field of a command at fault.
    pub(crate) field: Option<String>,
}

impl Failure {
    /// A failure with a code and a sentence.
    pub(crate) fn new(code: Code, what: impl Into<String>) -> Self {
        Self::answered(code.as_str(), what)
    }

    /// A failure that a server answered.
    pub(crate) fn answered(code: &str, what: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            what: what.into(),
            help: None,
            field: None,
        }
    }

    /// True if the failure is for this reason.
    pub(crate) fn is(&self, code: Code) -> bool {
        self.code == code.as_str()
    }

    /// The same with what to do.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A failure whose reason is a chain of errors.
    pub(crate) fn because(code: Code, what: impl fmt::Display, cause: &dyn Error) -> Self {
        Self::new(code, format!("{what}: {}", chain(cause)))
    }

    /// The failure and the remedy, as a part of another sentence.
    #[must_use]
    pub(crate) fn clause(self) -> String {
        match self.help {
            Some(help) => format!("{}; {help}", self.what),
            None => self.what,
        }
    }

    /// The exit code of the program.
    #[must_use]
    pub(crate) fn exit(&self) -> u8 {
        exit::of_code(&self.code)
    }

    /// Writes it to standard error: as text, or where results are JSON as one line of it.
    pub(crate) fn print(&self, format: Format) {
        let text = match format {
            Format::Json | Format::Ndjson => self.json(),
            _ if io::stderr().is_terminal() => for_terminal(&self.to_string()),
            Format::Table | Format::Wide | Format::Name => self.to_string(),
        };
        said::say(text);
    }

    /// The same fields as in the reply to a refused command.
    fn json(&self) -> String {
        let known = Code::parse(&self.code);
        let hint = known.map_or("", Code::hint);
        let error = ErrorBody {
            code: self.code.clone(),
            title: known.map_or_else(|| self.what.clone(), |code| code.title().to_owned()),
            detail: self.what.clone(),
            hint: self.help.clone().unwrap_or_else(|| hint.to_owned()),
            field: self.field.clone(),
        };
        json!({"apiVersion": API_VERSION, "ok": false, "error": error}).to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.what)?;
        if let Some(help) = &self.help {
            write!(f, "\nhelp: {help}")?;
        }
        Ok(())
    }
}

/// A text in lines that fit a terminal; whoever reads it in a program wants it whole.
pub(crate) fn for_terminal(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let said = line.trim_start();
        wrapped(&line[..line.len() - said.len()], said)
    });
    lines.collect::<String>().trim_end().to_owned()
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_code_and_what_to_do() {
        let failure = Failure::new(Code::Release, "release sensor-fw@1.2.0 not found")
            .help("did you mean 1.1.0?");
        assert_eq!(
            failure.to_string(),
            "error[E_RELEASE]: release sensor-fw@1.2.0 not found\nhelp: did you mean 1.1.0?"
        );
        assert_eq!(failure.exit(), exit::NOT_FOUND);
    }

    #[test]
    fn on_a_terminal_every_line_fits_and_nothing_is_lost() {
        let what = format!(
            "many lines are wrong\n  line 2: {}",
            "too many words ".repeat(12)
        );
        let failure = Failure::new(Code::Csv, what).help("mend it, ".repeat(20));
        let said = for_terminal(&failure.to_string());
        assert!(
            said.lines().all(|line| line.chars().count() <= 80),
            "{said}"
        );
        assert!(said.contains("\n  line 2: too many"), "{said}");
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&said), words(&failure.to_string()));
    }

    #[test]
    fn programs_get_the_fields_of_a_reply() {
        let mut failure = Failure::new(Code::Group, "there is no group eu").help("create it");
        failure.field = Some("group".to_owned());
        assert_eq!(
            failure.json(),
            r#"{"apiVersion":"hoist/v1","error":{"code":"E_GROUP","detail":"there is no group eu","field":"group","hint":"create it","title":"group not found"},"ok":false}"#
        );
        let newer = Failure::answered("E_OF_A_NEWER_SERVER", "because");
        assert!(newer.json().contains(r#""title":"because""#));
    }
}
