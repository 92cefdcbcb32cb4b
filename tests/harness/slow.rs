//! A slow line: a TCP proxy that lets a server's bytes through at a given rate, so that a
//! download lasts long enough to be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Small enough that the rate is even.
const CHUNK_BYTES: usize = 16 * 1024;

/// The proxy; its threads end with their sockets.
pub struct SlowLine {
    address: String,
    passed: Arc<AtomicU64>,
}

impl SlowLine {
    /// Listens on a free port and forwards to `target`; answers pass at `rate` bytes a
    /// second.
    pub fn start(target: &str, rate: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let passed = Arc::new(AtomicU64::new(0));
        let (target, counter) = (target.to_owned(), Arc::clone(&passed));
        let chunk_time = Duration::from_secs(1) * u32::try_from(CHUNK_BYTES).unwrap() / rate;
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(&target) else {
                    continue;
                };
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || pump(client, server, |_| {}));
                std::thread::spawn(move || {
                    pump(back.0, back.1, |count| {
                        counter.fetch_add(count, Ordering::Relaxed);
                        // The rate itself, nobody waits on it.
                        std::thread::sleep(chunk_time);
                    });
                });
            }
        });
        Self { address, passed }
    }

    /// `host:port` to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Bytes of answers so far.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

fn pump(mut source: TcpStream, mut sink: TcpStream, after: impl Fn(u64)) {
    let mut buffer = [0; CHUNK_BYTES];
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        if sink.write_all(&buffer[..count]).is_err() {
            break;
        }
        after(count as u64);
    }
    let _ = sink.shutdown(Shutdown::Both);
    let _ = source.shutdown(Shutdown::Both);
}
