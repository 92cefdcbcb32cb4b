//! Starts that the specs allow, and their times (W2, W3, S10, S11, S13).

use hoist_protocol::spec::Window;

use super::*;

#[test]
fn absence_is_abort_and_an_old_spec_starts_nothing_w2() {
    // bad-inputs row 29
    let mut world = World::new(1).online(spec(5, Vec::new()));
    world.tell(told_group(spec(4, vec![entry(1)])));
    world.wait();
    assert_eq!(world.ran, []);
    assert_eq!(world.ring.ended, 0);
    assert_eq!(world.warned, [SpecRefusal::Replayed]);
}

#[test]
fn an_expired_spec_starts_nothing_w2() {
    // bad-inputs row 42
    let old = GroupSpec {
        valid_for_s: 60,
        ..spec(1, vec![entry(1)])
    };
    let mut world = World::new(1).online(old);
    world.tell(told_own(own_spec(2)));
    assert_eq!(world.ran, []);
    assert_eq!(world.warned, [SpecRefusal::Stale], "people are told once");
}

#[test]
fn a_manifest_that_comes_after_its_spec_expired_starts_nothing_w2() {
    // bad-inputs row 42
    let mut world = World::new(1).online(spec(1, Vec::new()));
    let listed = GroupSpec {
        valid_for_s: 60,
        ..spec(world.now_ms, vec![entry(1)])
    };
    let now = Now {
        unix_ms: world.now_ms,
        random: 0,
    };
    let asked = world.machine.handle(told_group(listed), now);
    assert_eq!(asked.last(), Some(&Action::FetchManifest(entry(1))));
    world.now_ms += 61_000;
    world.tell(Event::Manifest {
        deployment: DeploymentId(1),
        release: entry(1).release,
        verdict: Verdict::Fits,
    });
    assert_eq!((&world.ran[..], world.ring.ended), (&[][..], 0));
    assert_eq!(world.warned, [SpecRefusal::Stale]);
}

#[test]
fn a_device_that_waited_asks_again_before_it_starts_w2() {
    let spread = GroupSpec {
        spread_s: 60,
        ..spec(1, vec![entry(1)])
    };
    let mut world = World::new(1).online(spread);
    assert_eq!((world.subscribed, world.ran.len()), (1, 0));
    world.wait();
    assert_eq!(
        (world.subscribed, world.ran.len()),
        (2, 0),
        "asked, and not started yet"
    );
    world.tell(told_group(spec(2, Vec::new())));
    world.wait();
    assert_eq!(world.ran, [], "aborted meanwhile");
}

#[test]
fn a_connection_that_comes_and_goes_does_not_put_a_turn_off_w1() {
    let spread = |generation| GroupSpec {
        spread_s: 60,
        ..spec(generation, vec![entry(1)])
    };
    let mut world = World::new(1);
    world.random = 45_000;
    let mut world = world.online(spread(1));
    let due = world.machine.next_timeout().unwrap();
    for generation in 2..8 {
        world.now_ms += 10_000;
        world.random += 10_007;
        world.tell(Event::Disconnected);
        world.tell(Event::Connected);
        world.tell(told_own(own_spec(1)));
        world.tell(told_group(spread(generation)));
        assert_eq!(world.ring.ended > 0, world.now_ms >= due);
    }
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_turn_that_came_in_a_closed_window_is_drawn_anew_w1() {
    let now_ms = World::new(1).now_ms;
    let spread = in_window(1, now_ms + 600_000, 60, 60);
    let mut world = World::new(1).online(spread.clone());
    let first = world.machine.next_timeout().unwrap();
    assert!((now_ms + 600_000..now_ms + 660_000).contains(&first));
    // Away until the window has closed again.
    world.tell(Event::Disconnected);
    world.now_ms += 5 * 3_600_000;
    world.tell(Event::Connected);
    world.tell(told_own(own_spec(1)));
    world.tell(told_group(spread));
    let next = world.machine.next_timeout().unwrap();
    assert!((now_ms + 600_000 + WEEK_MS..now_ms + 660_000 + WEEK_MS).contains(&next));
}

const WEEK_MS: u64 = 7 * 86_400_000;

/// A spec whose one entry has a window from then on, for so many minutes.
fn in_window(generation: u64, from_ms: u64, minutes: u16, spread_s: u32) -> GroupSpec {
    let start_minute = u16::try_from((from_ms / 60_000 + 3 * 1_440) % 10_080).unwrap();
    let mut windowed = entry(1);
    windowed.policy.windows = vec![Window {
        start_minute,
        minutes,
    }];
    GroupSpec {
        spread_s,
        ..spec(generation, vec![windowed])
    }
}

#[test]
fn a_turn_past_the_end_of_its_window_is_spread_over_the_next_one_w1() {
    let now_ms = World::new(1).now_ms;
    let spread = in_window(1, now_ms, 5, 3_600);
    let mut world = World::new(1);
    world.random = 1_817_000;
    let mut world = world.online(spread.clone());
    world.now_ms = world.machine.next_timeout().unwrap();
    assert_eq!(world.now_ms, now_ms + 1_817_000);
    world.tell(Event::Timer);
    world.tell(told_group(spread.clone()));
    let next = world.machine.next_timeout().unwrap();
    assert_eq!(next, now_ms + WEEK_MS + 1_817_000 % 300_000);
    world.now_ms = next;
    world.tell(Event::Timer);
    world.tell(told_group(spread));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn what_waits_for_a_window_is_spread_within_it_whatever_it_waited_for_before_w1() {
    let now_ms = World::new(1).now_ms;
    let opens_ms = now_ms + 600_000;
    let mut due = Vec::new();
    for random in (0..7_200_000).step_by(311_000) {
        let mut world = World::new(1);
        world.random = random;
        let mut world = world.online(in_window(1, opens_ms, 10, 3_600));
        due.push(world.machine.next_timeout().unwrap());
        for starts in [Starts::Vetoed, Starts::Allowed] {
            let _asked = world.machine.set_starts(starts);
            world.tell(told_group(in_window(1, opens_ms, 10, 3_600)));
        }
        due.push(world.machine.next_timeout().unwrap());
    }
    let in_it = opens_ms..opens_ms + 600_000;
    assert!(due.iter().all(|at| in_it.contains(at)), "{due:?}");
    due.sort_unstable();
    due.dedup();
    assert!(due.len() > 15, "{due:?}");
}

#[test]
fn the_lowest_deployment_goes_first_and_a_held_one_never_s10_s11() {
    let mut world = World::new(1);
    world.tell(Event::Started);
    world.tell(Event::Connected);
    let held = DeviceSpec {
        holds: vec![DeploymentId(1)],
        ..own_spec(1)
    };
    world.tell(told_own(held));
    let listed = spec(1, vec![entry(3), entry(1), entry(2)]);
    world.tell(told_group(listed.clone()));
    world.tell(told_group(listed));
    let ended: Vec<_> = world
        .ring
        .outcomes
        .iter()
        .map(|outcome| outcome.deployment.0)
        .collect();
    assert_eq!(ended, [2, 3]);
}

#[test]
fn an_urgent_deployment_goes_before_those_that_wait_s11() {
    let mut world = World::new(1);
    world.tell(Event::Started);
    world.tell(Event::Connected);
    world.tell(told_own(own_spec(1)));
    let mut urgent = entry(3);
    urgent.policy.urgent = true;
    let listed = spec(1, vec![entry(1), entry(2), urgent]);
    for _ in 0..3 {
        world.tell(told_group(listed.clone()));
    }
    let ended: Vec<_> = world
        .ring
        .outcomes
        .iter()
        .map(|outcome| outcome.deployment.0)
        .collect();
    assert_eq!(ended, [3, 1, 2]);
}

#[test]
fn a_device_held_from_everything_starts_nothing_until_it_is_let_go() {
    let mut world = World::new(1);
    world.tell(Event::Started);
    world.tell(Event::Connected);
    let held = DeviceSpec {
        holds: vec![HOLD_ALL],
        ..own_spec(1)
    };
    world.tell(told_own(held));
    world.tell(told_group(spec(1, vec![entry(1), entry(2)])));
    assert_eq!(world.ring.ended, 0);
    world.tell(told_own(own_spec(2)));
    assert_eq!(world.ring.ended, 0, "the first may be over by now (W2)");
    world.tell(told_group(spec(2, vec![entry(2)])));
    let ended: Vec<_> = world.ring.outcomes.iter().map(|o| o.deployment.0).collect();
    assert_eq!(ended, [2]);
}

#[test]
fn a_round_of_its_own_makes_one_device_begin_again_s13() {
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL, FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(world.failed(), (Reason::ScriptFailed, Rollback::Succeeded));
    let own = |generation, rounds| DeviceSpec {
        rounds,
        ..own_spec(generation)
    };
    world.tell(told_own(own(2, vec![(DeploymentId(2), Round(1))])));
    assert_eq!(world.ring.ended, 1, "the round of another deployment");
    world.tell(told_own(own(3, vec![(DeploymentId(1), Round(1))])));
    assert_eq!(
        world.ring.ended, 1,
        "the deployment may be over by now (W2)"
    );
    world.tell(told_group(spec(1, vec![entry(1)])));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.ring.outcomes.last().unwrap().round, Round(1));
    world.tell(told_own(own(4, vec![(DeploymentId(1), Round(2))])));
    assert_eq!(world.ring.ended, 2, "a success stands");
}

#[test]
fn a_higher_round_begins_again_only_after_a_failure_s13() {
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL, FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(world.failed(), (Reason::ScriptFailed, Rollback::Succeeded));
    let again = DeploymentSpec {
        round: Round(1),
        ..entry(1)
    };
    world.tell(told_group(spec(2, vec![again])));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    let third = DeploymentSpec {
        round: Round(2),
        ..entry(1)
    };
    world.tell(told_group(spec(3, vec![third])));
    assert_eq!(world.ring.ended, 2);
}

#[test]
fn a_newer_deployment_replaces_one_that_has_installed_nothing_s11() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(spec(1, vec![entry(1)]));
    world.tell(told_group(spec(2, vec![entry(2)])));
    assert_eq!(world.failed().0, Reason::Superseded);
    world.tell(told_group(spec(2, vec![entry(2)])));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_newer_deployment_ends_one_that_has_only_run_its_pre_install_s11() {
    let later = [ScriptExit::Code(75)];
    let mut world = World::new(1).fails(0, ScriptKind::PreInstall, &later);
    world = world.online(spec(1, vec![entry(1)]));
    assert_eq!(world.runs(ScriptKind::PreInstall), [0]);
    // The spec changes while pre-install runs again.
    let now = Now {
        unix_ms: world.now_ms + DAY_MS / 2,
        random: 7,
    };
    world.now_ms = now.unix_ms;
    let _fetching = world.machine.handle(Event::Timer, now);
    let plans: Arc<[ArtifactPlan]> = world.plans.clone().into();
    let _running = world.machine.handle(Event::Downloaded { plans }, now);
    let newer = spec(2, vec![entry(2)]);
    let _listed = world.machine.handle(told_group(newer), now);
    world.tell(Event::ScriptDone {
        exit: ScriptExit::Code(0),
        output: Vec::new(),
    });
    assert_eq!(world.ring.outcomes[0].deployment, DeploymentId(1));
    assert_eq!(world.failed(), (Reason::Superseded, Rollback::NotNeeded));
    assert!(world.runs(ScriptKind::Install).is_empty());
}

#[test]
fn a_started_deployment_is_finished_whatever_the_spec_says_s4() {
    // bad-inputs row 37
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(spec(1, vec![entry(1)]));
    world.tell(told_group(spec(2, Vec::new())));
    world.tell(Event::Disconnected);
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_hold_that_comes_before_the_start_is_heeded_until_it_is_lifted_s10() {
    let held = |generation| DeviceSpec {
        holds: vec![DeploymentId(1)],
        ..own_spec(generation)
    };
    let spread = |generation| GroupSpec {
        spread_s: 60,
        ..spec(generation, vec![entry(1)])
    };
    // While the device waits for its turn.
    let mut waits = World::new(1).online(spread(1));
    assert!(waits.machine.next_timeout().is_some());
    waits.tell(told_own(held(2)));
    // While it fetches the manifest.
    let mut asks = World::new(1).online(spec(1, Vec::new()));
    let now = Now {
        unix_ms: asks.now_ms,
        random: 7,
    };
    let listed = told_group(spec(2, vec![entry(1)]));
    let asked = asks.machine.handle(listed, now);
    assert_eq!(asked.last(), Some(&Action::FetchManifest(entry(1))));
    asks.tell(told_own(held(2)));
    asks.tell(Event::Manifest {
        deployment: DeploymentId(1),
        release: entry(1).release,
        verdict: Verdict::Fits,
    });
    for mut world in [waits, asks] {
        world.wait();
        world.tell(told_group(spread(3)));
        world.wait();
        assert_eq!((&world.ran[..], world.ring.ended), (&[][..], 0));
        assert_eq!(world.said.iter().find(|said| said.running.is_some()), None);
        world.tell(told_own(own_spec(3)));
        world.wait();
        world.tell(told_group(spread(3)));
        assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    }
}

#[test]
fn an_older_spec_is_refused_after_a_power_cut_too_w2() {
    let mut world = World::new(1).online(spec(1, Vec::new()));
    let now = Now {
        unix_ms: world.now_ms,
        random: 0,
    };
    let newest = told_group(spec(5, Vec::new()));
    let done = world.machine.handle(newest.clone(), now);
    let kept = done.iter().find_map(|action| match action {
        Action::Persist(record) => Some(record.generation),
        _ => None,
    });
    assert_eq!(kept, Some(Generation(5)));
    let again = world.machine.handle(newest, now);
    assert_eq!(again, [], "the same spec costs no write");
}
