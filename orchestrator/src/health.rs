//! Problems of the server now, as views, `/readyz`, events and the log tell people. Whoever notices
//! something says so here; nothing is decided by it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hoist_protocol::code::Code;

use crate::unix_time::unix_ms;

/// News that wait for a connection on which they can be told; the oldest are given up, and the
/// view of the server's health has what is still wrong.
const NEWS_MAX: usize = 256;

/// The extent of a problem: what stops because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stops {
    /// The server as a whole: it is not ready.
    Server,
    /// Only what it is about.
    Part,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The subject of the problem: `store`, `users.toml`, `artifact <id>`. One problem each.
    pub about: String,
    /// The kind of failure.
    pub code: Code,
    /// One sentence with the particulars.
    pub detail: String,
    /// The extent of the problem.
    pub stops: Stops,
    /// Since when, Unix ms.
    pub since_ms: u64,
}

/// A problem that began, or is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Which.
    pub problem: Problem,
    /// True if it is over.
    pub over: bool,
}

/// The problems there are. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    problems: BTreeMap<String, Problem>,
    news: VecDeque<News>,
    /// True if problems are described in other words than when that was asked last.
    reworded: bool,
}

impl State {
    fn tell(&mut self, problem: Problem, over: bool) {
        if self.news.len() == NEWS_MAX {
            self.news.pop_front();
        }
        self.news.push_back(News { problem, over });
    }
}

impl Health {
    /// There is a problem. The same one again is no event, whatever its particulars are by now:
    /// how much space is left changes with every look. They are shown as they are now. One of
    /// another kind about the same thing takes its place.
    pub fn begin(&self, about: &str, code: Code, detail: &str, stops: Stops) {
        let mut state = self.state();
        let before = state.problems.get(about);
        let is_new = before.is_none_or(|before| before.code != code);
        let problem = Problem {
            about: about.to_owned(),
            code,
            detail: detail.to_owned(),
            stops,
            since_ms: before.map_or_else(unix_ms, |before| before.since_ms),
        };
        let reworded = before != Some(&problem);
        state.reworded |= reworded;
        state.problems.insert(about.to_owned(), problem.clone());
        if is_new {
            state.tell(problem, false);
        }
    }

    /// True if there is a problem about this.
    #[must_use]
    pub fn is_known(&self, about: &str) -> bool {
        self.state().problems.contains_key(about)
    }

    /// The problem about this is over, if there was one.
    pub fn end(&self, about: &str) {
        let mut state = self.state();
        if let Some(problem) = state.problems.remove(about) {
            state.tell(problem, true);
        }
    }

    /// All problems, what stops the whole server first.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut all: Vec<Problem> = self.state().problems.values().cloned().collect();
        all.sort_by_key(|problem| problem.stops == Stops::Part);
        all
    }

    /// The problem that stops the whole server, if there is one.
    #[must_use]
    pub fn stopped_by(&self) -> Option<Problem> {
        let first = self.problems().into_iter().next();
        first.filter(|problem| problem.stops == Stops::Server)
    }

    /// The problems that began and ended since the last call.
    pub(crate) fn take_news(&self) -> VecDeque<News> {
        std::mem::take(&mut self.state().news)
    }

    /// True if the description of any problem has changed since the last call.
    pub(crate) fn take_reworded(&self) -> bool {
        std::mem::take(&mut self.state().reworded)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_news_when_it_begins_becomes_another_and_is_over() {
        let health = Health::default();
        let full = |detail| health.begin("store", Code::Space, detail, Stops::Server);
        health.begin("users.toml", Code::Config, "line 3", Stops::Part);
        full("no space");
        full("no space");
        assert_eq!(health.take_news().len(), 2);
        assert_eq!(health.problems()[0].about, "store");
        full("still no space");
        assert_eq!(health.take_news().len(), 0);
        assert_eq!(health.stopped_by().unwrap().detail, "still no space");
        health.begin("store", Code::Storage, "read-only", Stops::Server);
        assert_eq!(health.take_news().len(), 1);
        health.end("store");
        health.end("store");
        let news = health.take_news();
        assert!(news.len() == 1 && news[0].over, "{news:?}");
        assert_eq!(health.stopped_by(), None);
        assert_eq!(health.problems().len(), 1);
    }

    #[test]
    fn whatever_else_is_said_of_a_problem_is_to_be_shown_though_it_is_no_event() {
        let health = Health::default();
        let wrong = |detail| health.begin("users.toml", Code::Config, detail, Stops::Part);
        wrong("line 3");
        health.take_news();
        assert!(health.take_reworded());
        wrong("line 3");
        assert!(!health.take_reworded());
        wrong("line 6");
        assert_eq!(
            (health.take_news().len(), health.take_reworded()),
            (0, true)
        );
    }

    #[test]
    fn news_that_nobody_takes_are_bounded_and_end_with_the_newest() {
        let health = Health::default();
        for _ in 0..NEWS_MAX {
            health.begin("store", Code::Space, "no space", Stops::Server);
            health.end("store");
        }
        let news = health.take_news();
        assert_eq!(news.len(), NEWS_MAX);
        assert!(news.back().unwrap().over);
    }
}
