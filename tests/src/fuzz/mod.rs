//! Whatever somebody may send or hand over, as functions of bytes: none of them may panic, hang or
//! break its promise, whatever the bytes are. A fuzzer calls them (`fuzz/`), and the tests replay
//! what it found (`tests/corpus/`).

mod bytes;
mod listeners;
mod peers;

/// What is read, and how it is tried.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Tries one input; panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    target("messages", bytes::messages),
    target("commands", bytes::commands),
    target("topics", bytes::topics),
    target("artifacts", bytes::artifacts),
    target("settings", bytes::settings),
    target("front-door", listeners::front_door),
    target("http", listeners::http),
    target("answers", peers::answers),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// The target with this name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// Tries one input of the target with this name.
///
/// # Panics
/// When there is no such target, or a promise is broken.
pub fn run(name: &str, input: &[u8]) {
    let target = find(name).unwrap_or_else(|| panic!("{name} is no target"));
    (target.run)(input);
}
