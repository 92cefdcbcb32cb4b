//! Looks for what has been kept for long enough, beside the loop and page by page. What is to
//! go is decided by the rules, by the rows of then.

use std::time::{Duration, Instant};

use hoist_orchestrator_core::model::counter::Totals;
use hoist_orchestrator_core::model::damage::Damage;
use hoist_orchestrator_core::model::key::{Key, Prefix};
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::row::{CounterRow, DeploymentRow, DeviceRow};
use hoist_orchestrator_core::model::search::{Left, Old};
use hoist_orchestrator_core::rules::deployment::retention::{self, PAGE};
use hoist_protocol::codec::{Message, decode};
use hoist_protocol::id::DeploymentId;

use crate::rows::{self, ReadError};
use crate::store::Store;

/// Removed with one commit: a status waits no longer for it than for others of its kind.
pub(crate) const OLD_MAX: usize = 16;
/// Longest time between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Shortest time between two looks.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// When it is looked next.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// When the last look began.
    looked: Option<Instant>,
    /// True if one is being taken.
    looking: bool,
}

impl Looks {
    /// True if it is time for a look; it begins then.
    pub(crate) fn begin(&mut self, now: Now, at: Instant) -> bool {
        let keep = [now.keep.ended_deployments_ms, now.keep.silent_devices_ms];
        let Some(shortest_ms) = keep.into_iter().flatten().min() else {
            return false;
        };
        let pause = Duration::from_millis(shortest_ms / 10).clamp(PAUSE_MIN, PAUSE_MAX);
        let passed = |looked: Instant| at.saturating_duration_since(looked) >= pause;
        if self.looking || !self.looked.is_none_or(passed) {
            return false;
        }
        (self.looked, self.looking) = (Some(at), true);
        true
    }

    /// A look is over; there may be more to be found.
    pub(crate) fn end(&mut self, found: usize) {
        self.looking = false;
        if found >= OLD_MAX {
            self.looked = None;
        }
    }
}

/// The things that may have been kept for long enough, so many at most.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn find(store: &dyn Store, now: Now) -> Result<Vec<Old>, ReadError> {
    let mut old = Vec::new();
    if now.keep.ended_deployments_ms.is_some() {
        let mut pages = Pages::of(Prefix::Deployments);
        while let Some(page) = pages.next::<DeploymentRow>(store).await? {
            for (key, row) in page {
                let id = Prefix::Deployments.deployment(&key);
                let Some(id) = id.filter(|_| retention::may_be_old(&row, now)) else {
                    continue;
                };
                let (totals, changed_ms) = counted(store, id).await?;
                if retention::is_old(&row, &totals, changed_ms, now) {
                    old.push(Old::Deployment(id));
                }
                if old.len() >= OLD_MAX {
                    return Ok(old);
                }
            }
        }
    }
    if now.keep.silent_devices_ms.is_some() {
        silent(store, now, &mut old).await?;
    }
    Ok(old)
}

async fn silent(store: &dyn Store, now: Now, old: &mut Vec<Old>) -> Result<(), ReadError> {
    let instance = rows::instance(store).await?;
    let mut pages = Pages::of(Prefix::Devices);
    while let Some(page) = pages.next::<DeviceRow>(store).await? {
        let silent = page
            .into_iter()
            .filter(|(_, row)| retention::is_silent(row, &instance, now));
        let named = silent.filter_map(|(key, _)| Prefix::Devices.rest(&key)?.parse().ok());
        old.extend(named.map(Old::Device));
        if old.len() >= OLD_MAX {
            old.truncate(OLD_MAX);
            break;
        }
    }
    Ok(())
}

/// A deployment's counters, summed, and when one of them changed last, Unix time in ms.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn counted(
    store: &dyn Store,
    id: DeploymentId,
) -> Result<(Totals, u64), ReadError> {
    let (mut totals, mut changed_ms) = (Totals::default(), 0);
    for (_, row) in rows::all::<CounterRow>(store, &Prefix::Counters(id)).await? {
        totals.add(&row);
        changed_ms = changed_ms.max(row.updated_ms);
    }
    Ok((totals, changed_ms))
}

/// A page of what is left of a removed deployment.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn left(store: &dyn Store, deployment: DeploymentId) -> Result<Left, ReadError> {
    let (mut keys, mut more) = (Vec::new(), false);
    for prefix in retention::left_of(deployment) {
        let room = PAGE - keys.len();
        if room == 0 {
            more = true;
            break;
        }
        let page = store.scan(prefix.bytes().0, None, room).await?;
        keys.extend(page.items.into_iter().map(|(key, _)| Key(key)));
        more |= page.more;
    }
    Ok(Left {
        deployment,
        keys,
        more,
    })
}

/// A range that is read page by page.
struct Pages {
    prefix: Prefix,
    after: Option<Vec<u8>>,
    over: bool,
}

impl Pages {
    fn of(prefix: Prefix) -> Self {
        Self {
            prefix,
            after: None,
            over: false,
        }
    }

    async fn next<R: Message>(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Vec<(Key, R)>>, ReadError> {
        if self.over {
            return Ok(None);
        }
        let after = self.after.take();
        let page = store.scan(self.prefix.bytes().0, after, PAGE).await?;
        self.over = !page.more;
        self.after = page.items.last().map(|(key, _)| key.clone());
        let read = |(key, row): (Vec<u8>, crate::store::Versioned)| {
            let key = Key(key);
            match decode(&row.value) {
                Ok(row) => Ok((key, row)),
                Err(source) => Err(Damage::Unreadable { key, source }.into()),
            }
        };
        page.items
            .into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use hoist_orchestrator_core::model::now::Keep;

    use super::*;

    #[test]
    fn it_is_looked_as_often_as_what_is_kept_asks_for_and_never_twice_at_once() {
        let now = |ended_deployments_ms| Now {
            keep: Keep {
                ended_deployments_ms,
                silent_devices_ms: None,
            },
            ..Now::default()
        };
        let (mut looks, at) = (Looks::default(), Instant::now());
        assert!(!looks.begin(now(None), at), "everything is kept");
        assert!(looks.begin(now(Some(60_000)), at));
        let later = |s| at + Duration::from_secs(s);
        assert!(!looks.begin(now(Some(60_000)), later(7)), "one is taken");
        looks.end(0);
        assert!(!looks.begin(now(Some(60_000)), later(5)));
        assert!(looks.begin(now(Some(60_000)), later(6)));
        looks.end(OLD_MAX);
        assert!(looks.begin(now(Some(60_000)), later(6)), "there is more");
        looks.end(0);
        let years = Some(u64::MAX);
        assert!(!looks.begin(now(years), later(3_605)));
        assert!(looks.begin(now(years), later(3_606)));
    }
}
