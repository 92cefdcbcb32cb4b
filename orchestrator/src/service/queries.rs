//! Queries of people, answered beside the loop by reads of what is durable: a list of ten thousand
//! devices holds neither a status nor an abort up. Each user has a line of their own, and whoever
//! asks more than that is told when to come again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_protocol::id::{DeviceId, GroupId, UserId};
use hoist_protocol::rate::{Bucket, Rate};

use super::replies::Answered;
use crate::query::Question;
use crate::rows::ReadError;

/// Queries answered at once: as many as a small machine has processors, so that most of one is
/// left for the loop whatever they read.
const AT_ONCE: usize = 2;
/// Queries of one user that wait or are being answered: a page of a browser asks a handful, a
/// program that registers a fleet 16 at a time.
const OF_ONE_MAX: usize = 32;
/// The pace of a viewer's queries: a list of 10 000 devices is 400 pages, one after another.
pub(super) const VIEWER: Rate = Rate {
    per_second: 100,
    burst: 500,
};
/// The pace of other users' queries: their programs ask about each device of a fleet.
pub(super) const OPERATOR: Rate = Rate {
    per_second: 1_000,
    burst: 2_000,
};
/// Users that are remembered; one who asked nothing lately need not be.
const USERS_MAX: usize = 1_024;

/// A question, and where its answer goes.
pub(super) struct Query {
    pub(super) question: Question,
    pub(super) answered: Answered,
    /// Given back by being dropped.
    places: Vec<Arc<()>>,
}

impl Query {
    /// `answered` has no outcome yet.
    pub(super) fn new(question: Question, answered: Answered) -> Self {
        Self {
            question,
            answered,
            places: Vec::new(),
        }
    }

    pub(super) fn user(&self) -> UserId {
        self.answered.key().0
    }
}

/// The state of a query.
pub(super) enum Asked {
    /// It was answered, or nobody waits any more.
    Told,
    /// Its answer, of which members are still to be counted.
    Plan(Box<Answered>),
    /// It lacks what only the loop knows.
    Specs(Box<Query>, GroupId, DeviceId),
    /// Its rows could not be read.
    Failed(Box<Answered>, ReadError),
}

/// Somebody's line.
struct Line {
    waiting: VecDeque<Query>,
    rate: Rate,
    left: Bucket,
    /// One more holder for each query that waits or is being answered.
    place: Arc<()>,
}

impl Line {
    /// The number of queries that wait or are being answered.
    fn len(&self) -> usize {
        Arc::strong_count(&self.place) - 1
    }
}

/// Everybody's lines.
pub(super) struct Queries {
    /// The moment from which times are counted: by no clock that somebody sets.
    began: Instant,
    lines: BTreeMap<UserId, Line>,
    /// The users who have something waiting, in the order of their turns.
    turns: VecDeque<UserId>,
    /// One more holder for each query that is being answered.
    running: Arc<()>,
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            lines: BTreeMap::new(),
            turns: VecDeque::new(),
            running: Arc::default(),
        }
    }
}

impl Queries {
    /// Takes a query into its user's line.
    ///
    /// # Errors
    /// The query, and the refusal that says when to come again.
    #[expect(
        clippy::result_large_err,
        reason = "a query that is refused goes back whole"
    )]
    pub(super) fn enter(
        &mut self,
        mut query: Query,
        rate: Rate,
        now_ms: u64,
    ) -> Result<(), (Query, Rejection)> {
        self.forget(now_ms);
        let user = query.user();
        let line = self.lines.entry(user.clone()).or_insert_with(|| Line {
            waiting: VecDeque::new(),
            rate,
            left: Bucket::full(rate, now_ms),
            place: Arc::default(),
        });
        line.rate = rate;
        let key = query.answered.key();
        let asked = |other: &Query| other.answered.is_by_mqtt() && other.answered.key() == key;
        if query.answered.is_by_mqtt() && line.waiting.iter().any(asked) {
            // A repeat of what is waiting; it is answered once.
            return Ok(());
        }
        if line.len() >= OF_ONE_MAX {
            let why = format!("{OF_ONE_MAX} queries of {user} are being answered");
            return Err((query, busy(why, 1_000)));
        }
        if let Err(wait_ms) = line.left.take(1, rate, now_ms) {
            let why = format!("{user} asks more than {} times a second", rate.per_second);
            return Err((query, busy(why, wait_ms)));
        }
        query.places.push(Arc::clone(&line.place));
        if line.waiting.is_empty() {
            self.turns.push_back(user);
        }
        line.waiting.push_back(query);
        Ok(())
    }

    /// The next query to answer, user by user, if there is room for one.
    pub(super) fn next(&mut self) -> Option<Query> {
        if Arc::strong_count(&self.running) > AT_ONCE {
            return None;
        }
        loop {
            let user = self.turns.pop_front()?;
            let Some(line) = self.lines.get_mut(&user) else {
                continue;
            };
            let next = line.waiting.pop_front();
            if !line.waiting.is_empty() {
                self.turns.push_back(user);
            }
            match next {
                Some(query) if query.answered.is_given_up() => {}
                Some(mut query) => {
                    query.places.push(Arc::clone(&self.running));
                    return Some(query);
                }
                None => {}
            }
        }
    }

    pub(super) fn passed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Makes room for other users.
    fn forget(&mut self, now_ms: u64) {
        if self.lines.len() >= USERS_MAX {
            self.lines
                .retain(|_, line| line.len() > 0 || !line.left.is_full(line.rate, now_ms));
        }
    }
}

/// Says when to come again.
fn busy(why: String, wait_ms: u64) -> Rejection {
    let seconds = wait_ms.div_ceil(1_000).max(1);
    Rejection::new(Code::Busy, why).hint(format!("ask again in {seconds} s"))
}

#[cfg(test)]
mod tests {
    use hoist_orchestrator_core::api::command::{Command, DeviceList};
    use hoist_orchestrator_core::model::now::{LivenessTimeouts, Mode, Now};

    use super::*;

    fn query(user: &str, request: u32) -> Query {
        let now = Now {
            unix_ms: 0,
            uptime_ms: 0,
            patience: LivenessTimeouts {
                grace_ms: 0,
                settle_ms: 0,
            },
            mode: Mode::Serving,
            ..Now::default()
        };
        let user: UserId = user.parse().unwrap();
        let command = Command::DeviceList(DeviceList::default());
        let question = Question::new(user.clone(), command, now);
        let request = format!("q{request}").parse().unwrap();
        let unknown = Err(Rejection::new(Code::Internal, "nothing yet"));
        Query::new(question, Answered::new(user, request, unknown, None))
    }

    fn hint(entered: Result<(), (Query, Rejection)>) -> Option<String> {
        entered.err().and_then(|(_, rejection)| rejection.hint)
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_come_again() {
        let mut queries = Queries::default();
        for number in 0..VIEWER.burst {
            assert!(
                queries.enter(query("vera", number), VIEWER, 0).is_ok(),
                "{number}"
            );
            drop(queries.next());
        }
        let hint = hint(queries.enter(query("vera", VIEWER.burst), VIEWER, 0));
        assert_eq!(hint.as_deref(), Some("ask again in 1 s"));
        assert!(queries.enter(query("alice", 0), VIEWER, 0).is_ok());
        assert!(
            queries
                .enter(query("vera", VIEWER.burst), VIEWER, 1_000)
                .is_ok()
        );
    }

    #[test]
    fn users_take_turns_and_so_many_are_answered_at_once() {
        let mut queries = Queries::default();
        for (user, number) in [("vera", 0), ("vera", 1), ("vera", 2), ("alice", 0)] {
            assert!(queries.enter(query(user, number), VIEWER, 0).is_ok());
        }
        let first = queries.next().unwrap();
        let second = queries.next().unwrap();
        assert_eq!(
            (first.user().as_str(), second.user().as_str()),
            ("vera", "alice")
        );
        assert!(queries.next().is_none(), "two are being answered");
        drop(first);
        assert_eq!(queries.next().unwrap().user().as_str(), "vera");
    }

    #[test]
    fn a_repeat_of_what_waits_is_answered_once() {
        let mut queries = Queries::default();
        for _ in 0..100 {
            assert!(queries.enter(query("vera", 1), VIEWER, 0).is_ok());
        }
        let first = queries.next();
        assert!(first.is_some() && queries.next().is_none());
    }
}
