//! A walk over ranges of rows, page by page: which timers are due, whose word is in doubt, and
//! what is shared and has to go out again.

use hoist_protocol::codec::decode;

use crate::engine::event::{Page, Scan};
use crate::engine::input::Input;
use crate::engine::publish::Subject;
use crate::model::damage::Damage;
use crate::model::key::{Key, Prefix};
use crate::model::now::Now;
use crate::model::row::DeploymentRow;
use crate::model::timer::{Clock, Timer};

/// Rows of a page: large enough to be quick, small enough to stay polite.
const PAGE: usize = 512;
/// Timers handled at once: the rest is still due a moment later.
const DUE_MAX: usize = 256;

/// A range, and what its rows are looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Due(Clock),
    /// Every group is asked for a resync (W6).
    Doubted,
    Groups,
    /// Also when the crash came before the spec could be cleared.
    RemovedGroups,
    Outbox,
    Deployments,
}

/// A walk, with what it has found.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    /// Ranges that are left, the next one last.
    ranges: Vec<Range>,
    after: Option<Key>,
    /// Rows that could not be looked at.
    pub(super) damaged: Vec<Damage>,
    /// True if it is a walk to whom the broker's loss makes doubtful.
    pub(super) doubts: bool,
    /// To be decided.
    pub(super) inputs: Vec<Input>,
    /// To be published again, in a walk for that.
    pub(super) subjects: Option<Vec<Subject>>,
    /// True if they are only looked at: what did not change is not published again.
    pub(super) looks: bool,
}

impl Range {
    fn prefix(self) -> Key {
        match self {
            Self::Due(clock) => clock.prefix(),
            Self::Doubted | Self::Groups => Prefix::Groups.bytes(),
            Self::RemovedGroups => Prefix::RemovedGroups.bytes(),
            Self::Outbox => Prefix::Outbox.bytes(),
            Self::Deployments => Prefix::Deployments.bytes(),
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Due(_) => DUE_MAX,
            _ => PAGE,
        }
    }
}

impl Walk {
    fn over(ranges: &[Range]) -> Self {
        Self {
            ranges: ranges.iter().rev().copied().collect(),
            after: None,
            damaged: Vec::new(),
            doubts: false,
            inputs: Vec::new(),
            subjects: None,
            looks: false,
        }
    }

    /// The timers that are due, earliest first for each clock.
    pub(super) fn timers() -> Self {
        Self::over(&[Range::Due(Clock::Unix), Range::Due(Clock::Uptime)])
    }

    /// The groups whose devices may have said what was lost: all of them.
    pub(super) fn doubts() -> Self {
        Self {
            doubts: true,
            ..Self::over(&[Range::Doubted])
        }
    }

    /// Whatever is shared, and specs of devices that are not known to be out.
    pub(super) fn shared() -> Self {
        let ranges = [
            Range::Groups,
            Range::RemovedGroups,
            Range::Outbox,
            Range::Deployments,
        ];
        Self {
            subjects: Some(Vec::new()),
            ..Self::over(&ranges)
        }
    }

    /// Every group, to see what differs from its spec at the broker.
    pub(super) fn groups() -> Self {
        Self {
            subjects: Some(Vec::new()),
            looks: true,
            ..Self::over(&[Range::Groups])
        }
    }

    /// The next rows to read; none at the end of the walk.
    pub(super) fn next(&mut self) -> Option<Scan> {
        self.ranges.last().map(|range| Scan {
            prefix: range.prefix(),
            after: self.after.take(),
            limit: range.limit(),
        })
    }

    /// Takes a page.
    pub(super) fn found(&mut self, page: Page, now: Now) {
        let Some(range) = self.ranges.pop() else {
            return;
        };
        let goes_on = page.more && !matches!(range, Range::Due(_));
        self.after = page.rows.last().map(|(key, _)| key.clone());
        for (key, bytes) in page.rows {
            self.row(range, key, &bytes, now);
        }
        match goes_on {
            true => self.ranges.push(range),
            false => self.after = None,
        }
    }

    fn row(&mut self, range: Range, key: Key, bytes: &[u8], now: Now) {
        let subject = match range {
            Range::Due(clock) => {
                let now_ms = match clock {
                    Clock::Unix => now.unix_ms,
                    Clock::Uptime => now.uptime_ms,
                };
                let timer = Timer::parse(&key).filter(|timer| timer.due_ms <= now_ms);
                self.inputs.extend(timer.map(Input::TimerDue));
                return;
            }
            Range::Doubted => {
                self.inputs
                    .extend(name(&Prefix::Groups, &key).map(Input::Doubt));
                return;
            }
            Range::Groups => name(&Prefix::Groups, &key).map(Subject::Group),
            Range::RemovedGroups => name(&Prefix::RemovedGroups, &key).map(Subject::Group),
            Range::Outbox => name(&Prefix::Outbox, &key).map(Subject::Device),
            Range::Deployments => match decode::<DeploymentRow>(bytes) {
                Ok(row) => row
                    .state
                    .is_active()
                    .then_some(Subject::Release(row.release)),
                Err(source) => {
                    self.damaged.push(Damage::Unreadable { key, source });
                    return;
                }
            },
        };
        if let Some(subjects) = &mut self.subjects {
            subjects.extend(subject);
        }
    }
}

/// Ranges of rows to walk over, as soon as nothing waits to be decided.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walks {
    pub(super) timers: bool,
    pub(super) doubts: bool,
    pub(super) shared: bool,
    pub(super) groups: bool,
}

impl Walks {
    /// True if there is one.
    pub(super) fn any(self) -> bool {
        self.timers || self.doubts || self.shared || self.groups
    }

    /// The next of them.
    pub(super) fn next(&mut self) -> Option<Walk> {
        if std::mem::take(&mut self.doubts) {
            return Some(Walk::doubts());
        }
        if std::mem::take(&mut self.shared) {
            return Some(Walk::shared());
        }
        if std::mem::take(&mut self.groups) {
            return Some(Walk::groups());
        }
        std::mem::take(&mut self.timers).then(Walk::timers)
    }

    /// A walk did not come to its end. Timers are due again by themselves.
    pub(super) fn again(&mut self, walk: &Walk) {
        match &walk.subjects {
            Some(_) if walk.looks => self.groups = true,
            Some(_) => self.shared = true,
            None => self.doubts |= walk.doubts,
        }
    }
}

fn name<T: std::str::FromStr>(prefix: &Prefix, key: &Key) -> Option<T> {
    prefix.rest(key).and_then(|text| text.parse().ok())
}
