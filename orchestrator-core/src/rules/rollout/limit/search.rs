//! Where the line of a limit is drawn among the members of a group (S10, W3): pure
//! arithmetic over every member, whoever reads them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use hoist_protocol::admission::hash32;
use hoist_protocol::id::{DeploymentId, DeviceId};

use super::permits::{Known, Permits};
use crate::model::rollout::Only;
use crate::model::row::{DeviceRow, MemberRow};
use crate::model::search::{Found, Seek};

/// Members that had no slot and get one with one answer: each costs a publish.
const RELEASED_MAX: usize = 256;

/// Where a device stands in an order ([`DeploymentRow::order`]). The highest hash counts as the one
/// below it, so that a line can be drawn under every place.
///
/// [`DeploymentRow::order`]: crate::model::row::DeploymentRow::order
pub(crate) fn place(order: u32, device: &DeviceId) -> u32 {
    hash32(DeploymentId(order), device).min(u32::MAX - 1)
}

/// The rows that have to be looked at to judge a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None but that of the membership.
    Nothing,
    /// The device's.
    Device,
    /// The device's, and its record in the deployment.
    DeviceAndRecord,
}

/// Looks for a line, fed with every member of the group in any order.
#[derive(Debug, Clone)]
pub struct Search {
    seek: Seek,
    turn: u64,
    /// The lowest places so far, at most as many as are sought.
    lowest: BinaryHeap<(u32, DeviceId)>,
    /// Members not among the lowest but at the place of the last of them.
    tied: Vec<DeviceId>,
    held: Vec<(u32, DeviceId)>,
    /// Members below the old line that had no slot, lowest first.
    released: BinaryHeap<(u32, DeviceId)>,
    /// True if there are more of them than get one with this answer.
    more: bool,
    /// Without a bound: the members that may start.
    all: u32,
    /// The lowest places above what the phase reaches.
    beyond: Option<(u32, u32)>,
    /// Of a rollout in which devices get permits: who may.
    permits: Option<Permits>,
}

impl Search {
    /// A search among the members as they were at this turn of the group.
    #[must_use]
    pub fn new(seek: Seek, turn: u64) -> Self {
        let permits = seek.choice.is_some().then(Permits::default);
        Self {
            permits,
            seek,
            turn,
            lowest: BinaryHeap::new(),
            tied: Vec::new(),
            held: Vec::new(),
            released: BinaryHeap::new(),
            more: false,
            all: 0,
            beyond: None,
        }
    }

    /// The deployment that it is for.
    #[must_use]
    pub fn deployment(&self) -> DeploymentId {
        self.seek.deployment
    }

    /// The deployment whose records say for whom this one is.
    #[must_use]
    pub fn in_place_of(&self) -> Option<DeploymentId> {
        match self.seek.choice.as_ref()?.only {
            Only::Began(id) => Some(id),
            Only::Everyone | Only::Selected(_) | Only::Named(_) => None,
        }
    }

    /// The rows that have to be looked at to judge a member.
    #[must_use]
    pub fn needs(&self, device: &DeviceId, row: &MemberRow) -> Needs {
        if self.permits.is_some() {
            return Needs::DeviceAndRecord;
        }
        if self.seek.rollout.is_none() {
            return Needs::Nothing;
        }
        let place = self.place(device);
        let counts = !row.held && place >= self.seek.above;
        let last = self
            .lowest
            .peek()
            .filter(|_| self.lowest.len() >= self.sought());
        let is_candidate = last.is_none_or(|(last, _)| place <= *last);
        match counts && is_candidate {
            true => Needs::Device,
            false => Needs::Nothing,
        }
    }

    /// True if a member was not heard of for so long that nobody waits for it.
    fn is_away(&self, of: Option<&DeviceRow>) -> bool {
        let before_ms = self.seek.rollout;
        before_ms.is_some_and(|before_ms| of.is_some_and(|row| row.is_away(before_ms)))
    }

    fn place(&self, device: &DeviceId) -> u32 {
        place(self.seek.order, device)
    }

    fn sought(&self) -> usize {
        usize::try_from(self.seek.count).unwrap_or(usize::MAX)
    }

    /// Takes a member in; one that has been told that it has no slot gets none, but for one of a
    /// rollout. One that is away takes none, and starts when it is back.
    pub fn member(&mut self, device: DeviceId, row: &MemberRow, known: Known) {
        let place = self.place(&device);
        let is_away = self.is_away(known.device);
        if let (Some(permits), Some(choice), Some(of)) =
            (&mut self.permits, &self.seek.choice, known.device)
        {
            let judged = (&self.seek, choice, is_away);
            permits.member((place, device), of, known, judged);
            return;
        }
        // Its permit lets it in already, and took its slot.
        if row.permits.contains(&self.seek.deployment) {
            return;
        }
        let is_without = row.holds.contains(&self.seek.deployment);
        if place < self.seek.above {
            if self.seek.rollout.is_some() && is_without && !row.held {
                self.release(place, device);
            }
            return;
        }
        if row.held || (is_without && self.seek.rollout.is_none()) {
            self.held.push((place, device));
            return;
        }
        if is_away {
            return;
        }
        if place >= self.seek.below {
            let (lowest, count) = self.beyond.unwrap_or((place, 0));
            match place.cmp(&lowest) {
                Ordering::Less => self.beyond = Some((place, 1)),
                Ordering::Equal => self.beyond = Some((place, count + 1)),
                Ordering::Greater => {}
            }
            return;
        }
        if self.seek.is_unbounded() {
            self.all += 1;
            return;
        }
        let member = (place, device);
        match self.lowest.peek() {
            Some(last) if self.lowest.len() >= self.sought() => {
                if member < *last {
                    self.lowest.push(member);
                    self.put_out_last();
                } else if member.0 == last.0 {
                    self.tied.push(member.1);
                }
            }
            _ => self.lowest.push(member),
        }
    }

    fn release(&mut self, place: u32, device: DeviceId) {
        self.released.push((place, device));
        if self.released.len() > RELEASED_MAX.min(self.sought()) {
            self.released.pop();
            self.more = true;
        }
    }

    fn put_out_last(&mut self) {
        let (Some(out), Some(last)) = (self.lowest.pop(), self.lowest.peek()) else {
            return;
        };
        if out.0 == last.0 {
            self.tied.push(out.1);
        } else {
            self.tied.clear();
        }
    }

    /// The answer, once every member was taken in.
    #[must_use]
    pub fn found(mut self) -> Found {
        if let (Some(permits), Some(choice)) = (self.permits.take(), &self.seek.choice) {
            let (permits, more, left) = permits.found(&self.seek, choice);
            return Found {
                line: self.seek.above,
                turn: self.turn,
                given: 0,
                without: Vec::new(),
                released: Vec::new(),
                permits,
                more,
                left,
                seek: self.seek,
            };
        }
        let devices = std::mem::take(&mut self.released).into_sorted_vec();
        let released: Vec<DeviceId> = devices.into_iter().map(|(_, device)| device).collect();
        let (line, given) = match self.more || !released.is_empty() {
            // Those that wait for theirs come first; the line is for the next answer.
            true => (self.seek.above, 0),
            false => self.line(),
        };
        let under = |(place, _): &(u32, DeviceId)| *place < line;
        let mut without = Vec::new();
        if !self.seek.is_unbounded() && line > self.seek.above {
            let held = self.held.into_iter().filter(under);
            without = self.tied;
            without.extend(held.map(|(_, device)| device));
        }
        Found {
            seek: self.seek,
            turn: self.turn,
            line,
            given,
            without,
            more: self.more || !released.is_empty(),
            released,
            permits: Vec::new(),
            left: false,
        }
    }

    /// The line, and how many slots are given with it.
    fn line(&self) -> (u32, u32) {
        let found = u32::try_from(self.lowest.len()).unwrap_or(u32::MAX);
        let given = found.saturating_add(self.all);
        match (self.lowest.peek(), self.beyond) {
            (Some((last, _)), _) if given >= self.seek.count => (last + 1, given),
            // A phase that is too small for the group reaches one device.
            (_, Some((first, count)))
                if given == 0 && self.seek.above == 0 && count <= self.seek.count =>
            {
                (first + 1, count)
            }
            // With fewer members than slots everyone is admitted, joiners too while slots last.
            _ => (self.seek.below.max(self.seek.above), given),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoist_protocol::admission::Audience;
    use hoist_protocol::id::Round;

    fn seek(count: u32) -> Seek {
        Seek {
            deployment: DeploymentId(7),
            group: "eu".parse().unwrap(),
            order: 7,
            above: 0,
            below: u32::MAX,
            count,
            slots: 0,
            round: Round(0),
            rollout: None,
            choice: None,
        }
    }

    fn names(count: u32) -> Vec<DeviceId> {
        (0..count)
            .map(|n| format!("d{n}").parse().unwrap())
            .collect()
    }

    fn search(count: u32, members: &[DeviceId]) -> Found {
        let mut search = Search::new(seek(count), 1);
        for member in members {
            search.member(member.clone(), &MemberRow::default(), Known::default());
        }
        search.found()
    }

    #[test]
    fn the_line_admits_exactly_as_many_as_are_sought() {
        let members = names(500);
        for count in [1, 7, 499, 500] {
            let found = search(count, &members);
            let audience = Audience::Below(found.line);
            let admitted = |device: &&DeviceId| {
                audience.admits(DeploymentId(7), device) && !found.without.contains(device)
            };
            let admitted = u32::try_from(members.iter().filter(admitted).count()).unwrap();
            assert_eq!((admitted, found.given), (count, count));
        }
        let found = search(501, &members);
        assert_eq!((found.line, found.given), (u32::MAX, 500));
    }

    #[test]
    fn members_tied_with_the_last_one_are_named() {
        let members = names(4);
        let mut search = Search::new(seek(2), 1);
        // The order of a hash cannot be chosen: ties are made in its own terms.
        let at = [5, 9, 9, 9];
        for (place, member) in at.into_iter().zip(&members) {
            if search.lowest.len() < 2 {
                search.lowest.push((place, member.clone()));
            } else {
                search.tied.push(member.clone());
            }
        }
        let found = search.found();
        assert_eq!((found.line, found.given), (10, 2));
        assert_eq!(found.without, members[2..]);
    }

    #[test]
    fn a_member_held_by_an_operator_gets_no_slot() {
        let members = names(10);
        let mut search = Search::new(seek(10), 1);
        for (number, member) in members.iter().enumerate() {
            let held = number < 3;
            let row = MemberRow {
                held,
                ..MemberRow::default()
            };
            search.member(member.clone(), &row, Known::default());
        }
        let found = search.found();
        assert_eq!((found.line, found.given), (u32::MAX, 7));
        assert_eq!(found.without, members[..3]);
    }
}
