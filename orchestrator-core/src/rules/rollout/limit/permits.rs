//! Who gets a permit of a rollout: the first devices of the order among those that it is for, as
//! long as their places have room (S16). Pure arithmetic over every member, whoever reads them.

use std::collections::{BTreeMap, BinaryHeap};

use hoist_protocol::id::{DeviceId, Round};

use crate::model::row::{DeviceRow, RecordRow, RecordState};
use crate::model::search::{Choice, Seek};

/// Permits that are given with one answer: each costs a publish.
const PERMITS_MAX: usize = 64;

/// The facts of a member besides its membership, as far as a search [needs](super::Search::needs) it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Its row.
    pub device: Option<&'a DeviceRow>,
    /// Its record in the deployment.
    pub record: Option<&'a RecordRow>,
    /// True if it has started the deployment in whose place this one is.
    pub began: bool,
}

/// A device by its place in the order.
type Placed = (u32, DeviceId);

/// The members so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Permits {
    /// Of each place: its devices, the disrupted ones among them, and who may start. Devices without
    /// the label are a place together.
    places: BTreeMap<Option<String>, Place>,
}

#[derive(Debug, Clone, Default)]
struct Place {
    members: u32,
    disrupted: u32,
    /// The first of the order.
    may: BinaryHeap<Placed>,
    /// True if there are more.
    more: bool,
}

impl Permits {
    /// Takes a member in.
    pub(super) fn member(
        &mut self,
        placed: Placed,
        of: &DeviceRow,
        known: Known,
        (seek, choice, is_away): (&Seek, &Choice, bool),
    ) {
        let value = choice.budget.as_ref().and_then(|budget| {
            let labels = of.labels.iter();
            let mut values = labels.filter(|(label, _)| *label == budget.label);
            values.next().map(|(_, value)| value.clone())
        });
        let (rank, device) = &placed;
        let record = known.record;
        let round = round(seek, of);
        let is_permitted = of.is_permitted(seek.deployment, round);
        let has_ended = record.is_some_and(|record| ended_in(record, round));
        let heard = of.presence.filter(|heard| heard.run == choice.run);
        let is_there = heard.is_some_and(|heard| heard.online);
        let at_work = (is_permitted && !has_ended) || of.running.is_some();
        let is_wanted = (choice.only.has(device, &of.labels) || known.began)
            && choice
                .selected
                .as_ref()
                .is_none_or(|it| it.matches(&of.labels));
        let may = is_wanted
            && !is_permitted
            && !of.starts_nothing()
            && !is_away
            && begins(record, round)
            && (*rank < seek.below || choice.selected.is_some());
        let place = self.places.entry(value).or_default();
        place.members += 1;
        place.disrupted += u32::from(at_work || !is_there);
        // Who is away is disrupted already, and starts when it is back.
        if may && (is_there || choice.budget.is_none()) {
            place.may.push(placed);
            if place.may.len() > PERMITS_MAX {
                place.may.pop();
                place.more = true;
            }
        }
    }

    /// The devices that get a permit, whether there are more that may, and whether others wait for room.
    pub(super) fn found(self, seek: &Seek, choice: &Choice) -> (Vec<DeviceId>, bool, bool) {
        let (mut all, mut more, mut left) = (Vec::new(), false, false);
        for place in self.places.into_values() {
            let room = match &choice.budget {
                Some(budget) => budget.of(place.members).saturating_sub(place.disrupted),
                None => u32::MAX,
            };
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let may = place.may.into_sorted_vec();
            more |= room > may.len() && place.more;
            left |= room < may.len() || place.more;
            all.extend(may.into_iter().take(room));
        }
        all.sort_unstable();
        let most = usize::try_from(seek.count).unwrap_or(usize::MAX);
        let most = most.min(PERMITS_MAX);
        more = (more || all.len() > most) && most == PERMITS_MAX;
        left |= all.len() > most;
        all.truncate(most);
        let devices = all.into_iter().map(|(_, device)| device);
        (devices.collect(), more, left)
    }
}

/// The round in which a device is to carry the deployment out (S13).
fn round(seek: &Seek, of: &DeviceRow) -> Round {
    let own = of.rounds.iter();
    let own = own.filter(|(deployment, _)| *deployment == seek.deployment);
    own.map(|(_, round)| *round)
        .fold(seek.round, std::cmp::Ord::max)
}

/// True if a record says that its device has ended in this round, or well in any.
fn ended_in(record: &RecordRow, round: Round) -> bool {
    match record.state {
        RecordState::InProgress(_) => false,
        RecordState::Successful(_) => true,
        RecordState::Failed(_) | RecordState::TimedOut => record.round >= round,
    }
}

/// True if a device with this record begins in this round.
fn begins(record: Option<&RecordRow>, round: Round) -> bool {
    record.is_none_or(|record| match record.state {
        RecordState::Failed(_) | RecordState::TimedOut => record.round < round,
        RecordState::InProgress(_) | RecordState::Successful(_) => false,
    })
}
