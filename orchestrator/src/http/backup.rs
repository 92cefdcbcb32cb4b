//! `GET /backup/rows`: all rows of the store at one moment, for administrators of all groups.
//! Rows hold no secret. They are copied to a file first, so that the store waits for no slow
//! client; that file is there for one client at a time, and for a bounded time.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hoist_orchestrator_core::model::row::Deed;
use hoist_protocol::access::Role;
use hoist_protocol::code::Code;
use hoist_protocol::id::{RequestId, UserId};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::services::ServeFile;

use super::listener::Peer;
use super::{HttpLimits, HttpState, authenticate, refusal};
use crate::config::Rights;
use crate::space;
use crate::store::Trouble;
use crate::unix_time::unix_ms;

/// Bytes that are copied between two looks at what is left on the disk.
const PIECE: usize = 1 << 20;
/// Seconds after which whoever finds another backup being made is told to come again: so long
/// takes a gigabyte on a fast line.
const AGAIN_SECS: u64 = 30;

/// Where rows lie while they are sent, those of one backup at a time. Clones are the same.
#[derive(Debug, Clone)]
pub struct Scratch {
    path: PathBuf,
    place: Arc<Semaphore>,
}

impl Scratch {
    /// In this file, which is written over, and gone whenever nobody needs it. What a server that
    /// was killed has left there is removed.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let _leftover = std::fs::remove_file(&path);
        let place = Arc::new(Semaphore::new(1));
        Self { path, place }
    }

    /// The folder that it lies in.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// When somebody had all rows last; none when nobody knows.
    pub(super) fn fetched(&self) -> Option<SystemTime> {
        std::fs::metadata(fetched(&self.path)).ok()?.modified().ok()
    }

    /// The place, once it is free.
    async fn enter(&self) -> Option<Place> {
        let permit = Arc::clone(&self.place).acquire_owned().await.ok()?;
        let path = self.path.clone();
        Some(Place {
            path,
            _permit: permit,
        })
    }
}

/// The file whose time says when somebody had all rows last.
fn fetched(path: &Path) -> PathBuf {
    path.with_extension("fetched")
}

/// The file, for as long as somebody writes or reads it.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _removed = std::fs::remove_file(&self.path);
    }
}

/// The copy that is being made. It ends when its client is gone, and leaves the store its own.
struct Copy {
    out: File,
    place: Arc<Place>,
    /// Bytes that stay free on its disk.
    reserve: u64,
}

impl Write for Copy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if Arc::strong_count(&self.place) == 1 {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let folder = self.place.path.parent().unwrap_or(Path::new("."));
        if space::left(folder)? < self.reserve {
            return Err(ErrorKind::StorageFull.into());
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The rows that are sent, with the place that they lie in, until the time is over. The body is
/// only asked for more while its client takes some: one that takes nothing is cut for its silence.
struct Sent {
    body: Body,
    place: Arc<Place>,
    until: Instant,
    /// The number of rows, and of bytes that the client has not taken yet.
    rows: u64,
    left: u64,
}

impl Sent {
    /// The client took so many bytes more. Said when it has all: a copy that nobody fetched is no
    /// backup.
    fn taken(&mut self, bytes: usize) {
        let left = self.left.saturating_sub(bytes as u64);
        if left == 0 && self.left > 0 {
            tracing::info!(rows = self.rows, "rows of the store backed up");
            if let Err(error) = std::fs::write(fetched(&self.place.path), b"") {
                tracing::warn!(%error, "the time of the backup is not kept");
            }
        }
        self.left = left;
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if Instant::now() >= self.until {
            let late = io::Error::from(ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.taken(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// Sends the rows.
pub(super) async fn rows(
    State(state): State<HttpState>,
    Extension(Peer(from)): Extension<Peer>,
    request: Request,
) -> Response {
    let user = match authenticate(&state, request.headers()) {
        Err(refused) => return *refused,
        Ok((user, rights)) => match may(&rights) {
            Err(refused) => return *refused,
            Ok(()) => user,
        },
    };
    let entered = tokio::time::timeout(state.limits.turn, state.scratch.enter()).await;
    let Ok(Some(place)) = entered else {
        return busy(&state.limits);
    };
    match send(&state, Arc::new(place)).await {
        Ok(answer) => {
            note(&state, user, from).await;
            answer
        }
        Err(error) => {
            tracing::error!(%error, "the rows cannot be backed up");
            let (status, code) = match Trouble::of(error.kind()) {
                Trouble::Full => (StatusCode::INSUFFICIENT_STORAGE, Code::Space),
                _ => (StatusCode::INTERNAL_SERVER_ERROR, Code::Storage),
            };
            let title = format!("the rows cannot be copied: {error}");
            refusal(status, code, &title, "")
        }
    }
}

/// Tells the audit trail who takes all rows along. Whoever makes a backup of a store that cannot be written
/// may need it soon: then the log alone tells.
async fn note(state: &HttpState, user: UserId, from: IpAddr) {
    let request = RequestId::numbered("backup", unix_ms());
    let deed = Deed {
        user: user.clone(),
        request: request.clone(),
        from: from.to_string(),
        verb: "backup".to_owned(),
        target: "rows".to_owned(),
    };
    let noted = tokio::time::timeout(state.limits.answer, state.commands.note(deed));
    if !noted.await.unwrap_or(false) {
        tracing::warn!(%user, %from, %request, "rows are backed up, and the audit trail does not tell of it");
    }
}

/// Another backup is made; when to come again.
fn busy(limits: &HttpLimits) -> Response {
    let hint = format!(
        "try again in {AGAIN_SECS} s: it is over once its client has all rows, or after {} min",
        limits.rows.as_secs() / 60
    );
    let title = "another backup is made";
    let mut refused = refusal(StatusCode::CONFLICT, Code::Busy, title, &hint);
    let headers = refused.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(AGAIN_SECS));
    refused
}

/// Rows are of all groups.
fn may(rights: &Rights) -> Result<(), Box<Response>> {
    let (title, hint) = match rights.role {
        Role::Admin if rights.groups.is_empty() => return Ok(()),
        Role::Admin => (
            "a backup holds all groups, and this user is limited to some",
            "let an administrator without such a limit make the backup",
        ),
        _ => ("only administrators may do this", ""),
    };
    Err(Box::new(refusal(
        StatusCode::FORBIDDEN,
        Code::Role,
        title,
        hint,
    )))
}

async fn send(state: &HttpState, place: Arc<Place>) -> io::Result<Response> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let copy = Copy {
        out: options.open(&place.path)?,
        reserve: state.artifacts.reserve_bytes(),
        place: Arc::clone(&place),
    };
    let copied = state
        .store
        .snapshot(BufWriter::with_capacity(PIECE, copy))
        .await;
    let rows = copied?;
    let left = std::fs::metadata(&place.path)?.len();
    // All of them, whatever its headers say.
    let request = Request::new(Body::empty());
    let served = ServeFile::new(&place.path).try_call(request).await?;
    let until = Instant::now() + state.limits.rows;
    Ok(served
        .map(|body| {
            Body::new(Sent {
                body: Body::new(body),
                place,
                until,
                rows,
                left,
            })
        })
        .into_response())
}
