//! Retained JSON for people: at most five a second for each view, and always the last one.
//! A view is computed when it is published, so that many changes cost one reading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hoist_orchestrator_core::model::key::Prefix;
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::row::{DeploymentRow, GroupRow};
use hoist_orchestrator_core::model::time::format_time;
use hoist_orchestrator_core::query;
use hoist_orchestrator_core::reply::view::{HealthView, ProblemItem};
use hoist_orchestrator_core::reply::{API_VERSION, FrozenItem};
use hoist_protocol::topic::{Topic, Topics, View};

use crate::health::{Health, Problem};
use crate::live::LiveViews;
use crate::query::read;
use crate::rows::{self, ReadError};
use crate::store::Store;
use crate::transport::{Connection, Outgoing};
use crate::unix_time::unix_ms;

/// A view as it is published.
type Json = Result<Vec<u8>, serde_json::Error>;

/// Problems that a view names: whoever mends them sees the others next.
const PROBLEMS_MAX: usize = 20;
/// Shortest time between two publishes of one view.
const PERIOD: Duration = Duration::from_millis(200);

/// The views that changed since they were published.
pub(crate) struct Views {
    store: Arc<dyn Store>,
    topics: Topics,
    changed: BTreeSet<View>,
    /// When each view went out; entries older than [`PERIOD`] are forgotten.
    recent: BTreeMap<View, Instant>,
    started_ms: u64,
    /// The freeze of everything, as of the last look at all views.
    frozen: Option<FrozenItem>,
    health: Health,
    live: LiveViews,
}

impl Views {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        topics: Topics,
        (health, live): (Health, LiveViews),
    ) -> Self {
        Self {
            health,
            live,
            store,
            topics,
            changed: BTreeSet::new(),
            recent: BTreeMap::new(),
            started_ms: unix_ms(),
            frozen: None,
        }
    }

    /// Notes that the content of a view may have changed.
    pub(crate) fn changed(&mut self, view: View) {
        self.changed.insert(view);
    }

    /// Every view may be missing at the broker.
    pub(crate) async fn all_changed(&mut self) -> Result<(), ReadError> {
        self.changed.extend([View::Fleet, View::Health]);
        self.frozen = read(&*self.store, query::frozen).await?;
        for (key, _) in rows::all::<GroupRow>(&*self.store, &Prefix::Groups).await? {
            let group = Prefix::Groups.rest(&key).and_then(|text| text.parse().ok());
            self.changed.extend(group.map(View::Group));
        }
        let prefix = Prefix::Deployments;
        for (key, _) in rows::all::<DeploymentRow>(&*self.store, &prefix).await? {
            let id = prefix.deployment(&key);
            self.changed.extend(id.map(View::Deployment));
        }
        Ok(())
    }

    /// Publishes the changed views that did not go out just now; the others stay changed.
    pub(crate) async fn publish_due(
        &mut self,
        connection: &dyn Connection,
        now: Now,
    ) -> Result<(), ReadError> {
        let changed: Vec<View> = self.changed.iter().cloned().collect();
        self.publish(&changed, connection, now).await
    }

    /// Publishes what changed of these views and did not go out just now. Whether none of
    /// them is left to be published.
    pub(crate) async fn settle(
        &mut self,
        views: &[View],
        connection: &dyn Connection,
        now: Now,
    ) -> Result<bool, ReadError> {
        self.publish(views, connection, now).await?;
        Ok(!views.iter().any(|view| self.is_changed(view)))
    }

    /// True if a view is to be published.
    pub(crate) fn is_changed(&self, view: &View) -> bool {
        self.changed.contains(view)
    }

    async fn publish(
        &mut self,
        views: &[View],
        connection: &dyn Connection,
        now: Now,
    ) -> Result<(), ReadError> {
        let at = Instant::now();
        self.recent
            .retain(|_, sent| at.duration_since(*sent) < PERIOD);
        let (changed, recent) = (&self.changed, &self.recent);
        let due = views
            .iter()
            .filter(|view| changed.contains(view) && !recent.contains_key(view));
        let due: Vec<View> = due.cloned().collect();
        for view in due {
            let topic = self.topics.format(&Topic::View(view.clone()));
            // Nothing is retained about what is gone.
            let payload = match self.render(&view, now).await? {
                Some(Err(error)) => {
                    tracing::error!(topic, %error, "a view is no JSON, the one before it stays");
                    self.changed.remove(&view);
                    continue;
                }
                Some(Ok(json)) => json,
                None => Vec::new(),
            };
            self.live.put(&view, &payload);
            let message = Outgoing::retained(topic, payload);
            if connection.publish(message).await.is_err() {
                // Everything is published again on the next connection.
                return Ok(());
            }
            self.changed.remove(&view);
            self.recent.insert(view, at);
        }
        Ok(())
    }

    /// A view's JSON, or `None` when what it is about is gone.
    async fn render(&self, view: &View, now: Now) -> Result<Option<Json>, ReadError> {
        let store = &*self.store;
        Ok(match view {
            View::Deployment(id) => {
                let view = read(store, |reader| query::deployment_view(reader, *id)).await?;
                view.map(|view| serde_json::to_vec(&view))
            }
            View::Group(group) => {
                let view = read(store, |reader| query::group_view(reader, group, now)).await?;
                view.map(|view| serde_json::to_vec(&view))
            }
            View::Fleet => {
                let view = read(store, |reader| query::fleet_view(reader, now)).await?;
                Some(serde_json::to_vec(&view))
            }
            View::Health => Some(serde_json::to_vec(&self.health_view(now))),
        })
    }

    fn health_view(&self, now: Now) -> HealthView {
        let problems = self.health.problems();
        let status = if problems.is_empty() {
            "ok"
        } else {
            "degraded"
        };
        let item = |problem: Problem| ProblemItem {
            about: problem.about,
            code: problem.code.as_str().to_owned(),
            detail: problem.detail,
            since: format_time(problem.since_ms),
        };
        HealthView {
            api_version: API_VERSION.to_owned(),
            status: status.to_owned(),
            problems: problems.into_iter().take(PROBLEMS_MAX).map(item).collect(),
            frozen: self.frozen.clone(),
            started_at: format_time(self.started_ms),
            updated_at: format_time(now.unix_ms),
        }
    }
}
