//! sled itself: how it is opened and flushed, and what it does not do by itself.

use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::super::failure::{damaged, of_sled};
use crate::store::StoreError;

/// sled's own threads may hold the file's lock for a moment after it was closed.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// After this, a flush may be one that nobody wakes.
const FLUSH_SLOW: Duration = Duration::from_millis(500);

/// The layout of a store; its `FORMAT` file says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// sled's own segments of half a megabyte. A node of 128 KiB goes to a file of its own,
    /// which sled never syncs and removes too early: a power cut may lose it.
    SmallSegments,
    /// A node has at most some twenty rows, and none of ours has 48 KiB: all stay in the log.
    LargeSegments,
}

impl Format {
    pub(super) const ALL: [Self; 2] = [Self::SmallSegments, Self::LargeSegments];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SmallSegments => "hoist-store 1",
            Self::LargeSegments => "hoist-store 2",
        }
    }

    fn segment_bytes(self) -> usize {
        match self {
            Self::SmallSegments => 512 * 1024,
            Self::LargeSegments => 4 * 1024 * 1024,
        }
    }
}

/// Waits until what was written is with the system. When a write of sled's own threads fails
/// (`exit_reservation`), sled keeps the error and wakes nobody: whoever waits here would wait
/// for ever. Another flush finds the error at once and wakes the others, so that one follows
/// when this one is slow.
pub(super) fn flush(db: &sled::Db) -> Result<(), sled::Error> {
    std::thread::scope(|scope| {
        let (done, slow) = mpsc::channel::<Infallible>();
        scope.spawn(move || {
            let mut pause = FLUSH_SLOW;
            while slow.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                scope.spawn(|| db.flush());
                pause *= 2;
            }
        });
        let flushed = db.flush().map(drop);
        drop(done);
        flushed
    })
}

/// sled panics when it is let go and cannot write what is left: that is not worth anything.
pub(super) fn quietly(work: impl FnOnce()) {
    let _done = catch_unwind(AssertUnwindSafe(work));
}

/// Removes what a kill left of an index of the pages: sled writes it beside its name, and then
/// reads the unfinished one as if it were the newest. It is made anew from the log.
pub(super) fn sweep(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Opens sled; it panics over some damage.
pub(super) fn open_sled(path: &Path, format: Format) -> Result<sled::Db, StoreError> {
    let begun = Instant::now();
    loop {
        let config = sled::Config::new()
            .path(path)
            .segment_size(format.segment_bytes())
            .flush_every_ms(None);
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(sled::Error::Io(error))) if is_locked(&error) && begun.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Ok(Err(error)) => return Err(of_sled(path, error)),
            Err(_) => return Err(damaged(path, "its data file `db` cannot be read")),
        }
    }
}

fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("lock")
}
