//! `GET /api/v1/events`: the history of events and what happens from now on, as server-sent events.
//! A reader is as far as its connection takes it; one that takes nothing is cut, and goes on behind
//! the last event that it had (`Last-Event-ID`).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hoist_orchestrator_core::model::kept::EventId;
use hoist_protocol::code::Code;
use hoist_protocol::id::{GroupId, Namespace};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{HttpState, TokenAuth, authenticate, bearer, refusal, single};
use crate::events::{EventNews, KeptEvent, Tail, ends};
use crate::rows::ReadError;
use crate::store::sled::SledStore;

/// Readers at once: each is a connection and a task, and most read what is in memory.
const READERS_MAX: usize = 256;
/// Seconds after which whoever finds no place may come again.
const AGAIN_SECS: u64 = 10;
/// Events read at once.
const PAGE: usize = 100;
/// Pages that wait for a slow reader.
const WAITING_MAX: usize = 2;
/// Time between two signs of life: proxies close what is silent for a minute.
const SIGN: Duration = Duration::from_secs(15);
/// Time in which events gather before all readers look: five looks a second at most.
const BEAT: Duration = Duration::from_millis(200);
/// The header by which a reader says what it had last.
const LAST: HeaderName = HeaderName::from_static("last-event-id");

/// The readers of events: how many there may be, and what wakes them. Clones are the same.
#[derive(Debug, Clone)]
pub struct EventReaders {
    places: Arc<Semaphore>,
    news: EventNews,
    namespace: Namespace,
    tail: Tail,
}

impl EventReaders {
    /// Readers who are woken by this news.
    #[must_use]
    pub fn new(news: EventNews, namespace: Namespace) -> Self {
        Self {
            places: Arc::new(Semaphore::new(READERS_MAX)),
            news,
            namespace,
            tail: Tail::default(),
        }
    }
}

#[cfg(test)]
impl EventReaders {
    /// The number of those who read now.
    pub(super) fn places(&self) -> usize {
        READERS_MAX - self.places.available_permits()
    }
}

/// Sends events for as long as somebody takes them.
pub(super) async fn get(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    if let Err(refused) = authenticate(&state, &headers) {
        return *refused;
    }
    let last = match last_event(&headers) {
        Ok(last) => last,
        Err(refused) => return *refused,
    };
    let Ok(place) = Arc::clone(&state.events.places).try_acquire_owned() else {
        return full();
    };
    let news = state.events.news.follow();
    let number = match begin(&state.store, last).await {
        Ok(number) => number,
        Err(error) => {
            tracing::warn!(%error, "the events cannot be read");
            let title = "the events cannot be read now";
            let hint = "see the server's log";
            return refusal(StatusCode::SERVICE_UNAVAILABLE, Code::Storage, title, hint);
        }
    };
    let (pages, waiting) = mpsc::channel(WAITING_MAX);
    let reader = Reader {
        store: state.store.clone(),
        tail: state.events.tail.clone(),
        namespace: state.events.namespace.clone(),
        bearers: Arc::clone(&state.bearers),
        token: token_of(&headers),
        groups: Vec::new(),
        number,
        pages,
    };
    tokio::spawn(reader.read(news));
    let body = Body::new(Pages {
        waiting,
        _place: place,
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

/// The number behind which a reader wants events: the newest, for who had none.
async fn begin(store: &SledStore, last: Option<EventId>) -> Result<u64, ReadError> {
    let head = ends(store).await?;
    Ok(match last {
        None => head.number,
        Some(id) if id.origin_ms == head.origin_ms => id.number.min(head.number),
        // Of a store that is gone: all of this one is new.
        Some(_) => 0,
    })
}

/// The token of a request that has one.
fn token_of(headers: &HeaderMap) -> String {
    let credentials = headers.get(header::AUTHORIZATION);
    let credentials = credentials.and_then(|value| value.to_str().ok());
    let token = credentials.and_then(bearer);
    token.unwrap_or_default().to_owned()
}

fn last_event(headers: &HeaderMap) -> Result<Option<EventId>, Box<Response>> {
    let Some(value) = single(headers, &LAST, Code::Request)? else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| {
        let (title, hint) = (
            "Last-Event-ID is the id of no event",
            "send an id as it came, or leave the header out",
        );
        Box::new(refusal(StatusCode::BAD_REQUEST, Code::Request, title, hint))
    })
}

fn full() -> Response {
    let title = format!("{READERS_MAX} others read events");
    let hint = format!("try again in {AGAIN_SECS} s");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut refused = refusal(status, Code::Busy, &title, &hint);
    let headers = refused.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(AGAIN_SECS));
    refused
}

/// One reader, and how far it is.
struct Reader {
    store: SledStore,
    tail: Tail,
    namespace: Namespace,
    bearers: Arc<dyn TokenAuth>,
    /// Looked up again and again: a user who is removed reads no more.
    token: String,
    /// The only groups that it may see; empty means all.
    groups: Vec<GroupId>,
    number: u64,
    pages: mpsc::Sender<Bytes>,
}

impl Reader {
    /// Reads until the client or its user is gone, the store cannot be read, or the server ends.
    async fn read(mut self, mut news: watch::Receiver<u64>) {
        while let Some((_, rights)) = self.bearers.user_of(&self.token) {
            self.groups = rights.groups;
            let page = match self.page().await {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(%error, "a reader of events is cut");
                    return;
                }
            };
            let more = !page.is_empty();
            let said = match more {
                true => page,
                // Nothing of its groups, or a sign of life.
                false => Bytes::from_static(b":\n\n"),
            };
            // A connection on which nothing moves is closed by the listener.
            if self.pages.send(said).await.is_err() {
                return;
            }
            if more {
                continue;
            }
            tokio::select! {
                woken = tokio::time::timeout(SIGN, news.changed()) => {
                    match woken {
                        Ok(Ok(())) => tokio::time::sleep(BEAT).await,
                        Ok(Err(_)) => return,
                        Err(_) => {}
                    }
                }
                () = self.pages.closed() => return,
            }
        }
    }

    /// The next events for it; empty when there are none.
    async fn page(&mut self) -> Result<Bytes, ReadError> {
        let mut text = String::new();
        while text.is_empty() {
            let wanted = (self.number, PAGE);
            let (head, events) = self.tail.behind(&self.store, wanted).await?;
            let Some(last) = events.last() else {
                self.number = self.number.max(head.number);
                break;
            };
            self.number = last.id.number;
            let shown = events.iter().filter(|event| event.is_for(&self.groups));
            shown.for_each(|event| text += &self.frame(event));
        }
        Ok(text.into())
    }

    /// An event as a server sends it; its JSON has no line break.
    fn frame(&self, event: &KeptEvent) -> String {
        let (id, kind) = (event.id, &event.row.kind);
        let data = event.cloud_event(&self.namespace);
        format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
    }
}

/// What waits for the client, whose place is given back with it.
struct Pages {
    waiting: mpsc::Receiver<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Pages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = self.waiting.poll_recv(context);
        polled.map(|page| page.map(|page| Ok(Frame::data(page))))
    }
}
