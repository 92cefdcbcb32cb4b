//! The one table of stable codes, append-only: what people and scripts see when something
//! is refused, closed or fails, in replies, logs, metrics and `hoist explain`. A code is
//! written nowhere else, so that none is unexplained; the long texts are only linked into
//! programs that print them.

use core::fmt;

/// The kind of failure that a code stands for. Exit codes of programs follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Something failed that no other class describes.
    Failed,
    /// The command line, a setting or a command's fields are wrong.
    Usage,
    /// Wrong token, or a role that may not do it.
    Forbidden,
    /// The awaited event did not happen in time.
    TimedOut,
    /// Something named does not exist.
    NotFound,
    /// It contradicts what is there.
    Conflict,
    /// The broker cannot be reached.
    Unreachable,
    /// A person ended it.
    Interrupted,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $class:ident, $title:literal, $hint:literal;)*) => {
        /// A stable code. Stored in replies by its place in the table: append only.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $(
                #[doc = concat!("`", $text, "`: ", $title, ".")]
                #[doc = ""]
                $(#[doc = $doc])+
                $name,
            )*
        }

        impl Code {
            /// Every code, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code people and scripts see.
            #[must_use]
            #[inline]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// A few words saying what happened.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The meaning of the code, in a sentence or two.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii_start(),)* }
            }

            /// The advice to give when nothing more particular is known.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)* }
            }

            /// The kind of failure.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

mod table;

pub use table::Code;

impl Code {
    /// The code that is written as `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
#[path = "code_tests.rs"]
mod tests;
