//! Closed lists of words, each with its meaning in a sentence.

/// Makes an enum whose variants can be listed and explained: its comments are the meanings.
macro_rules! explained {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident { $(#[doc = $meaning:literal] $variant:ident,)+ }
    ) => {
        $(#[$attribute])*
        pub enum $name { $(#[doc = $meaning] $variant,)+ }

        impl $name {
            /// Every one, in the order of the enum.
            pub const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];

            /// The meaning in a sentence, with the rule that it comes from.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning.trim_ascii(),)+ }
            }
        }
    };
}

pub(crate) use explained;
