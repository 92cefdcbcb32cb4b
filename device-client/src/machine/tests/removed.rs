//! A device that was removed belongs nowhere and starts nothing; what it began it finishes.

use super::*;

impl World {
    /// Connects again, up to its own spec.
    fn connect(&mut self) {
        self.tell(Event::Disconnected);
        self.tell(Event::Connected);
    }
}

#[test]
fn a_removed_device_starts_nothing_that_its_group_lists() {
    let mut world = World::new(1).online(spec(5, Vec::new()));
    world.tell(Event::Removed);
    assert_eq!(world.own, None);
    world.tell(told_group(spec(6, vec![entry(1)])));
    world.wait();
    assert_eq!((world.ran.len(), world.ring.ended), (0, 0));
    world.connect();
    world.tell(told_group(spec(6, vec![entry(1)])));
    assert_eq!((world.ran.len(), world.machine.own_spec()), (0, None));
}

#[test]
fn a_removed_device_whose_power_went_belongs_nowhere_still() {
    let mut world = World::new(1).online(spec(5, Vec::new()));
    world.tell(Event::Removed);
    world.restart();
    world.tell(Event::Started);
    assert_eq!(world.machine.own_spec(), None);
    // The spec that was in effect when it was removed, brought back by somebody.
    world.tell(Event::Connected);
    world.tell(told_own(own_spec(1)));
    world.tell(told_group(spec(6, vec![entry(1)])));
    assert_eq!(world.warned, [SpecRefusal::Replayed]);
    assert_eq!((world.ran.len(), world.machine.own_spec()), (0, None));
}

#[test]
fn what_was_only_asked_for_is_not_begun_after_a_removal() {
    let mut world = World::new(1).online(spec(1, Vec::new()));
    let now = Now {
        unix_ms: world.now_ms,
        random: 0,
    };
    let asked = world
        .machine
        .handle(told_group(spec(2, vec![entry(1)])), now);
    assert_eq!(asked.last(), Some(&Action::FetchManifest(entry(1))));
    world.tell(Event::Removed);
    world.tell(Event::Manifest {
        deployment: DeploymentId(1),
        release: entry(1).release,
        verdict: Verdict::Fits,
    });
    assert_eq!((world.ran.len(), world.machine.job()), (0, None));
}

#[test]
fn what_was_begun_is_finished_after_a_removal_and_told_after_the_next_registration() {
    let mut world = World::new(1).online(spec(1, Vec::new()));
    world.fetches_fail = vec![Retry::Later];
    world.tell(told_group(spec(2, vec![entry(1)])));
    assert!(world.machine.job().is_some());
    world.tell(Event::Removed);
    world.tell(Event::Disconnected);
    world.wait();
    assert_eq!(world.ring.ended, 1);
    assert_eq!(
        world.ring.outcomes[0].result,
        FinalResult::Successful(Success::Installed)
    );
    world.tell(Event::Connected);
    world.tell(told_own(own_spec(2)));
    let told = world.said.last().map(|status| status.outcomes.len());
    assert_eq!((told, world.machine.own_spec().is_some()), (Some(1), true));
}
