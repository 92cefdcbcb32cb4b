//! Where the line of a limit is drawn among the members of a group (S10, W3): pure
//! arithmetic over every member, whoever reads them.

use std::collections::BinaryHeap;

use hoist_protocol::admission::hash32;
use hoist_protocol::id::{DeploymentId, DeviceId};

use crate::model::row::MemberRow;
use crate::model::search::{Found, Seek};

/// Where a device stands in the order of a deployment. The highest hash counts as the one
/// below it, so that a line can be drawn under every place.
pub(crate) fn place(deployment: DeploymentId, device: &DeviceId) -> u32 {
    hash32(deployment, device).min(u32::MAX - 1)
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
}

impl Search {
    /// A search among the members as they were at this turn of the group.
    #[must_use]
    pub fn new(seek: Seek, turn: u64) -> Self {
        Self {
            seek,
            turn,
            lowest: BinaryHeap::new(),
            tied: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Takes a member in; one that has been told that it has no slot gets none.
    pub fn member(&mut self, device: DeviceId, row: &MemberRow) {
        let place = place(self.seek.deployment, &device);
        if place < self.seek.above {
            return;
        }
        if row.held || row.holds.contains(&self.seek.deployment) {
            self.held.push((place, device));
            return;
        }
        let member = (place, device);
        let sought = usize::try_from(self.seek.count).unwrap_or(usize::MAX);
        match self.lowest.peek() {
            Some(last) if self.lowest.len() >= sought => {
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
    pub fn found(self) -> Found {
        let given = u32::try_from(self.lowest.len()).unwrap_or(u32::MAX);
        // With fewer members than slots everyone is admitted, joiners too while slots last.
        let line = match self.lowest.peek() {
            Some((last, _)) if given >= self.seek.count => last + 1,
            _ => u32::MAX,
        };
        let under = |(place, _): &(u32, DeviceId)| *place < line;
        let held = self.held.into_iter().filter(under);
        let mut without = self.tied;
        without.extend(held.map(|(_, device)| device));
        Found {
            seek: self.seek,
            turn: self.turn,
            line,
            given,
            without,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoist_protocol::admission::Audience;

    fn seek(count: u32) -> Seek {
        Seek {
            deployment: DeploymentId(7),
            group: "eu".parse().unwrap(),
            above: 0,
            count,
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
            search.member(member.clone(), &MemberRow::default());
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
            search.member(member.clone(), &row);
        }
        let found = search.found();
        assert_eq!((found.line, found.given), (u32::MAX, 7));
        assert_eq!(found.without, members[..3]);
    }
}
