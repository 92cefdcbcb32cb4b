//! Standard output when it takes a token: a file that a shell has just made for it becomes its
//! owner's alone, and a token that would go nowhere is none that anybody gets.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use rustix::fs::{FileType, Mode, Stat, fchmod, fstat};

/// Refuses a standard output that is closed, or throws away what it is given, before a token
/// is made that is shown only once.
///
/// # Errors
/// `E_FILE`.
pub(crate) fn check() -> Result<(), Failure> {
    let null = std::fs::metadata("/dev/null").map(|null| null.rdev());
    let goes_nowhere = match (fstat(io::stdout()), null) {
        (Ok(stdout), Ok(null)) => is_device(&stdout) && stdout.st_rdev == null,
        (Err(_), _) => true,
        _ => false,
    };
    if !goes_nowhere {
        return Ok(());
    }
    let what = "standard output is closed or /dev/null: the token, which is shown this once, \
                would be lost";
    Err(Failure::new(Code::File, what).help("nothing was changed; send it to a file: `> FILE`"))
}

/// Writes a result that holds a token; all of it, or `after` says what to do now.
///
/// # Errors
/// `E_SYSTEM`.
pub(crate) fn print(text: &str, after: &str) -> Result<(), Failure> {
    make_private();
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|error| {
        Failure::because(Code::System, "cannot write the result", &error).help(after)
    })
}

/// A redirection makes a file that others can read. One that held something before is not
/// ours to change.
fn make_private() {
    let fresh = |stdout: &Stat| {
        FileType::from_raw_mode(stdout.st_mode) == FileType::RegularFile && stdout.st_size == 0
    };
    if fstat(io::stdout()).is_ok_and(|stdout| fresh(&stdout)) {
        // Of a file of somebody else, its owner decides who reads it.
        let _unchanged = fchmod(io::stdout(), Mode::RUSR | Mode::WUSR);
    }
}

fn is_device(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
}
