//! Lines that a program says on standard error, its log among them. Nobody ever waits for whoever
//! reads it: what is not taken at once waits in memory for a thread of its own, and beyond so much
//! of it lines are lost and counted. What cannot be written at all, on a full disk or into a pipe
//! without a reader, is nobody's failure.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe, a socket or a terminal that takes anything takes so many bytes without waiting.
const TAKEN_AT_ONCE: usize = 4_096;
/// The bytes that wait for a reader that is slower than a burst of lines.
const WAITING_MAX: usize = 1 << 20;
/// The thread only writes.
const STACK_BYTES: usize = 64 * 1024;

/// Says a line.
pub fn say(line: impl Display) {
    write(format!("{line}\n").as_bytes());
}

/// Says a text as it is: whole lines, or what a terminal draws.
pub fn write(text: &[u8]) {
    match standard() {
        Some(said) => said.write(text),
        None => {
            let _unheard = io::stderr().write_all(text);
        }
    }
}

/// Lets what waits be taken, for so long at most: at the end of a program.
pub fn end(patience: Duration) {
    if let Some(said) = standard() {
        said.end(patience);
    }
}

/// Standard error, as this program found it.
fn standard() -> Option<&'static Arc<Said>> {
    static STANDARD: OnceLock<Option<Arc<Said>>> = OnceLock::new();
    let open = || {
        let stderr = io::stderr().as_fd().try_clone_to_owned();
        stderr.ok().map(|stderr| Said::to(File::from(stderr)))
    };
    STANDARD.get_or_init(open).as_ref()
}

/// One place where things are said.
struct Said {
    out: File,
    state: Mutex<State>,
    /// Something waits, or nothing does any more.
    news: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines for which there was no room.
    lost: u64,
    has_thread: bool,
    /// The thread is writing what waited.
    is_writing: bool,
}

impl State {
    fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0 && !self.is_writing
    }
}

impl Said {
    fn to(out: File) -> Arc<Self> {
        Arc::new(Self {
            out,
            state: Mutex::default(),
            news: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(self: &Arc<Self>, text: &[u8]) {
        let mut state = self.state();
        let rest = match state.is_quiet() {
            true => self.taken(text),
            false => text,
        };
        if rest.is_empty() {
            return;
        }
        if state.waiting.len() + rest.len() > WAITING_MAX {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(rest);
        if !state.has_thread {
            let said = Arc::clone(self);
            let builder = thread::Builder::new().name("said".into());
            let thread = builder.stack_size(STACK_BYTES);
            // Without one, the next that is said tries again.
            state.has_thread = thread.spawn(move || said.write_on()).is_ok();
        }
        self.news.notify_all();
    }

    /// Writes as much as is taken without waiting; what is left.
    fn taken<'a>(&self, mut text: &'a [u8]) -> &'a [u8] {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        while !text.is_empty() {
            let mut asked = [PollFd::new(&self.out, PollFlags::OUT)];
            if !matches!(poll(&mut asked, Some(&now)), Ok(1..)) {
                break;
            }
            let piece = &text[..text.len().min(TAKEN_AT_ONCE)];
            match (&self.out).write(piece) {
                Ok(count @ 1..) => text = &text[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It will not be written later either.
                Ok(0) | Err(_) => return &[],
            }
        }
        text
    }

    /// Writes whatever waits, for ever.
    fn write_on(&self) {
        let mut state = self.state();
        loop {
            if state.waiting.is_empty() && state.lost == 0 {
                self.news.notify_all();
                let woken = self.news.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let mut text = std::mem::take(&mut state.waiting);
            match std::mem::take(&mut state.lost) {
                0 => {}
                lost => text.extend_from_slice(
                    format!("{lost} lines were lost here: nobody read them in time\n").as_bytes(),
                ),
            }
            state.is_writing = true;
            drop(state);
            let _unwritten = (&self.out).write_all(&text);
            state = self.state();
            state.is_writing = false;
        }
    }

    fn end(&self, patience: Duration) {
        let waits = |state: &mut State| !state.is_quiet();
        let state = self.state();
        let _waited = self.news.wait_timeout_while(state, patience, waits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, Read};

    fn pipe() -> (io::PipeReader, Arc<Said>) {
        let (reader, writer) = io::pipe().unwrap();
        (
            reader,
            Said::to(File::from(std::os::fd::OwnedFd::from(writer))),
        )
    }

    #[test]
    fn a_reader_that_stalls_holds_nobody_up_and_is_told_what_it_missed() {
        const SAID: u64 = 6_000;
        let (reader, said) = pipe();
        let line = "x".repeat(999) + "\n";
        // More than a pipe takes and than may wait, twice: this would never end.
        for _ in 0..SAID {
            said.write(line.as_bytes());
        }
        said.end(Duration::from_millis(1));
        // The thread may have taken what waited in the middle, and tells then and in the end.
        let (mut whole, mut lost) = (0, 0);
        let mut heard = io::BufReader::new(reader).lines();
        while whole + lost < SAID {
            let said = heard.next().unwrap().unwrap();
            match said.split_once(" lines were lost here") {
                Some((count, _)) => lost += count.parse::<u64>().unwrap(),
                None => {
                    assert_eq!(said.len(), 999, "every line is whole");
                    whole += 1;
                }
            }
        }
        assert_eq!(whole + lost, SAID);
        assert!(whole > 1_000 && lost > 1_000, "{whole} {lost}");
    }

    #[test]
    fn what_is_taken_is_there_at_once_and_what_waited_comes_before_the_end() {
        let (mut reader, said) = pipe();
        said.write(b"one\n");
        let mut piece = [0; 4];
        reader.read_exact(&mut piece).unwrap();
        assert_eq!(&piece, b"one\n");
        let text = vec![b'y'; 100_000];
        said.write(&text);
        let rest = thread::spawn(move || {
            let mut rest = vec![0; 100_000];
            reader.read_exact(&mut rest).unwrap();
            rest
        });
        said.end(Duration::from_secs(60));
        assert!(said.state().is_quiet());
        assert_eq!(rest.join().unwrap(), text);
    }

    #[test]
    fn a_full_disk_and_a_pipe_without_a_reader_are_no_failure() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let said = Said::to(full);
        said.write(b"nobody hears this\n");
        assert!(said.state().is_quiet());
        let (reader, said) = pipe();
        drop(reader);
        said.write(b"nor this\n");
        assert!(said.state().is_quiet());
    }
}
