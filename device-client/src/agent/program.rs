//! The start of a script by the system: by its first bytes. A script that no device could start is
//! refused when it is packed; on the device, the error names what is really missing.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::files::{Files, SystemFiles};

/// Bytes of a script that the kernel looks at to start it.
pub const START_BYTES: usize = 256;

const ELF: &[u8] = b"\x7fELF";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The program that starts a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It is a program of its own (ELF).
    Itself,
    /// The program that its first line names.
    Interpreter(PathBuf),
}

/// Why no system could start a script (`E_SCRIPT`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoStart {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It begins with the byte order mark of UTF-8.
    #[error("begins with a byte order mark, which hides its #! from the system")]
    ByteOrderMark,
    /// It is text of two bytes a character.
    #[error("is UTF-16 text")]
    Utf16,
    /// Its first line ends as in Windows.
    #[error("has Windows line ends (CRLF): its interpreter would be {0:?}")]
    WindowsLines(String),
    /// It is neither a script nor a program.
    #[error("begins neither with #! and an interpreter nor as an ELF program")]
    Neither,
    /// Its first line names no file that is the same from everywhere.
    #[error("names the interpreter {0:?}, which is no absolute path")]
    NotAbsolute(String),
    /// The system reads no such line to its end.
    #[error("has a first line of more than {} bytes", START_BYTES - 1)]
    LongLine,
}

impl NoStart {
    /// The advice.
    #[must_use]
    pub fn fix(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Empty => format!("write it, or remove {path} if it may be absent"),
            Self::ByteOrderMark => {
                format!("save it without one: `sed -i '1s/^\\xEF\\xBB\\xBF//' {path}`")
            }
            Self::Utf16 => format!("save {path} as UTF-8 without a byte order mark"),
            Self::WindowsLines(_) => {
                format!("save it with Unix line ends: `sed -i 's/\\r$//' {path}`")
            }
            Self::Neither => "let its first line be `#!/bin/sh`".to_owned(),
            Self::NotAbsolute(_) => {
                "name it in full, like `#!/bin/sh` or `#!/usr/bin/env python3`".to_owned()
            }
            Self::LongLine => "shorten it".to_owned(),
        }
    }
}

/// The program that starts the script that begins with these bytes, of which the first
/// [`START_BYTES`] are enough.
///
/// # Errors
/// [`NoStart`] when nothing does.
pub fn read_start(bytes: &[u8]) -> Result<Start, NoStart> {
    let bytes = &bytes[..bytes.len().min(START_BYTES)];
    if bytes.is_empty() {
        return Err(NoStart::Empty);
    }
    if bytes.starts_with(ELF) {
        return Ok(Start::Itself);
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(NoStart::ByteOrderMark);
    }
    if UTF_16.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(NoStart::Utf16);
    }
    let line = bytes.strip_prefix(b"#!").ok_or(NoStart::Neither)?;
    let end = line.iter().position(|byte| *byte == b'\n');
    if end.is_none() && bytes.len() >= START_BYTES {
        return Err(NoStart::LongLine);
    }
    let line = String::from_utf8_lossy(&line[..end.unwrap_or(line.len())]);
    let words = line.trim_matches([' ', '\t']);
    let interpreter = words.split([' ', '\t']).next().unwrap_or_default();
    if line.contains('\r') {
        return Err(NoStart::WindowsLines(interpreter.to_owned()));
    }
    match interpreter {
        "" => Err(NoStart::Neither),
        path if path.starts_with('/') => Ok(Start::Interpreter(path.into())),
        other => Err(NoStart::NotAbsolute(other.to_owned())),
    }
}

/// Why the script `name`, at `program`, could not be started, in one sentence.
#[must_use]
pub fn why_not_started(name: &str, program: &Path, error: &io::Error) -> String {
    let Ok(bytes) = SystemFiles.read(program, START_BYTES as u64) else {
        return format!("cannot start {name}: {error}");
    };
    let start = match read_start(&bytes) {
        Ok(start) => start,
        Err(no_start) => return format!("cannot start {name}: it {no_start}"),
    };
    if matches!(may_execute(program), Ok(false)) {
        return format!("cannot start {name}: {CANNOT_EXECUTE}");
    }
    match (start, error.kind()) {
        (Start::Interpreter(path), io::ErrorKind::NotFound) if !path.exists() => format!(
            "interpreter {} of {name} not found: install it, or name another in the script's first line",
            path.display()
        ),
        (Start::Interpreter(path), io::ErrorKind::PermissionDenied) if !is_executable(&path) => {
            format!("interpreter {} of {name} is not executable", path.display())
        }
        (Start::Itself, io::ErrorKind::NotFound) => {
            format!("the loader of the program {name} not found: link it for this device")
        }
        _ => format!("cannot start {name}: {error}"),
    }
}

fn is_executable(path: &Path) -> bool {
    let metadata = std::fs::metadata(path);
    metadata.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The fault of a state directory on such a file system, and the advice.
pub const CANNOT_EXECUTE: &str = "the state directory's file system is mounted noexec: mount it with exec, or let \
     state_dir be elsewhere";

/// True if scripts below `dir`, which need not exist yet, can be executed; also when that cannot be
/// found out.
#[must_use]
pub fn can_execute_below(dir: &Path) -> bool {
    judge_nearest(dir, may_execute)
}

fn judge_nearest(dir: &Path, may_execute: impl Fn(&Path) -> io::Result<bool>) -> bool {
    let there = dir.ancestors().find(|folder| folder.exists());
    there.is_none_or(|folder| may_execute(folder).unwrap_or(true))
}

fn may_execute(path: &Path) -> io::Result<bool> {
    let flags = rustix::fs::statvfs(path)?.f_flag;
    Ok(!flags.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
