//! The fleet's line to the server: late, cut in the middle of anything, silent for a while.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use super::Failed;

/// Everything passes.
const WHOLE: u8 = 0;
/// Nothing passes, and nobody is told.
const SILENT: u8 = 1;
/// Every connection is reset.
const CUT: u8 = 2;
/// The time after which a line looks at its state again while nothing comes.
const LOOK: Duration = Duration::from_millis(50);
const STACK_BYTES: usize = 64 * 1024;

pub(crate) struct Line {
    port: u16,
    state: Arc<AtomicU8>,
}

impl Line {
    /// A line to a port of this machine.
    pub(crate) fn open(to: u16, seed: u64) -> Result<Self, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(AtomicU8::new(WHOLE));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            let mut dice = fastrand::Rng::with_seed(seed);
            for near in listener.incoming().flatten() {
                // The server may be dead at the moment: then so is the line.
                if let Ok(far) = TcpStream::connect(("127.0.0.1", to)) {
                    join(near, far, &shared, dice.fork());
                }
            }
        });
        Ok(Self { port, state })
    }

    /// The fleet's end.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes any more; the ends are told, or not.
    pub(crate) fn cut(&self, told: bool) {
        let state = if told { CUT } else { SILENT };
        self.state.store(state, Ordering::Relaxed);
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.state.store(WHOLE, Ordering::Relaxed);
    }
}

fn join(near: TcpStream, far: TcpStream, state: &Arc<AtomicU8>, mut dice: fastrand::Rng) {
    let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
        return;
    };
    for (from, to) in [(near, far), (far_too, near_too)] {
        let (state, dice) = (Arc::clone(state), dice.fork());
        let passes = move || {
            let _broken = pass(&from, &to, &state, dice);
            let _already = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        };
        // A thread that cannot be made is a line that breaks at once.
        let _made = thread::Builder::new().stack_size(STACK_BYTES).spawn(passes);
    }
}

/// Lets bytes pass in one direction, late now and then.
fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    state: &AtomicU8,
    mut dice: fastrand::Rng,
) -> std::io::Result<()> {
    from.set_read_timeout(Some(LOOK))?;
    let mut bytes = [0; 4_096];
    loop {
        match state.load(Ordering::Relaxed) {
            CUT => return Ok(()),
            SILENT => {
                thread::sleep(LOOK);
                continue;
            }
            _ => {}
        }
        let count = match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        match dice.u16(..1_000) {
            // In the middle of what it says.
            0 => return to.write_all(&bytes[..dice.usize(..count)]),
            1..50 => thread::sleep(Duration::from_millis(dice.u64(..100))),
            _ => {}
        }
        to.write_all(&bytes[..count])?;
    }
}
