//! The tasks that tell sinks. The file is read again soon after it changes; a sink that stays the same
//! goes on.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hoist_net::backoff::Backoff;
use hoist_orchestrator::events::{EventNews, KeptEvent, behind, ends};
use hoist_orchestrator::health::{Health, Stops};
use hoist_orchestrator::metrics::Metrics;
use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator_core::model::kept::EventId;
use hoist_orchestrator_core::model::row::EventHeadRow;
use hoist_protocol::code::Code;
use hoist_protocol::id::{Name, Namespace};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::deliver::{Delivery, deliver};
use super::state::{Progress, State, forget};
use super::{FILE, Sink, read};

/// Time between two looks at the file.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Events read at once.
const PAGE: usize = 32;
/// Longest time until the history is looked at by itself.
const REST: Duration = Duration::from_secs(15);
/// First bound of the pause between two attempts.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Last bound of it: a receiver that is back is told again within this time.
const BACKOFF_LAST: Duration = Duration::from_secs(300);

/// Everything that sinks are told from.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(crate) data_dir: PathBuf,
    pub(crate) store: Arc<SledStore>,
    pub(crate) news: EventNews,
    pub(crate) namespace: Namespace,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}

/// A sink with its task, which ends by being dropped.
struct Running {
    sink: Sink,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Tells all sinks for as long as the server runs.
    pub(crate) async fn run(self) {
        let mut running: BTreeMap<Name, Running> = BTreeMap::new();
        loop {
            match read(&self.data_dir) {
                Ok(sinks) => {
                    self.health.end(FILE);
                    self.go_on_with(sinks, &mut running);
                }
                Err(failure) => {
                    let code = Code::parse(&failure.code).unwrap_or(Code::Config);
                    if !self.health.is_known(FILE) {
                        tracing::error!(
                            code = code.as_str(),
                            why = failure.what,
                            "the sinks are not usable, those before stay in effect"
                        );
                    }
                    self.health.begin(FILE, code, &failure.what, Stops::Part);
                }
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }

    /// Begins what is new, ends what is gone, and begins anew what has changed.
    fn go_on_with(&self, sinks: Vec<Sink>, running: &mut BTreeMap<Name, Running>) {
        running.retain(|id, known| {
            let stays = sinks.contains(&known.sink) && !known.task.is_finished();
            if !sinks.iter().any(|sink| sink.id == *id) {
                known.task.abort();
                forget(&self.data_dir, id);
                self.metrics.sink_gone(id.as_str());
                tracing::info!(sink = %id, "sink removed");
            }
            stays
        });
        for sink in sinks {
            if !running.contains_key(&sink.id) {
                tracing::info!(sink = %sink.id, "sink begins");
                let told = Told {
                    state: State::of(&self.data_dir, &sink.id),
                    follower: self.clone(),
                    sink: sink.clone(),
                };
                let task = tokio::spawn(told.run());
                running.insert(sink.id.clone(), Running { sink, task });
            }
        }
    }
}

/// One sink that is told.
struct Told {
    follower: Follower,
    sink: Sink,
    state: State,
}

impl Told {
    async fn run(self) {
        let mut news = self.follower.news.follow();
        loop {
            if let Err(error) = self.tell_new(&mut news).await {
                tracing::warn!(sink = %self.sink.id, %error, "a sink waits");
                tokio::time::sleep(BACKOFF_FIRST).await;
            }
        }
    }

    /// Tells what is new, then waits for more.
    async fn tell_new(
        &self,
        news: &mut watch::Receiver<u64>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let store = &*self.follower.store;
        let head = ends(store).await?;
        let mut progress = self.begin(&head).await?;
        let last = progress.id().filter(|id| id.origin_ms == head.origin_ms);
        let number = last.map_or(0, |id| id.number);
        self.follower
            .metrics
            .sink_waiting(self.sink.id.as_str(), head.number.saturating_sub(number));
        let events = behind(store, &head, (number, PAGE)).await?;
        if events.is_empty() {
            let _woken = tokio::time::timeout(REST, news.changed()).await;
            return Ok(());
        }
        let gone = events[0].id.number.saturating_sub(number + 1);
        if gone > 0 {
            let why = "the history no longer had them when the sink could be told";
            self.give_up(&format!("{{\"events\":{gone}}}"), why).await?;
        }
        for event in &events {
            self.tell(event, &mut progress).await?;
        }
        Ok(())
    }

    /// How far it is; a new one begins with what happens from now on.
    async fn begin(&self, head: &EventHeadRow) -> io::Result<Progress> {
        if let Some(progress) = self.state.progress() {
            return Ok(progress);
        }
        let progress = Progress::at(EventId {
            origin_ms: head.origin_ms,
            number: head.number,
        });
        self.save(&progress).await?;
        Ok(progress)
    }

    /// Tells one event until it is taken or given up; then the sink is behind it, durably.
    async fn tell(&self, event: &KeptEvent, progress: &mut Progress) -> io::Result<()> {
        if self.sink.wants(&event.row.kind) {
            let delivery = Delivery {
                id: event.id.to_string(),
                kind: event.row.kind.clone(),
                body: event.cloud_event(&self.follower.namespace).to_string(),
            };
            self.insist(&delivery, progress).await?;
        }
        *progress = Progress::at(event.id);
        self.save(progress).await
    }

    async fn insist(&self, delivery: &Delivery, progress: &mut Progress) -> io::Result<()> {
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_LAST);
        loop {
            let Err(why) = deliver(&self.sink, delivery).await else {
                return Ok(());
            };
            let since = *progress.failing_since.get_or_insert_with(unix_s);
            if progress.why.as_ref() != Some(&why) {
                tracing::warn!(sink = %self.sink.id, event = delivery.id, why, "a sink does not take an event");
                progress.why = Some(why.clone());
                self.save(progress).await?;
            }
            if unix_s().saturating_sub(since) >= self.sink.give_up_secs {
                return self.give_up(&delivery.body, &why).await;
            }
            tokio::time::sleep(backoff.pause().mul_f64(random_part())).await;
            backoff.lengthen();
        }
    }

    /// Writes how far it is, where it holds up nobody else.
    async fn save(&self, progress: &Progress) -> io::Result<()> {
        let (state, progress) = (self.state.clone(), progress.clone());
        let saved = tokio::task::spawn_blocking(move || state.save(&progress));
        saved.await.map_err(io::Error::other)?
    }

    async fn give_up(&self, event: &str, why: &str) -> io::Result<()> {
        tracing::error!(sink = %self.sink.id, why, "an event is given up: it is among the dead letters of its sink");
        self.follower.metrics.sink_dead(self.sink.id.as_str());
        let (state, event, why) = (self.state.clone(), event.to_owned(), why.to_owned());
        let buried = tokio::task::spawn_blocking(move || state.bury(&event, &why));
        buried.await.map_err(io::Error::other)?
    }
}

fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A number from a half to 1: who failed together does not come again together.
fn random_part() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0_u8);
    0.5 + f64::from(u32::try_from(random >> 33).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
