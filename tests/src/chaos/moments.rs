//! Moments in which a program ends, and the clock that it sees, by a library that is
//! preloaded: `faults/moments.c` has what each of the four numbers means.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Failed;
use crate::faults;

/// Places of the numbers.
const CLOCK: u64 = 0;
const POINT: u64 = 8;
const LEFT: u64 = 16;
const LINGER: u64 = 24;
const BYTES: u64 = 32;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A moment in which a server ends, as the library numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// The writes of the store are not synced.
    BeforeCommit = 1,
    /// It is synced, and the store's seal does not say so yet.
    BeforeSeal = 2,
    /// All of it is durable, and nobody was told.
    AfterCommit = 3,
    /// A message is out, and what it answers is not acknowledged.
    AfterPublish = 4,
    /// Some specs are out, and others are not.
    InReconcile = 5,
}

impl Point {
    /// As JSON calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::BeforeCommit => "beforeCommit",
            Self::BeforeSeal => "beforeSeal",
            Self::AfterCommit => "afterCommit",
            Self::AfterPublish => "afterPublish",
            Self::InReconcile => "inReconcile",
        }
    }
}

/// The orders for one program.
pub struct Moments {
    file: File,
    path: PathBuf,
    library: PathBuf,
}

impl Moments {
    /// For a program that runs with this folder's library.
    ///
    /// # Errors
    /// The library cannot be built, or nothing be written.
    pub fn create(dir: &Path) -> Result<Self, Failed> {
        let path = dir.join("moments");
        let options = File::options().write(true).create_new(true).open(&path);
        let file = options?;
        file.set_len(BYTES)?;
        Ok(Self {
            file,
            path,
            library: faults::build(faults::MOMENTS, dir)?,
        })
    }

    /// The variables of a program whose MQTT session goes to this port.
    pub fn variables(&self, port: u16) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("HOIST_MOMENTS", self.path.clone().into()),
            ("HOIST_MOMENTS_PORT", port.to_string().into()),
        ]
    }

    /// The program ends when the moment comes for this time, so long after it.
    ///
    /// # Errors
    /// It could not be told.
    pub fn arm(&self, point: Point, time: i64, linger_micros: i64) -> Result<(), Failed> {
        self.write(POINT, 0)?;
        self.write(LEFT, time)?;
        self.write(LINGER, linger_micros)?;
        self.write(POINT, point as i64)
    }

    /// It ends at no moment.
    ///
    /// # Errors
    /// It could not be told.
    pub fn disarm(&self) -> Result<(), Failed> {
        self.write(POINT, 0)
    }

    /// Its time of day is so many seconds ahead, or behind.
    ///
    /// # Errors
    /// It could not be told.
    pub fn set_clock(&self, seconds: i64) -> Result<(), Failed> {
        self.write(CLOCK, seconds * NANOS_PER_SECOND)
    }

    fn write(&self, place: u64, number: i64) -> Result<(), Failed> {
        Ok(self.file.write_all_at(&number.to_ne_bytes(), place)?)
    }
}
