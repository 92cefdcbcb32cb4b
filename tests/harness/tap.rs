//! A line on which somebody listens.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A line between a client and a server that keeps every byte.
pub struct Tap {
    /// Where clients connect.
    pub address: String,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// Listens at a free port of this host in front of `target`.
    pub fn start(host: &str, target: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (kept, target) = (Arc::clone(&heard), target.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if let Ok(server) = TcpStream::connect(&target) {
                    pump(&client, &server, &kept);
                    pump(&server, &client, &kept);
                }
            }
        });
        Self { address, heard }
    }

    /// True if these bytes passed, in either direction.
    pub fn has_heard(&self, word: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        let mut parts = heard.windows(word.len());
        parts.any(|part| part == word.as_bytes())
    }

    /// The number of bytes that passed.
    pub fn bytes(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

fn pump(from: &TcpStream, to: &TcpStream, heard: &Arc<Mutex<Vec<u8>>>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            heard.lock().unwrap().extend_from_slice(&buffer[..count]);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
