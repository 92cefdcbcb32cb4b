//! Progress on standard error, told by a thread of its own, so that whoever waits for a long run
//! sees whether it goes on and what it waits for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::asker::Asker;
use super::line::Joined;

/// The time between two lines.
const EVERY: Duration = Duration::from_secs(10);
/// The longest question in between: the server may be dead.
const ASK: Duration = Duration::from_secs(5);

/// The numbers that a line says, as far as the run itself knows them.
#[derive(Debug, Default)]
struct Counts {
    kills: AtomicU32,
    deployments: AtomicU32,
    part: Mutex<Part>,
}

/// The part of the run that goes on, and the time that each part took so far.
#[derive(Debug, Default)]
struct Part {
    now: &'static str,
    began: Option<Instant>,
    took: BTreeMap<&'static str, Duration>,
}

impl Part {
    fn end(&mut self) {
        if let Some(began) = self.began.take() {
            *self.took.entry(self.now).or_default() += began.elapsed();
        }
    }
}

/// Tells how far a run is, until it is dropped.
pub(super) struct Progress {
    counts: Arc<Counts>,
    /// Dropped first: its end ends the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The facts of one line.
#[derive(Debug)]
struct Told {
    kills: [u32; 2],
    deployments: u32,
    /// Those that are settled; none while the server cannot be asked.
    settled: Option<usize>,
    /// Connections of devices that are open now.
    connected: usize,
    part: &'static str,
    elapsed: Duration,
}

impl Counts {
    fn part(&self) -> MutexGuard<'_, Part> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Tells of a run of so many kills.
    pub(super) fn begin(kills: u32, asker: Asker, joined: Joined) -> Self {
        let counts = Arc::<Counts>::default();
        let (end, ended) = channel();
        let shared = Arc::clone(&counts);
        let thread = thread::spawn(move || tell(kills, &shared, &asker, &joined, &ended));
        Self {
            counts,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// Another part of the run begins, named by what is waited for.
    pub(super) fn part(&self, name: &'static str) {
        let mut part = self.counts.part();
        part.end();
        (part.now, part.began) = (name, Some(Instant::now()));
    }

    /// The server was killed once more.
    pub(super) fn killed(&self) {
        self.counts.kills.fetch_add(1, Ordering::Relaxed);
    }

    /// A deployment was made.
    pub(super) fn deployed(&self) {
        self.counts.deployments.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        // A thread that panicked told less, and nothing else.
        let _joined = self.thread.take().map(JoinHandle::join);
        let mut part = self.counts.part();
        part.end();
        let took = part
            .took
            .iter()
            .map(|(name, took)| format!("{name} {} s", took.as_secs()));
        eprintln!("waited for: {}", took.collect::<Vec<_>>().join(", "));
    }
}

fn tell(kills: u32, counts: &Counts, asker: &Asker, joined: &Joined, ended: &Receiver<()>) {
    let began = Instant::now();
    while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let settled = asker.ask_within(&["deployment", "list"], ASK).ok();
        let told = Told {
            kills: [counts.kills.load(Ordering::Relaxed), kills],
            deployments: counts.deployments.load(Ordering::Relaxed),
            settled: settled.as_ref().map(settled_of),
            connected: joined.count(),
            part: counts.part().now,
            elapsed: began.elapsed(),
        };
        eprintln!("{told}");
    }
}

fn settled_of(list: &Value) -> usize {
    let items = list.as_array().into_iter().flatten();
    items.filter(|item| item["settled"] == true).count()
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kills, of] = self.kills;
        write!(
            f,
            "{kills} of {of} kills, {} deployments, ",
            self.deployments
        )?;
        match self.settled {
            Some(settled) => write!(f, "{settled} settled, ")?,
            None => write!(f, "the server is away, ")?,
        }
        write!(
            f,
            "{} devices connected, {} s, waits for {}",
            self.connected,
            self.elapsed.as_secs(),
            self.part
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_how_far_the_run_is_and_what_it_waits_for() {
        let list = json!([{"settled": true}, {"settled": false}, {"settled": true}]);
        let told = Told {
            kills: [25, 1_000],
            deployments: 4,
            settled: Some(settled_of(&list)),
            connected: 998,
            part: "an answer",
            elapsed: Duration::from_millis(61_900),
        };
        assert_eq!(
            told.to_string(),
            "25 of 1000 kills, 4 deployments, 2 settled, 998 devices connected, 61 s, waits for an answer"
        );
        let away = Told {
            settled: None,
            ..told
        };
        assert!(away.to_string().contains("the server is away"), "{away}");
    }
}
