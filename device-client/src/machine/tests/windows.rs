//! Windows of a deployment that is at work: what is fetched ahead, and what may run over.

use super::*;
use hoist_protocol::spec::Window;

/// In the middle of a night: the world begins on 1970-01-11, a Sunday, at midnight.
const OPENS_MS: u64 = 10 * DAY_MS + 2 * HOUR_MS;
const HOUR_MS: u64 = 3_600_000;

/// An entry that may be installed from two to three on Sundays.
fn on_sundays() -> DeploymentSpec {
    let mut entry = entry(1);
    entry.policy.windows = vec![Window {
        start_minute: 6 * 24 * 60 + 120,
        minutes: 60,
    }];
    entry
}

fn ahead() -> DeploymentSpec {
    let mut entry = on_sundays();
    entry.policy.download_ahead = true;
    entry
}

fn steps(world: &World) -> Vec<Step> {
    let running = world.said.iter().filter_map(|status| status.running);
    running.map(|running| running.step).collect()
}

/// A script of the artifact takes so long.
fn slowly(world: &mut World, artifact: u8, takes_ms: u64) {
    world.takes_ms.insert(artifact, takes_ms);
}

#[test]
fn nothing_is_fetched_before_its_window_unless_the_policy_says_so() {
    let mut world = World::new(1).online(spec(1, vec![on_sundays()]));
    assert_eq!(
        (world.downloads, world.machine.next_timeout()),
        (0, Some(OPENS_MS))
    );
    world = World::new(1).online(spec(1, vec![ahead()]));
    assert_eq!((world.downloads, world.ran.len()), (1, 0));
    assert_eq!(steps(&world), [Step::Downloading(0), Step::Downloaded]);
    assert_eq!(world.machine.next_timeout(), Some(OPENS_MS));
}

#[test]
fn what_was_fetched_ahead_is_installed_in_the_window_without_the_network() {
    let mut world = World::new(1).online(spec(1, vec![ahead()]));
    world.tell(Event::Disconnected);
    world.now_ms = OPENS_MS - 1;
    world.tell(Event::Timer);
    assert_eq!(world.ran, []);
    world.now_ms = OPENS_MS;
    world.tell(Event::Timer);
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.now_ms, OPENS_MS);
    // It does not count as fetching again what it proves again.
    let told: Vec<_> = steps(&world).into_iter().take(3).collect();
    assert_eq!(told[1..], [Step::Downloaded, Step::Installing]);
}

#[test]
fn a_power_cut_while_a_window_is_waited_for_begins_nothing_outside_of_it() {
    for writes in 0..5 {
        let mut world = World::new(1);
        world.power = Some(writes);
        world = world.online(spec(1, vec![ahead()]));
        world.power = None;
        world.restart();
        world.tell(Event::Started);
        assert_eq!(world.ran, [], "after {writes} writes");
        world = world.online(spec(1, vec![ahead()]));
        assert_eq!(world.ran, [], "after {writes} writes");
        world.wait();
        assert_eq!(world.now_ms, OPENS_MS, "after {writes} writes");
        assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    }
}

#[test]
fn a_device_that_waits_for_a_window_has_all_of_its_time_from_then_on() {
    let mut late = ahead();
    late.policy.timeout_s = 60;
    let mut world = World::new(1)
        .fails(0, ScriptKind::Verify, &[FAIL])
        .online(spec(1, vec![late]));
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert!((OPENS_MS..OPENS_MS + 60_000).contains(&world.now_ms));
}

#[test]
fn devices_that_wait_for_a_window_are_spread_in_it() {
    let told = || GroupSpec {
        spread_s: 600,
        ..spec(1, vec![ahead()])
    };
    let mut world = World::new(1);
    world.random = 77_777;
    world = world.online(told());
    // So is what they fetch ahead of it.
    assert_eq!(world.downloads, 0);
    world.wait();
    world.tell(told_group(told()));
    assert_eq!((world.downloads, world.ran.len()), (1, 0));
    world.wait();
    assert_eq!(world.now_ms, OPENS_MS + 77_777);
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_step_may_finish_after_its_window_and_the_next_artifact_waits_for_another() {
    let week_ms = 7 * DAY_MS;
    let mut world = World::new(2);
    slowly(&mut world, 0, 30 * 60_000);
    world.now_ms = OPENS_MS;
    world = world.online(spec(1, vec![on_sundays()]));
    // All of its scripts, though its window ended after the second.
    assert_eq!(world.runs(ScriptKind::Verify), [0]);
    assert_eq!(world.runs(ScriptKind::PreInstall), [0]);
    assert_eq!(world.machine.next_timeout(), Some(OPENS_MS + week_ms));
    let waits = Step::RetryingAfter(RetryCause::Window);
    assert_eq!(steps(&world).last(), Some(&waits));
    world.wait();
    assert_eq!(world.now_ms, OPENS_MS + week_ms);
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.runs(ScriptKind::Install), [0, 1]);
    assert_eq!(world.ring.outcomes[0].attempt.0, 1);
}

#[test]
fn a_later_artifact_begins_in_the_overrun_and_not_after_it() {
    for (overrun_s, waits) in [(3_600 + 1, false), (3_600, true)] {
        let mut entry = on_sundays();
        entry.policy.max_overrun_s = overrun_s;
        let mut world = World::new(2);
        slowly(&mut world, 0, 30 * 60_000);
        world.now_ms = OPENS_MS;
        world = world.online(spec(1, vec![entry]));
        assert_eq!(
            world.runs(ScriptKind::Install).len(),
            if waits { 1 } else { 2 }
        );
        world.wait();
        assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    }
}

#[test]
fn the_first_artifact_begins_in_no_overrun() {
    let mut entry = ahead();
    entry.policy.max_overrun_s = 600;
    let mut world = World::new(1);
    world.now_ms = OPENS_MS + HOUR_MS;
    world = world.online(spec(1, vec![entry]));
    assert_eq!((world.downloads, world.ran.len()), (1, 0));
    assert_eq!(world.machine.next_timeout(), Some(OPENS_MS + 7 * DAY_MS));
}

#[test]
fn a_power_cut_between_two_artifacts_begins_the_second_in_no_closed_window() {
    for writes in 0..30 {
        let mut world = World::new(2);
        slowly(&mut world, 0, 20 * 60_000);
        world.now_ms = OPENS_MS;
        world.power = Some(writes);
        world = world.online(spec(1, vec![on_sundays()]));
        world.power = None;
        world.now_ms = OPENS_MS + 2 * HOUR_MS;
        world.restart();
        world.tell(Event::Started);
        // The second time after a wait for a window with nothing begun.
        for _ in 0..2 {
            world = world.online(spec(1, vec![on_sundays()]));
            world.wait();
        }
        assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
        for (artifact, kind, at_ms) in &world.ran_at {
            let open = (at_ms - OPENS_MS) % (7 * DAY_MS) < HOUR_MS;
            let begins = *kind == ScriptKind::PreInstall;
            assert!(open || !begins, "{writes}: {artifact} at {at_ms}");
        }
    }
}
