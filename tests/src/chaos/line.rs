//! The fleet's line to the server: late, cut in the middle of anything, silent for a while.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::Failed;

/// Everything passes.
const WHOLE: u8 = 0;
/// Nothing passes, and nobody is told.
const SILENT: u8 = 1;
/// Every connection is reset.
const CUT: u8 = 2;
/// The time after which a silent line looks at its state again.
const LOOK: Duration = Duration::from_millis(50);
/// Devices that may come at once; the system bounds it as well.
const COMING_MAX: u32 = 16_384;
const STACK_BYTES: usize = 64 * 1024;

pub(crate) struct Line {
    port: u16,
    shared: Arc<Shared>,
}

/// The state of the line, and what is open on it. A thread of a connection waits for bytes and
/// for nothing else: two thousand that look around now and then would be half of all the work.
#[derive(Default)]
struct Shared {
    state: AtomicU8,
    open: Mutex<HashMap<u64, Arc<[TcpStream; 2]>>>,
}

/// The connections that are open on the line, for whoever counts them.
pub(super) struct Joined(Arc<Shared>);

impl Line {
    /// A line to a port of this machine.
    pub(crate) fn open(to: u16, seed: u64) -> Result<Self, Failed> {
        let listener = listen()?;
        let port = listener.local_addr()?.port();
        let line = Self {
            port,
            shared: Arc::default(),
        };
        let shared = Arc::clone(&line.shared);
        thread::spawn(move || {
            let mut dice = fastrand::Rng::with_seed(seed);
            for (number, near) in (0..).zip(listener.incoming().flatten()) {
                // The server may be dead at the moment: then so is the line.
                if let Ok(far) = TcpStream::connect(("127.0.0.1", to)) {
                    shared.join(number, [near, far], &mut dice);
                }
            }
        });
        Ok(line)
    }

    /// The fleet's end.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes any more; the ends are told, or not.
    pub(crate) fn cut(&self, told: bool) {
        let state = if told { CUT } else { SILENT };
        self.shared.state.store(state, Ordering::SeqCst);
        if told {
            let open = self
                .shared
                .open
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            open.values().for_each(|ends| reset(ends));
        }
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.shared.state.store(WHOLE, Ordering::SeqCst);
    }

    /// The connections on it.
    pub(super) fn joined(&self) -> Joined {
        Joined(Arc::clone(&self.shared))
    }
}

impl Joined {
    /// The number of them that are open now.
    pub(super) fn count(&self) -> usize {
        let open = self.0.open.lock();
        open.unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Shared {
    /// Lets bytes pass between two ends, as a connection with a number of its own.
    fn join(self: &Arc<Self>, number: u64, ends: [TcpStream; 2], dice: &mut fastrand::Rng) {
        let ends = Arc::new(ends);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(number, Arc::clone(&ends));
        drop(open);
        for [from, to] in [[0, 1], [1, 0]] {
            let (shared, between, dice) = (Arc::clone(self), Arc::clone(&ends), dice.fork());
            let passes = move || {
                let _broken = pass(&between[from], &between[to], &shared.state, dice);
                shared.part(number, &between);
            };
            let made = thread::Builder::new().stack_size(STACK_BYTES).spawn(passes);
            if made.is_err() {
                // A thread that cannot be made is a line that breaks at once.
                self.part(number, &ends);
            }
        }
    }

    fn part(&self, number: u64, ends: &[TcpStream; 2]) {
        reset(ends);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&number);
    }
}

/// A listener on a port that nobody has, with room for all of a fleet that comes back at once: in
/// the queue of 128 that the standard library gives it, most of a thousand devices waited for
/// seconds until their first packets were sent again.
fn listen() -> Result<TcpListener, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        socket.listen(COMING_MAX)?.into_std()
    })?;
    listener.set_nonblocking(false)?;
    Ok(listener)
}

fn reset(ends: &[TcpStream; 2]) {
    for end in ends {
        let _already = end.shutdown(Shutdown::Both);
    }
}

/// Lets bytes pass in one direction, late now and then.
fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    state: &AtomicU8,
    mut dice: fastrand::Rng,
) -> std::io::Result<()> {
    let mut bytes = [0; 4_096];
    loop {
        let count = match state.load(Ordering::SeqCst) {
            CUT => return Ok(()),
            _ => from.read(&mut bytes)?,
        };
        while state.load(Ordering::SeqCst) == SILENT {
            thread::sleep(LOOK);
        }
        if count == 0 || state.load(Ordering::SeqCst) == CUT {
            return Ok(());
        }
        match dice.u16(..1_000) {
            // In the middle of what it says.
            0 => return to.write_all(&bytes[..dice.usize(..count)]),
            1..50 => thread::sleep(Duration::from_millis(dice.u64(..100))),
            _ => {}
        }
        to.write_all(&bytes[..count])?;
    }
}
