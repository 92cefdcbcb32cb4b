//! A small server that lies in every way a test wants, and a disk that fails.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::agent::files::{Files, SystemFiles};

/// One request.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Asked {
    /// Counted from 0.
    pub(in crate::agent) number: usize,
    pub(in crate::agent) path: String,
    pub(in crate::agent) from: usize,
    /// The end of the range, not part of it.
    pub(in crate::agent) to: usize,
}

impl Asked {
    fn read(number: usize, request: &Request<Incoming>) -> Self {
        let range = request.headers().get("range").unwrap().to_str().unwrap();
        let range = range.strip_prefix("bytes=").unwrap();
        let (from, last) = range.split_once('-').unwrap();
        Self {
            number,
            path: request.uri().path().to_owned(),
            from: from.parse().unwrap(),
            to: last.parse::<usize>().unwrap() + 1,
        }
    }
}

pub(in crate::agent) type Answer = Response<Full<Bytes>>;

/// The requests that the server saw.
pub(in crate::agent) type Seen = Arc<Mutex<Vec<Asked>>>;

/// Answers each request, and remembers it.
pub(in crate::agent) async fn serve(
    answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let (answer, seen_by_server) = (Arc::new(answer), seen.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (answer, seen) = (answer.clone(), seen_by_server.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let mut seen = seen.lock().unwrap();
                let asked = Asked::read(seen.len(), &request);
                seen.push(asked.clone());
                let response = answer(&asked);
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (url, seen)
}

/// The whole file, from a server without ranges.
pub(in crate::agent) fn whole(bytes: &[u8]) -> Answer {
    Response::new(Full::new(Bytes::copy_from_slice(bytes)))
}

/// The range asked for, as far as the file goes.
pub(in crate::agent) fn ranged(bytes: &[u8], asked: &Asked) -> Answer {
    let (from, end) = (asked.from, asked.to.min(bytes.len()));
    if from >= end {
        return status(416);
    }
    let range = format!("bytes {from}-{}/{}", end - 1, bytes.len());
    Response::builder()
        .status(206)
        .header("content-range", range)
        .body(Full::new(Bytes::copy_from_slice(&bytes[from..end])))
        .unwrap()
}

/// An answer without a body.
pub(in crate::agent) fn status(status: u16) -> Answer {
    let answer = Response::builder().status(status);
    answer.body(Full::default()).unwrap()
}

/// The system's files, with as much free space as a test says, and one operation that
/// fails.
#[derive(Debug)]
pub(in crate::agent) struct Faulty {
    pub(in crate::agent) free: u64,
    /// Which changing operation fails, counted from 0, and how.
    pub(in crate::agent) fails: Option<(usize, io::ErrorKind)>,
    operations: AtomicUsize,
}

impl Faulty {
    pub(in crate::agent) fn new(free: u64, fails: Option<(usize, io::ErrorKind)>) -> Arc<Self> {
        Arc::new(Self {
            free,
            fails,
            operations: AtomicUsize::new(0),
        })
    }

    fn change(&self) -> io::Result<SystemFiles> {
        let operation = self.operations.fetch_add(1, Ordering::Relaxed);
        match self.fails {
            Some((at, kind)) if at == operation => Err(kind.into()),
            _ => Ok(SystemFiles),
        }
    }
}

impl Files for Faulty {
    fn read_at(&self, path: &Path, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        SystemFiles.read_at(path, offset, bytes_max)
    }

    fn exists(&self, path: &Path) -> bool {
        SystemFiles.exists(path)
    }

    fn write_at(&self, path: &Path, offset: u64, content: &[u8], mode: u32) -> io::Result<()> {
        // Half of it is there when it fails.
        match self.change() {
            Ok(files) => files.write_at(path, offset, content, mode),
            Err(error) => {
                let half = &content[..content.len() / 2];
                SystemFiles.write_at(path, offset, half, mode)?;
                Err(error)
            }
        }
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.change()?.sync(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change()?.sync_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change()?.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change()?.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        SystemFiles.list(path)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.change()?.set_mode(path, mode)
    }

    fn has_mode(&self, path: &Path, mode: u32) -> io::Result<bool> {
        SystemFiles.has_mode(path, mode)
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.free)
    }
}

/// A connection of a server that cuts.
#[derive(Debug, Clone, Copy)]
pub(in crate::agent) struct Cut {
    pub(in crate::agent) at: std::time::Instant,
    pub(in crate::agent) from: usize,
    /// Bytes of the body.
    pub(in crate::agent) sent: usize,
}

/// Answers ranges correctly and closes after `bytes_max` bytes of every body.
pub(in crate::agent) async fn serve_cut(
    file: Vec<u8>,
    bytes_max: usize,
) -> (String, Arc<Mutex<Vec<Cut>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cuts = Arc::new(Mutex::new(Vec::new()));
    let seen = cuts.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let at = std::time::Instant::now();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let request = String::from_utf8(request).unwrap();
            let (_, range) = request.split_once("Range: bytes=").unwrap();
            let (from, last) = range.trim().split_once('-').unwrap();
            let (from, last): (usize, usize) = (from.parse().unwrap(), last.parse().unwrap());
            let body = &file[from..=last];
            let sent = &body[..body.len().min(bytes_max)];
            let spec = format!(
                "HTTP/1.1 206 Part\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{last}/{}\r\n\r\n",
                body.len(),
                file.len()
            );
            let cut = Cut {
                at,
                from,
                sent: sent.len(),
            };
            seen.lock().unwrap().push(cut);
            stream.write_all(spec.as_bytes()).await.unwrap();
            stream.write_all(sent).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (url, cuts)
}
