//! Sessions of people who logged in: in memory, so that a restart ends them all. A session knows its
//! token by its hash alone, and has no rights of its own: they are looked up at each request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hoist_orchestrator::config::Rights;
use hoist_protocol::id::{UserId, sha256};

use crate::secret;

/// The longest life of a session: a working day.
pub(crate) const LIFE: Duration = Duration::from_secs(12 * 3_600);
/// Sessions of all people: a few hundred bytes each. More make the oldest end.
const SESSIONS_MAX: usize = 4_096;
/// Sessions of one person, so that nobody who loses cookies ends those of others.
const OF_ONE_MAX: usize = 32;

/// A session that lasts.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The hash of the token it was opened with.
    pub(crate) token_sha256: [u8; 32],
    /// The user and rights at its opening: it ends when they change.
    pub(crate) user: UserId,
    pub(crate) rights: Rights,
    /// The text that every form of the session carries.
    pub(crate) csrf: String,
    /// The last thing that was done, to be told once.
    notice: Option<String>,
    since: Instant,
}

/// The sessions there are, by the hash of their cookie.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: Mutex<HashMap<[u8; 32], Session>>,
}

impl Sessions {
    /// Opens a session, and returns its cookie; `None` when the system has no randomness to give.
    pub(crate) fn open(
        &self,
        token_sha256: [u8; 32],
        (user, rights): (UserId, Rights),
        now: Instant,
    ) -> Option<String> {
        let (cookie, csrf) = (secret::draw()?, secret::draw()?);
        let mut all = self.all();
        all.retain(|_, session| session.lasts(now));
        let of_one = all.values().filter(|session| session.user == user).count();
        if of_one >= OF_ONE_MAX {
            end_oldest(&mut all, Some(&user));
        }
        if all.len() >= SESSIONS_MAX {
            end_oldest(&mut all, None);
        }
        let session = Session {
            token_sha256,
            user,
            rights,
            csrf,
            notice: None,
            since: now,
        };
        all.insert(sha256(cookie.as_bytes()), session);
        Some(cookie)
    }

    /// The session of a cookie, unless it is over.
    pub(crate) fn find(&self, cookie: &str, now: Instant) -> Option<Session> {
        let all = self.all();
        let session = all.get(&sha256(cookie.as_bytes()))?;
        session.lasts(now).then(|| session.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, cookie: &str) {
        self.all().remove(&sha256(cookie.as_bytes()));
    }

    /// Keeps a sentence that is told on the next page.
    pub(crate) fn tell(&self, cookie: &str, notice: String) {
        if let Some(session) = self.all().get_mut(&sha256(cookie.as_bytes())) {
            session.notice = Some(notice);
        }
    }

    /// The sentence that is to be told now.
    pub(crate) fn told(&self, cookie: &str) -> Option<String> {
        let mut all = self.all();
        all.get_mut(&sha256(cookie.as_bytes()))?.notice.take()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < LIFE
    }
}

/// Ends the oldest session, of a user or of all.
fn end_oldest(all: &mut HashMap<[u8; 32], Session>, of: Option<&UserId>) {
    let mine = all
        .iter()
        .filter(|(_, session)| of.is_none_or(|user| session.user == *user));
    let oldest = mine.min_by_key(|(_, session)| session.since);
    if let Some(key) = oldest.map(|(key, _)| *key) {
        all.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use hoist_protocol::access::Role;

    use super::*;

    fn rights() -> Rights {
        Rights {
            role: Role::Viewer,
            groups: Vec::new(),
        }
    }

    fn open(sessions: &Sessions, user: &str, now: Instant) -> String {
        let user = user.parse().unwrap();
        sessions.open([7; 32], (user, rights()), now).unwrap()
    }

    #[test]
    fn a_session_lasts_for_its_life_and_no_longer() {
        // bad-inputs row 89
        let (sessions, now) = (Sessions::default(), Instant::now());
        let cookie = open(&sessions, "ann", now);
        assert!(sessions.find(&cookie, now + LIFE / 2).is_some());
        assert!(sessions.find(&cookie, now + LIFE).is_none());
        assert!(sessions.find("guessed", now).is_none());
        sessions.end(&cookie);
        assert!(sessions.find(&cookie, now).is_none());
    }

    #[test]
    fn too_many_sessions_end_the_oldest_of_the_same_person() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let other = open(&sessions, "bob", now);
        let first = open(&sessions, "ann", now);
        for n in 0..OF_ONE_MAX as u64 {
            open(&sessions, "ann", now + Duration::from_secs(n + 1));
        }
        assert!(sessions.find(&first, now).is_none());
        assert!(sessions.find(&other, now).is_some());
    }

    #[test]
    fn a_notice_is_told_once() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let cookie = open(&sessions, "ann", now);
        sessions.tell(&cookie, "done".to_owned());
        assert_eq!(sessions.told(&cookie).as_deref(), Some("done"));
        assert_eq!(sessions.told(&cookie), None);
    }
}
