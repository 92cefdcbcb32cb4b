//! Releases that are confirmed by being online.

use super::*;
use hoist_protocol::spec::Confirm;

const WITHIN_S: u32 = 600;
const WITHIN_MS: u64 = 1_000 * WITHIN_S as u64;
const UNCONFIRMED: (Reason, Rollback) = (Reason::Unconfirmed, Rollback::Succeeded);

fn online_entry() -> DeploymentSpec {
    let mut entry = entry(1);
    entry.policy.confirm = Confirm::Online { within_s: WITHIN_S };
    entry
}

fn installed() -> World {
    World::new(2).online(spec(1, vec![online_entry()]))
}

fn reconnect(world: &mut World) {
    world.tell(Event::Connected);
    world.tell(told_own(own_spec(1)));
}

#[test]
fn a_release_is_confirmed_by_its_own_spec_in_a_session_after_the_last_verify() {
    let mut world = installed();
    assert_eq!(world.runs(ScriptKind::Verify), [0, 1]);
    // The session from before is ended: it proves nothing.
    assert_eq!(
        (world.reconnected, world.ring.ended, world.committed),
        (1, 0, 0)
    );
    world.tell(Event::Connected);
    assert_eq!(world.ring.ended, 0);
    world.tell(told_own(own_spec(1)));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!((world.committed, world.machine.next_timeout()), (1, None));
}

#[test]
fn a_spec_that_was_still_on_its_way_in_the_session_before_confirms_nothing() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(spec(1, vec![online_entry()]));
    world.tell(Event::Disconnected);
    world.tell(Event::Connected);
    world.stays_connected = true;
    world.now_ms = world.machine.next_timeout().unwrap();
    world.tell(Event::Timer);
    assert_eq!(
        (world.runs(ScriptKind::Verify), world.reconnected),
        (vec![0], 1)
    );
    world.tell(told_own(own_spec(1)));
    assert_eq!(world.ring.ended, 0);
    world.tell(Event::Disconnected);
    reconnect(&mut world);
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_device_that_does_not_come_online_rolls_the_whole_release_back() {
    let mut world = installed();
    world.tell(Event::Connected);
    world.tell(Event::Disconnected);
    world.now_ms += WITHIN_MS - 1;
    world.tell(Event::Timer);
    assert_eq!(world.ring.ended, 0);
    world.now_ms += 1;
    world.tell(Event::Timer);
    assert_eq!(world.failed(), UNCONFIRMED);
    assert_eq!(world.runs(ScriptKind::Rollback), [1, 0]);
    assert_eq!(world.committed, 0);
    let FinalResult::Failed(failure) = world.result() else {
        panic!("{:?}", world.result());
    };
    assert!(failure.output.starts_with(b"everything was verified"));
}

#[test]
fn a_device_is_confirmed_in_a_session_after_its_reboot() {
    let mut world = World::new(1);
    world.plans[0].reboot = true;
    world = world.online(spec(1, vec![online_entry()]));
    world.boot = 2;
    world.restart();
    world.tell(Event::Started);
    assert_eq!(
        (world.runs(ScriptKind::Verify), world.ring.ended),
        (vec![0], 0)
    );
    reconnect(&mut world);
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_power_cut_gives_all_of_the_time_again_but_not_for_ever() {
    let mut world = installed();
    for _ in 0..4 {
        world.now_ms += WITHIN_MS - 1;
        world.restart();
        world.tell(Event::Started);
        assert_eq!(world.ring.ended, 0);
    }
    world.restart();
    world.tell(Event::Started);
    assert_eq!(world.failed(), UNCONFIRMED);
}

#[test]
fn a_power_cut_after_any_write_confirms_nothing_without_a_session() {
    for online in [true, false] {
        for writes in 0..40 {
            let mut world = World::new(2);
            world.power = Some(writes);
            world = world.online(spec(1, vec![online_entry()]));
            world.power = None;
            world.restart();
            world.tell(Event::Started);
            let case = format!("{writes} writes, online {online}");
            assert_eq!(world.committed, 0, "{case}");
            if online || world.machine.job().is_none() {
                world = world.online(spec(1, vec![online_entry()]));
                // A retry after the cut, and then another session.
                world.wait_while(|machine| {
                    let job = machine.job();
                    job.is_some_and(|job| !matches!(job.stage, Stage::Confirming { .. }))
                });
                reconnect(&mut world);
                assert_eq!(
                    world.result(),
                    &FinalResult::Successful(Success::Installed),
                    "{case}"
                );
            } else {
                world.wait();
                assert_eq!(world.failed(), UNCONFIRMED, "{case}");
            }
        }
    }
}

#[test]
fn the_own_spec_that_comes_before_everything_is_proven_again_is_not_forgotten() {
    let mut world = installed();
    world.restart();
    world.fetches_fail = vec![Retry::Later];
    world.tell(Event::Started);
    reconnect(&mut world);
    assert_eq!(world.ring.ended, 0);
    world.now_ms = world.machine.next_timeout().unwrap();
    world.tell(Event::Timer);
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_deadline_that_passed_while_the_power_was_off_waits_for_what_the_way_back_needs() {
    let mut world = World::new(2).fails(1, ScriptKind::Verify, &[FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    assert_eq!(world.job_stage(), Some(Stage::Waiting));
    world.restart();
    world.now_ms += 2 * DAY_MS;
    let due = |world: &World| {
        world
            .machine
            .next_timeout()
            .is_some_and(|at| at <= world.now_ms)
    };
    assert!(!due(&world), "nothing is known yet of what is on the disk");
    world.tell(Event::Started);
    assert_eq!(world.failed(), (Reason::TimedOut, Rollback::Succeeded));
    assert_eq!(world.runs(ScriptKind::Rollback), [1, 0]);
}
