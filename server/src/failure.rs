//! The words that a person reads when something fails: the failure, its cause and the remedy, under
//! a stable code. Every operation's error ends as a [`Failure`].

use std::error::Error;
use std::fmt;

use hoist_net::tls::TlsError;
use hoist_protocol::code::Code;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code, `E_…`: text, because a newer server may know more of them.
    pub code: String,
    /// The failure and its cause, one sentence without a full stop.
    pub what: String,
    /// The remedy.
    pub help: Option<String>,
    /// The field of a command at fault.
    pub field: Option<String>,
}

impl Failure {
    /// A failure with a code and a sentence.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self::answered(code.as_str(), what)
    }

    /// A failure that a server answered.
    pub fn answered(code: &str, what: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            what: what.into(),
            help: None,
            field: None,
        }
    }

    /// True if the failure is for this reason.
    pub fn is(&self, code: Code) -> bool {
        self.code == code.as_str()
    }

    /// The same with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A failure whose reason is a chain of errors.
    pub fn because(code: Code, what: impl fmt::Display, cause: &dyn Error) -> Self {
        Self::new(code, format!("{what}: {}", chain(cause)))
    }

    /// The failure and the remedy, as a part of another sentence.
    #[must_use]
    pub fn clause(self) -> String {
        match self.help {
            Some(help) => format!("{}; {help}", self.what),
            None => self.what,
        }
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

/// A handshake that failed, or a certificate that cannot be used.
#[must_use]
pub fn of_tls(error: &TlsError) -> Failure {
    let help = error.help().unwrap_or_else(|| error.code().hint());
    Failure::new(error.code(), error.said()).help(help)
}

/// An error and its sources in one line.
pub fn chain(error: &dyn Error) -> String {
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
    }
}
