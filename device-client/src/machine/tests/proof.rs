//! A release that is there already is proven once, however long it takes and whatever comes
//! meanwhile (S12).

use hoist_protocol::spec::Window;

use super::*;

fn verdict(verdict: Verdict) -> Event {
    Event::Manifest {
        deployment: DeploymentId(1),
        release: entry(1).release,
        verdict,
    }
}

impl World {
    /// Hears of a spec and waits for a manifest.
    fn asks(&mut self, spec: GroupSpec) {
        let now = Now {
            unix_ms: self.now_ms,
            random: self.random,
        };
        let listed = spec.entries[0].clone();
        let asked = self.machine.handle(told_group(spec), now);
        assert_eq!(asked.last(), Some(&Action::FetchManifest(listed)));
    }
}

#[test]
fn a_proof_for_another_deployment_is_not_taken_for_the_one_that_is_asked_for() {
    let mut world = World::new(1).online(spec(1, Vec::new()));
    let again = DeploymentSpec {
        release: entry(1).release,
        ..entry(2)
    };
    world.asks(spec(2, vec![again.clone()]));
    world.tell(verdict(Verdict::Already));
    let asks = world.machine.asks_for(&again);
    assert_eq!((world.ring.ended, asks), (0, true));
}

#[test]
fn a_proof_that_ends_without_a_connection_is_told_in_the_next_one() {
    let mut world = World::new(1).online(spec(1, Vec::new()));
    world.asks(spec(2, vec![entry(1)]));
    world.tell(Event::Disconnected);
    world.tell(verdict(Verdict::Already));
    assert_eq!(world.ring.ended, 0, "it may not be listed any more");
    world.verdict = Verdict::Already;
    world.tell(Event::Connected);
    world.tell(told_own(own_spec(1)));
    world.tell(told_group(spec(2, vec![entry(1)])));
    let already = FinalResult::Successful(Success::Already);
    assert_eq!(world.result(), &already);
}

#[test]
fn what_does_not_prove_itself_is_not_begun_where_nothing_may_start_by_then() {
    // A hold file, and a window that has closed meanwhile.
    let mut held = World::new(1).online(spec(1, Vec::new()));
    held.asks(spec(2, vec![entry(1)]));
    assert_eq!(held.machine.set_starts(Starts::Vetoed).len(), 1);
    held.tell(told_group(spec(2, vec![entry(1)])));
    held.tell(verdict(Verdict::Fits));
    assert_eq!((held.ran.len(), held.machine.job()), (0, None));
    assert_eq!(held.machine.set_starts(Starts::Allowed).len(), 1);
    held.tell(told_group(spec(2, vec![entry(1)])));
    assert_eq!(held.result(), &FinalResult::Successful(Success::Installed));

    // Day 10 of the epoch is a Sunday.
    let mut listed = entry(1);
    listed.policy.windows = vec![Window {
        start_minute: 6 * 24 * 60,
        minutes: 60,
    }];
    let mut closed = World::new(1).online(spec(1, Vec::new()));
    closed.asks(spec(2, vec![listed.clone()]));
    closed.now_ms += 61 * 60_000;
    closed.tell(verdict(Verdict::Fits));
    assert_eq!((closed.ran.len(), closed.machine.job()), (0, None));
    let opens_ms = closed.machine.next_timeout();
    assert_eq!(opens_ms, Some(17 * DAY_MS));
    closed.now_ms = 17 * DAY_MS;
    closed.tell(Event::Timer);
    closed.tell(told_group(spec(2, vec![listed])));
    let installed = FinalResult::Successful(Success::Installed);
    assert_eq!(closed.result(), &installed);
}

#[test]
fn what_proves_itself_ends_although_nothing_may_start() {
    let mut held = World::new(1).online(spec(1, Vec::new()));
    held.asks(spec(2, vec![entry(1)]));
    assert_eq!(held.machine.set_starts(Starts::Vetoed).len(), 1);
    held.tell(verdict(Verdict::Already));
    let already = FinalResult::Successful(Success::Already);
    assert_eq!(held.result(), &already);
}
