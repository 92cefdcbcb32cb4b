//! Reports of devices on their way to the orchestrator. What a device published there is
//! acknowledged when the orchestrator has acknowledged that report, or a newer one of the same
//! topic: only then is it on the disk. How long that takes, and whether the orchestrator is there
//! at all, is nothing to its device, which waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hoist_protocol::topic::matches;
use tokio::sync::{Notify, mpsc};

use super::message::Message;
use crate::retained::Retained;

/// Reports that wait for a turn of the orchestrator's session; whoever has one more waits.
const WAITING_MAX: usize = 4_096;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The orchestrator has not acknowledged it.
    Open,
    /// It has, or a newer one of the same topic.
    Committed,
    /// It comes to the orchestrator no more: its device has to say it again.
    Lost,
}

const OPEN: u8 = 0;
const COMMITTED: u8 = 1;
const LOST: u8 = 2;

/// The answer that the sender of a report waits for.
#[derive(Debug)]
pub(crate) struct Receipt {
    fate: AtomicU8,
    wake: Arc<Notify>,
}

impl Receipt {
    pub(crate) fn fate(&self) -> Fate {
        match self.fate.load(Ordering::Acquire) {
            COMMITTED => Fate::Committed,
            LOST => Fate::Lost,
            _ => Fate::Open,
        }
    }

    fn settle(&self, fate: u8) {
        self.fate.store(fate, Ordering::Release);
        self.wake.notify_one();
    }
}

/// A report whose sender waits, if it is still there.
struct Held {
    number: u64,
    receipt: Weak<Receipt>,
}

/// All reports that somebody waits for, and the sessions that take them.
#[derive(Default)]
pub(crate) struct Reports {
    last: AtomicU64,
    /// By topic, in the order of their numbers.
    held: Mutex<HashMap<String, Vec<Held>>>,
    /// The orchestrator's sessions, by their number.
    readers: Mutex<HashMap<u64, mpsc::Sender<Message>>>,
}

impl Reports {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_readers(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Message>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a report that nobody waits for. Of two reports of a topic the later one has the
    /// higher number.
    pub(crate) fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of a report whose sender waits, and what it waits for. To be asked for before
    /// anybody can have the report.
    pub(crate) fn hold(&self, topic: &str, wake: &Arc<Notify>) -> (u64, Arc<Receipt>) {
        let receipt = Arc::new(Receipt {
            fate: AtomicU8::new(OPEN),
            wake: Arc::clone(wake),
        });
        let mut held = self.lock();
        let number = self.number();
        let of_topic = held.entry(topic.to_owned()).or_default();
        // A device that comes again and again leaves nothing of its earlier connections behind.
        of_topic.retain(|held| held.receipt.strong_count() > 0);
        of_topic.push(Held {
            number,
            receipt: Arc::downgrade(&receipt),
        });
        (number, receipt)
    }

    /// The orchestrator has acknowledged a report. Those before it on the topic are committed too:
    /// either they were decided before, or this one took their place.
    pub(crate) fn release(&self, topic: &str, number: u64) {
        let mut held = self.lock();
        let Some(of_topic) = held.get_mut(topic) else {
            return;
        };
        let committed = of_topic.partition_point(|held| held.number <= number);
        for held in of_topic.drain(..committed) {
            if let Some(receipt) = held.receipt.upgrade() {
                receipt.settle(COMMITTED);
            }
        }
        if of_topic.is_empty() {
            held.remove(topic);
        }
    }

    /// A session of the orchestrator begins to read a filter: it gets what is retained. A report
    /// that is not, because it was not sent so or because it was cleared, may never come.
    pub(crate) fn give_up(&self, filter: &str, retained: &Retained) {
        let mut held = self.lock();
        for (topic, of_topic) in held.iter_mut().filter(|(topic, _)| matches(filter, topic)) {
            let newest = retained.get(topic).and_then(|kept| kept.report);
            let comes = of_topic.partition_point(|held| Some(held.number) <= newest);
            for held in of_topic.drain(comes..) {
                if let Some(receipt) = held.receipt.upgrade() {
                    receipt.settle(LOST);
                }
            }
        }
        held.retain(|_, of_topic| !of_topic.is_empty());
    }

    /// Makes a session of the orchestrator one that takes reports.
    pub(crate) fn listen(&self, instance: u64) -> mpsc::Receiver<Message> {
        let (sender, reports) = mpsc::channel(WAITING_MAX);
        self.lock_readers().insert(instance, sender);
        reports
    }

    /// Ends what [`Reports::listen`] began.
    pub(crate) fn leave(&self, instance: u64) {
        self.lock_readers().remove(&instance);
    }

    /// The ways to the sessions that take reports.
    pub(crate) fn readers(&self) -> Vec<mpsc::Sender<Message>> {
        self.lock_readers().values().cloned().collect()
    }

    /// Topics on which somebody waits, or did.
    #[cfg(test)]
    pub(crate) fn topics(&self) -> usize {
        self.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rumqttc::QoS;

    use super::*;
    use crate::retained::Kept;

    const TOPIC: &str = "hoist/s/d0/d1";

    fn fates(receipts: &[(u64, Arc<Receipt>)]) -> Vec<Fate> {
        receipts.iter().map(|(_, receipt)| receipt.fate()).collect()
    }

    #[test]
    fn what_is_acknowledged_settles_itself_and_what_came_before_on_its_topic_alone() {
        let (reports, wake) = (Reports::default(), Arc::default());
        let held: Vec<_> = (0..3).map(|_| reports.hold(TOPIC, &wake)).collect();
        let (_, other) = reports.hold("hoist/i/d0/d1", &wake);
        reports.release(TOPIC, held[1].0);
        let expected = [Fate::Committed, Fate::Committed, Fate::Open];
        assert_eq!(fates(&held), expected);
        assert_eq!(other.fate(), Fate::Open);
        reports.release(TOPIC, held[2].0);
        assert_eq!(held[2].1.fate(), Fate::Committed);
        assert_eq!(reports.topics(), 1);
    }

    #[test]
    fn only_what_is_not_retained_is_given_up_when_the_orchestrator_begins_anew() {
        let (reports, wake) = (Reports::default(), Arc::default());
        let retained = Retained::default();
        let held: Vec<_> = (0..3).map(|_| reports.hold(TOPIC, &wake)).collect();
        let kept = Kept {
            payload: Bytes::from_static(b"x"),
            qos: QoS::AtLeastOnce,
            report: Some(held[1].0),
        };
        retained.set(TOPIC, kept);
        reports.give_up("hoist/p/+/+", &retained);
        assert_eq!(fates(&held), [Fate::Open; 3]);
        reports.give_up("hoist/s/+/+", &retained);
        assert_eq!(fates(&held), [Fate::Open, Fate::Open, Fate::Lost]);
    }

    #[test]
    fn whoever_does_not_wait_any_more_is_forgotten() {
        let (reports, wake) = (Reports::default(), Arc::default());
        for _ in 0..1_000 {
            drop(reports.hold(TOPIC, &wake));
        }
        assert_eq!(reports.lock()[TOPIC].len(), 1);
    }
}
