//! The newest events in memory, read once for everybody who follows them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hoist_orchestrator_core::model::row::EventHeadRow;
use tokio::sync::Mutex;

use super::{KeptEvent, behind, ends};
use crate::rows::ReadError;
use crate::store::Store;

/// Events that are remembered: whoever is further behind reads the store.
const EVENTS_MAX: usize = 512;
/// The time for which nobody looks again, shorter than the time that followers wait once they are woken.
const FRESH: Duration = Duration::from_millis(150);

/// The end of the history. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    looked: Option<Instant>,
    head: EventHeadRow,
    events: VecDeque<KeptEvent>,
}

impl Tail {
    /// Up to so many events behind a number, oldest first, and the ends of the history.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) async fn behind(
        &self,
        store: &dyn Store,
        (number, most): (u64, usize),
    ) -> Result<(EventHeadRow, Vec<KeptEvent>), ReadError> {
        let mut state = self.0.lock().await;
        state.look(store).await?;
        let head = state.head;
        let first = state.events.front().map(|event| event.id.number);
        let is_near = first.is_some_and(|first| first <= number.saturating_add(1));
        if is_near || number >= head.number {
            let events = state.events.iter();
            let news = events.filter(|event| event.id.number > number).take(most);
            return Ok((head, news.cloned().collect()));
        }
        drop(state);
        Ok((head, behind(store, &head, (number, most)).await?))
    }
}

impl State {
    /// Reads what is new, unless somebody has just done so.
    async fn look(&mut self, store: &dyn Store) -> Result<(), ReadError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < FRESH) {
            return Ok(());
        }
        let head = ends(store).await?;
        let known = self.events.back().map(|event| event.id.number);
        let oldest = head.number.saturating_sub(EVENTS_MAX as u64);
        let known = known.filter(|known| *known >= oldest && head.origin_ms == self.head.origin_ms);
        if known.is_none() {
            self.events.clear();
        }
        let news = behind(store, &head, (known.unwrap_or(oldest), EVENTS_MAX)).await?;
        self.events.extend(news);
        let over = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..over);
        self.head = head;
        self.looked = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hoist_orchestrator_core::engine::input::Input;
    use hoist_orchestrator_core::model::effect::Event;
    use hoist_orchestrator_core::model::now::Now;

    use super::*;
    use crate::rows::decide_alone;
    use crate::store::memory::MemoryStore;

    async fn happens(store: &MemoryStore, times: usize) {
        for number in 0..times {
            let event = Event::ServerDegraded {
                about: format!("thing {number}"),
                code: "E_SPACE".into(),
                detail: "full".into(),
                over: false,
            };
            let input = Input::Happened(Box::new(event));
            decide_alone(store, &input, Now::default()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn whoever_is_near_the_end_and_whoever_is_far_read_the_same() {
        let (store, tail) = (MemoryStore::default(), Tail::default());
        let numbers = async |number: u64, most: usize| -> Vec<u64> {
            let (_, events) = tail.behind(&store, (number, most)).await.unwrap();
            events.iter().map(|event| event.id.number).collect()
        };
        assert!(numbers(0, 10).await.is_empty());
        happens(&store, EVENTS_MAX + 5).await;
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        let last = EVENTS_MAX as u64 + 5;
        // What was looked at a moment ago is not looked at again.
        while numbers(last - 2, 10).await != [last - 1, last] {
            pause.tick().await;
        }
        assert_eq!(numbers(0, 3).await, [1, 2, 3], "from the store");
        assert_eq!(numbers(5, 2).await, [6, 7]);
        assert!(numbers(last, 2).await.is_empty());
        assert_eq!(tail.0.lock().await.events.len(), EVENTS_MAX);
    }
}
