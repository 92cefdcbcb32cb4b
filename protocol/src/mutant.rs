//! Planted mistakes: what the programs for proving must be able to see. A crate lists its
//! own with [`crate::mutants!`]; they are compiled in only with that crate's feature
//! `mutants`, and never in a program that anybody uses.

/// Makes the enum `Mutant` of the crate that calls it, `plant` (with the feature
/// `mutants`), and `is_planted`, which is the constant `false` without the feature.
#[macro_export]
macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// A mistake that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        #[cfg(feature = "mutants")]
        impl Mutant {
            /// Every mistake.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name, for people.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }

        /// The planted mistake's place in the list, plus one.
        #[cfg(feature = "mutants")]
        static PLANTED: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);

        /// Plants one mistake, or none, in this whole process.
        #[cfg(feature = "mutants")]
        pub fn plant(mutant: Option<Mutant>) {
            let place = mutant.map_or(0, |mutant| mutant as usize + 1);
            PLANTED.store(place, core::sync::atomic::Ordering::Relaxed);
        }

        #[cfg(feature = "mutants")]
        pub(crate) fn is_planted(mutant: Mutant) -> bool {
            PLANTED.load(core::sync::atomic::Ordering::Relaxed) == mutant as usize + 1
        }

        #[cfg(not(feature = "mutants"))]
        pub(crate) const fn is_planted(_mutant: Mutant) -> bool {
            false
        }
    };
}
