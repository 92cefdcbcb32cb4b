//! The choice to color a stream or not. Color only repeats what the text says.

use std::env;
use std::io::IsTerminal;

/// The permission for written text to hold color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// It may.
    Allowed,
    /// A pipe, a terminal without color, or a person who wants none.
    Refused,
}

impl Color {
    /// The permission for `stream`: color only on a terminal, never with `NO_COLOR`
    /// set to anything, nor where `TERM` says that there is none.
    pub(crate) fn on(stream: &impl IsTerminal) -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        if stream.is_terminal() && !set("NO_COLOR") && !dumb {
            Self::Allowed
        } else {
            Self::Refused
        }
    }

    /// The text in one of the terminal's own colors, given by its SGR number.
    pub(crate) fn paint(self, sgr: u8, text: &str) -> String {
        match self {
            Self::Allowed => format!("\x1b[{sgr}m{text}\x1b[0m"),
            Self::Refused => text.to_owned(),
        }
    }
}
