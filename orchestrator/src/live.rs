//! Views as they were published last, for those who show them in this process. Taking one in never
//! waits: who is too slow to hear of every change sees the last one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::topic::View;
use tokio::sync::broadcast;

use crate::unix_time::unix_ms;

/// Changes that a reader may be behind before it looks at everything anew.
const BEHIND_MAX: usize = 256;
/// Samples of a deployment's course; when there are more, every second one is forgotten.
const SAMPLES_MAX: usize = 240;
/// Deployments whose course is remembered; the oldest ones are forgotten.
const COURSES_MAX: usize = 64;

/// A view of a deployment at one time, to draw its course.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it was published, Unix ms.
    pub at_ms: u64,
    /// Its JSON.
    pub view: Bytes,
}

/// The views there are. Clones are the same.
#[derive(Debug, Clone)]
pub struct LiveViews {
    state: Arc<Mutex<State>>,
    changes: broadcast::Sender<View>,
}

#[derive(Debug, Default)]
struct State {
    views: BTreeMap<View, Bytes>,
    courses: BTreeMap<DeploymentId, VecDeque<Sample>>,
}

impl Default for LiveViews {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            changes: broadcast::Sender::new(BEHIND_MAX),
        }
    }
}

impl LiveViews {
    /// The last JSON of a view; `None` of what is gone, or was not published yet.
    #[must_use]
    pub fn last(&self, view: &View) -> Option<Bytes> {
        self.state().views.get(view).cloned()
    }

    /// The last JSON of all deployments, by their numbers.
    #[must_use]
    pub fn deployments(&self) -> Vec<Bytes> {
        let of = |(view, json): (&View, &Bytes)| {
            matches!(view, View::Deployment(_)).then(|| json.clone())
        };
        self.state().views.iter().filter_map(of).collect()
    }

    /// The last JSON of all groups, by their names.
    #[must_use]
    pub fn groups(&self) -> Vec<Bytes> {
        let of =
            |(view, json): (&View, &Bytes)| matches!(view, View::Group(_)).then(|| json.clone());
        self.state().views.iter().filter_map(of).collect()
    }

    /// The views of a deployment since the server started, thinned, oldest first.
    #[must_use]
    pub fn course(&self, deployment: DeploymentId) -> Vec<Sample> {
        let state = self.state();
        let course = state.courses.get(&deployment);
        course.into_iter().flatten().cloned().collect()
    }

    /// The views that change from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<View> {
        self.changes.subscribe()
    }

    /// A view was published; an empty one is of something that is gone.
    pub(crate) fn put(&self, view: &View, json: &[u8]) {
        let mut state = self.state();
        if json.is_empty() {
            state.views.remove(view);
            if let View::Deployment(deployment) = view {
                state.courses.remove(deployment);
            }
        } else {
            let json = Bytes::copy_from_slice(json);
            if let View::Deployment(deployment) = view {
                state.sample(*deployment, json.clone());
            }
            state.views.insert(view.clone(), json);
        }
        drop(state);
        // Nobody may be looking.
        let _ = self.changes.send(view.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sample(&mut self, deployment: DeploymentId, view: Bytes) {
        let course = self.courses.entry(deployment).or_default();
        if course.back().is_some_and(|last| last.view == view) {
            return;
        }
        let at_ms = unix_ms();
        course.push_back(Sample { at_ms, view });
        if course.len() > SAMPLES_MAX {
            let mut keeps = false;
            course.retain(|_| {
                keeps = !keeps;
                keeps
            });
        }
        if self.courses.len() > COURSES_MAX {
            self.courses.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_there_until_what_it_is_about_is_gone() {
        let live = LiveViews::default();
        let mut changes = live.changes();
        let view = View::Deployment(DeploymentId(7));
        live.put(&view, b"{}");
        assert_eq!(live.last(&view).as_deref(), Some(&b"{}"[..]));
        assert_eq!(live.deployments().len(), 1);
        assert_eq!(changes.try_recv().unwrap(), view);
        live.put(&view, b"");
        assert_eq!(live.last(&view), None);
        assert!(live.course(DeploymentId(7)).is_empty());
    }

    #[test]
    fn a_course_keeps_its_first_and_last_samples_in_bounded_room() {
        let live = LiveViews::default();
        for n in 0..5_000 {
            live.put(&View::Deployment(DeploymentId(1)), n.to_string().as_bytes());
        }
        let course = live.course(DeploymentId(1));
        assert!(course.len() <= SAMPLES_MAX, "{}", course.len());
        assert_eq!(&course[0].view[..], b"0");
        assert_eq!(&course[course.len() - 1].view[..], b"4999");
    }
}
