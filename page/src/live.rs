//! Live parts of pages, as server-sent events. A part is rendered once for each change, at most five
//! times a second, from views that are in memory, and shared by all who look at it: readers cost the
//! loop nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hoist_orchestrator::live::LiveViews;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::topic::View;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::Instant;

use crate::answer::Refused;
use crate::parts::{deployments, overview};
use crate::site::Site;
use crate::visitor::Visitor;

/// Shortest time between two renderings of one part.
const PERIOD: Duration = Duration::from_millis(200);
/// Time after which a reader is told that the server is there, and its session is looked at.
const ALIVE: Duration = Duration::from_secs(15);
/// Readers at once. Each holds a connection, and devices need some too.
const READERS_MAX: usize = 640;

/// A page with a live part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The fleet.
    Fleet,
    /// One deployment.
    Deployment(DeploymentId),
}

impl Part {
    /// True if a view is shown in it.
    fn shows(&self, view: &View) -> bool {
        match self {
            Self::Fleet => true,
            Self::Deployment(id) => *view == View::Deployment(*id),
        }
    }

    fn render(&self, live: &LiveViews) -> Arc<str> {
        let markup = match self {
            Self::Fleet => overview::live(live),
            Self::Deployment(id) => deployments::live(live, *id),
        };
        markup.into_string().into()
    }
}

/// The readers of live parts. Clones are the same.
#[derive(Clone)]
pub(crate) struct Hub {
    live: LiveViews,
    stop: watch::Receiver<bool>,
    parts: Arc<Mutex<BTreeMap<Part, watch::Sender<Arc<str>>>>>,
    places: Arc<Semaphore>,
}

impl Hub {
    pub(crate) fn new(live: LiveViews, stop: watch::Receiver<bool>) -> Self {
        Self {
            live,
            stop,
            parts: Arc::default(),
            places: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }

    /// The renderings of a part; the first reader has them begun, and the last has them end.
    fn watch(&self, part: &Part) -> watch::Receiver<Arc<str>> {
        let mut parts = self.parts();
        if let Some(sender) = parts.get(part) {
            return sender.subscribe();
        }
        // Before it is rendered, so that no change after that is missed.
        let changes = self.live.changes();
        let (sender, receiver) = watch::channel(part.render(&self.live));
        parts.insert(part.clone(), sender.clone());
        tokio::spawn(self.clone().keep(part.clone(), sender, changes));
        receiver
    }

    async fn keep(
        self,
        part: Part,
        sender: watch::Sender<Arc<str>>,
        mut changes: broadcast::Receiver<View>,
    ) {
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                () = sender.closed() => {
                    if self.forget(&part, &sender) {
                        return;
                    }
                }
                () = stopped(&mut stop) => {
                    self.parts().remove(&part);
                    return;
                }
                is_shown = next(&mut changes, &part) => {
                    if is_shown {
                        drain(&mut changes);
                        sender.send_replace(part.render(&self.live));
                        tokio::time::sleep(PERIOD).await;
                    }
                }
            }
        }
    }

    /// Ends the renderings of a part that nobody reads.
    fn forget(&self, part: &Part, sender: &watch::Sender<Arc<str>>) -> bool {
        let mut parts = self.parts();
        let is_read = sender.receiver_count() > 0;
        if !is_read {
            parts.remove(part);
        }
        !is_read
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<Part, watch::Sender<Arc<str>>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes once the server is to stop; a sender that is gone means the same.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// True if the next change shows in a part. Cancel-safe.
async fn next(changes: &mut broadcast::Receiver<View>, part: &Part) -> bool {
    match changes.recv().await {
        Ok(view) => part.shows(&view),
        Err(RecvError::Lagged(_)) => true,
        // The server ends; who waits is told by `stop`.
        Err(RecvError::Closed) => std::future::pending().await,
    }
}

/// Takes what is shown by the next rendering anyway.
fn drain(changes: &mut broadcast::Receiver<View>) {
    while matches!(changes.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
}

/// The fleet, live.
pub(crate) async fn fleet(State(site): State<Site>, visitor: Visitor) -> Response {
    events(&site, visitor, &Part::Fleet)
}

/// A deployment, live.
pub(crate) async fn deployment(
    State(site): State<Site>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Response {
    match number.parse::<u32>() {
        Ok(id) => events(&site, visitor, &Part::Deployment(DeploymentId(id))),
        Err(_) => {
            Refused::new(StatusCode::NOT_FOUND, "There is no such deployment", "").into_response()
        }
    }
}

/// One reader of a part.
struct Reader {
    site: Site,
    visitor: Visitor,
    renderings: watch::Receiver<Arc<str>>,
    /// When its session was looked at last.
    checked: Instant,
    _place: OwnedSemaphorePermit,
}

fn events(site: &Site, visitor: Visitor, part: &Part) -> Response {
    let Ok(place) = Arc::clone(&site.hub.places).try_acquire_owned() else {
        let title = "Too many people look at once";
        let hint = "The page is right as of its loading: load it anew.";
        return Refused::new(StatusCode::SERVICE_UNAVAILABLE, title, hint).into_response();
    };
    let mut reader = Reader {
        renderings: site.hub.watch(part),
        site: site.clone(),
        visitor,
        checked: Instant::now(),
        _place: place,
    };
    // What was rendered before the page was, or after: the first event has it.
    reader.renderings.mark_changed();
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.event().await?;
        Some((Ok::<Bytes, Infallible>(event), reader))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

impl Reader {
    /// The next event; none when the session or the server ends.
    async fn event(&mut self) -> Option<Bytes> {
        let changed = tokio::time::timeout(ALIVE, self.renderings.changed()).await;
        if self.checked.elapsed() >= ALIVE {
            self.checked = Instant::now();
            if !self.visitor.still_may(&self.site) {
                return None;
            }
        }
        match changed {
            Ok(Ok(())) => {
                let rendering = Arc::clone(&self.renderings.borrow_and_update());
                Some(part_event(&rendering))
            }
            Ok(Err(_)) => None,
            Err(_) => Some(Bytes::from_static(b": here\n\n")),
        }
    }
}

/// An event whose data is a part of a page.
fn part_event(rendering: &str) -> Bytes {
    let mut event = String::with_capacity(rendering.len() + 64);
    event.push_str("event: part\n");
    for line in rendering.split('\n') {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_several_lines_is_one_event() {
        let event = part_event("<p>a\nb</p>");
        assert_eq!(&event[..], b"event: part\ndata: <p>a\ndata: b</p>\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn all_readers_of_a_part_share_one_rendering_and_the_last_ends_it() {
        // bad-inputs row 91
        let (stop, stopped) = watch::channel(false);
        let hub = Hub::new(LiveViews::default(), stopped);
        let readers: Vec<_> = (0..500).map(|_| hub.watch(&Part::Fleet)).collect();
        assert_eq!(hub.parts().len(), 1);
        drop(readers);
        tokio::time::sleep(PERIOD).await;
        assert_eq!(hub.parts().len(), 0);
        let mut reader = hub.watch(&Part::Fleet);
        stop.send_replace(true);
        tokio::time::sleep(PERIOD).await;
        assert!(reader.changed().await.is_err(), "the stream ends");
    }
}
