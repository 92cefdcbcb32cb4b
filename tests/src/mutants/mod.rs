//! Mistakes that the proving programs must see. They are data, `tests/mutants/*.toml`: the
//! text of a file and what stands there instead. No program that anybody uses has a hook for
//! them. Whoever asks for `--mutants` gets a copy of the tree in which each mistake is a
//! switch, built once; the program built there plants one after the other.

mod build;
pub mod catalog;
mod copy;
mod place;
pub mod switch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;

use self::build::Workshop;
use self::catalog::Catalog;

/// The program that proves that a mistake is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShownBy {
    /// A fleet and its server are needed.
    Simulate,
    /// One device and its disk are enough.
    PowerCut,
}

/// A mistake that this build can plant.
#[derive(Debug, Clone, Copy)]
pub struct Planted {
    /// Its number among all; from 1.
    pub place: usize,
    /// The name of the file that it is from: which part of the product is wrong.
    pub area: &'static str,
    /// Its name; no other mistake has it.
    pub name: &'static str,
    /// The program that proves that the mistake is seen.
    pub shown_by: ShownBy,
}

impl Planted {
    /// Does something with this mistake, and no other, planted in the whole process.
    pub fn with<T>(&self, run: impl FnOnce() -> T) -> T {
        switch::plant(self.place);
        let done = run();
        switch::plant(0);
        done
    }

    /// Its area and its name.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.area, self.name)
    }
}

/// True if mistakes can be planted in this build.
#[must_use]
pub fn are_built_in() -> bool {
    !switch::ALL.is_empty()
}

/// The mistakes of this build that one of the programs must show.
pub fn shown_by(program: ShownBy) -> impl Iterator<Item = Planted> {
    let all = switch::ALL.iter().copied();
    all.filter(move |mistake| mistake.shown_by == program)
}

/// The root of the tree that this program was built from.
#[must_use]
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Builds the tree with its mistakes and runs a program of it, with the words of this one;
/// 2 when it cannot be built.
#[must_use]
pub fn run(program: &str) -> ExitCode {
    or_say(Workshop::set_up(&root()).and_then(|workshop| workshop.run(program)))
}

/// Says whether every mistake has its place and compiles; 2 when not.
#[must_use]
pub fn check() -> ExitCode {
    let checked = Workshop::set_up(&root()).and_then(|workshop| workshop.check());
    or_say(checked.map(|mistakes| {
        println!("{mistakes} mistakes, all compile");
        ExitCode::SUCCESS
    }))
}

fn or_say(done: Result<ExitCode, MutantsError>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

/// Why mistakes cannot be planted.
#[derive(Debug, thiserror::Error)]
pub enum MutantsError {
    /// A list of mistakes cannot be understood.
    #[error("cannot read the mistakes in {path}: {why}")]
    List {
        /// The list.
        path: PathBuf,
        /// The fault of the list.
        why: String,
    },
    /// Two mistakes have one name.
    #[error("two mistakes are named {name}: give one of them another name")]
    Name {
        /// The name.
        name: String,
    },
    /// The text that a mistake changes is not there, or more than once.
    #[error(
        "the mistake {name} needs a text that occurs once, and `{text}` occurs {count} times in \
         {within}: write `from` anew in tests/mutants, with more around it in `within`"
    )]
    Place {
        /// The mistake.
        name: String,
        /// The text that is sought.
        text: String,
        /// The file, or the text around it.
        within: String,
        /// The number of times that the text was found.
        count: usize,
    },
    /// Two mistakes change the same text.
    #[error("{file}: the mistakes {first} and {second} change the same text")]
    Overlap {
        /// The file.
        file: String,
        /// The one that begins earlier.
        first: String,
        /// The other one.
        second: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Another program failed.
    #[error("{command}: {why}")]
    Command {
        /// The command that was run.
        command: String,
        /// The end of the command.
        why: String,
    },
}

/// Every file of the tree that a mistake changes, with its switches.
///
/// # Errors
/// [`MutantsError`] when a mistake has no place, or two have the same.
pub fn switched(root: &Path) -> Result<Vec<(String, String)>, MutantsError> {
    let catalog = Catalog::read(root)?;
    let files = catalog.files();
    let files = files.into_iter();
    files
        .map(|file| {
            let text = catalog.switched(root, &file)?;
            Ok((file, text))
        })
        .collect()
}
