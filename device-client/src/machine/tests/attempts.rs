//! Failing, trying again, and the way back (S8, S9).

use super::*;

#[test]
fn a_final_failure_rolls_back_the_failing_artifact_and_then_the_earlier_ones_s8() {
    let mut world = World::new(2).fails(1, ScriptKind::Verify, &[FAIL, FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(
        world.runs(ScriptKind::Install),
        [0, 1, 1],
        "the first one stays between attempts"
    );
    assert_eq!(world.runs(ScriptKind::Rollback), [1, 1, 0]);
    assert_eq!(world.failed(), (Reason::ScriptFailed, Rollback::Succeeded));
    assert_eq!(world.committed, 0);
    let steps = world
        .said
        .iter()
        .filter_map(|said| said.running.map(|running| running.step));
    let failed = RetryCause::Failed(Reason::ScriptFailed);
    assert!(
        steps
            .clone()
            .any(|step| step == Step::RetryingAfter(failed))
    );
}

#[test]
fn a_rollback_script_runs_three_times_at_most_s9() {
    // bad-inputs row 57
    let mut world = World::new(2).fails(1, ScriptKind::Install, &[FAIL]).fails(
        1,
        ScriptKind::Rollback,
        &[FAIL; 9],
    );
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(world.runs(ScriptKind::Rollback), [1, 1, 1]);
    assert_eq!(world.failed(), (Reason::RollbackFailed, Rollback::Failed));
}

#[test]
fn later_and_network_errors_use_time_and_no_attempts_s9() {
    let mut world = World::new(1).fails(0, ScriptKind::PreInstall, &[ScriptExit::Code(75); 5]);
    world.fetches_fail = vec![Retry::Later; 5];
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.ring.outcomes[0].attempt.0, 1);
}

#[test]
fn a_pass_that_was_put_off_is_counted_and_uses_up_no_attempt_s9() {
    let later = ScriptExit::Code(75);
    let exits = [later, FAIL, later, later];
    let mut world = World::new(1).fails(0, ScriptKind::PostInstall, &exits);
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.runs(ScriptKind::Rollback), [0; 4]);
    // Two attempts are allowed, and one failed.
    assert_eq!(world.ring.outcomes[0].attempt.0, 5);
}

/// The steps said while the device waited.
fn waits(world: &World) -> Vec<Step> {
    let running = world.said.iter().filter_map(|said| said.running);
    let steps = running.map(|running| running.step);
    steps
        .filter(|step| matches!(step, Step::Retrying | Step::RetryingAfter(_)))
        .collect()
}

#[test]
fn a_waiting_device_says_what_it_waits_for_s6() {
    let mut world = World::new(1).fails(0, ScriptKind::PreInstall, &[ScriptExit::Code(75)]);
    world = world.fails(0, ScriptKind::Verify, &[FAIL]);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    let causes = [
        RetryCause::Http(503),
        RetryCause::Later(ScriptKind::PreInstall),
        RetryCause::Failed(Reason::ScriptFailed),
    ];
    assert_eq!(waits(&world), causes.map(Step::RetryingAfter));
}

#[test]
fn a_restarted_device_that_waits_does_not_make_up_a_cause() {
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    assert_eq!(waits(&world).len(), 1);
    world.fetches_fail = vec![Retry::Later];
    world.restart();
    world.fetch_cause = RetryCause::Cut;
    world.tell(Event::Started);
    let causes = waits(&world);
    assert_eq!(causes[1..], [Step::RetryingAfter(RetryCause::Cut)]);
}

#[test]
fn a_busy_server_is_not_asked_before_the_time_it_names() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later; 5];
    world.asked_ms = 3_000;
    world = world.online(spec(1, vec![entry(1)]));
    let mut asked = vec![world.now_ms];
    while world.downloads < 6 {
        world.now_ms = world.machine.next_timeout().unwrap();
        asked.push(world.now_ms);
        world.tell(Event::Timer);
    }
    assert_eq!(asked.len(), 6);
    assert!(asked.windows(2).all(|pair| pair[1] >= pair[0] + 3_000));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn waits_grow_until_bytes_are_proven_and_none_is_shorter_than_a_second() {
    let wait = |world: &World| world.machine.next_timeout().unwrap() - world.now_ms;
    let mut world = World::new(1);
    world.random = u64::MAX - 1;
    world.fetches_fail = vec![Retry::Later; 1_000];
    world = world.online(spec(1, vec![entry(1)]));
    let mut longest = 0;
    for _ in 0..8 {
        longest = longest.max(wait(&world));
        world.now_ms += wait(&world);
        world.tell(Event::Timer);
        // Percents of what is not proven change nothing.
        world.tell(Event::DownloadProgress(50));
    }
    assert!(longest > 60_000, "{longest}");
    world.gained = true;
    world.now_ms += wait(&world);
    world.tell(Event::Timer);
    assert!((1_000..2_000).contains(&wait(&world)), "{}", wait(&world));
}

#[test]
fn a_script_that_says_later_all_night_is_asked_less_and_less_often() {
    let wait = |world: &World| world.machine.next_timeout().unwrap() - world.now_ms;
    let mut world = World::new(2).fails(1, ScriptKind::PreInstall, &[ScriptExit::Code(75); 100]);
    // Waits for the network before it count no more.
    world.fetches_fail = vec![Retry::Later; 6];
    world.random = u64::MAX - 1;
    world = world.online(spec(1, vec![entry(1)]));
    while world.downloads < 7 {
        world.now_ms += wait(&world);
        world.tell(Event::Timer);
    }
    assert!(wait(&world) < 2_000, "{}", wait(&world));
    let mut waits = Vec::new();
    for _ in 0..12 {
        waits.push(wait(&world));
        world.now_ms += wait(&world);
        world.tell(Event::Timer);
    }
    assert!(waits.iter().all(|ms| (1_000..302_000).contains(ms)));
    assert!(waits.iter().sum::<u64>() > 8 * 60_000, "{waits:?}");
}

#[test]
fn failed_attempts_are_further_and_further_apart() {
    let mut listed = entry(1);
    listed.policy.attempts = 10;
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL; 9]);
    world.random = u64::MAX - 1;
    world = world.online(spec(1, vec![listed]));
    let begun = world.now_ms;
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    let took = world.now_ms - begun;
    assert!(took > 3 * 60_000, "{took}");
}

#[test]
fn a_failed_download_is_told_in_a_sentence() {
    let output = |world: &World| match world.result() {
        FinalResult::Failed(failure) => String::from_utf8(failure.output.clone()).unwrap(),
        FinalResult::Successful(_) => panic!("successful"),
    };
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Useless];
    world = world.online(spec(1, vec![entry(1)]));
    assert_eq!(output(&world), "HTTP 503 from files");
    // The last trouble counts, not what a script said in an earlier attempt.
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    world.fetches_fail = vec![Retry::Later; 1_000];
    world.now_ms += DAY_MS / 2;
    world.tell(Event::Timer);
    world.now_ms += DAY_MS;
    world.tell(Event::Timer);
    assert_eq!(output(&world), "HTTP 503 from files");
    assert_eq!(world.failed().0, Reason::DownloadFailed);
    // What is longer than an outcome's tail loses its end.
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Useless];
    world.sentence = "é".repeat(200);
    world = world.online(spec(1, vec![entry(1)]));
    assert_eq!(output(&world), "é".repeat(128));
}

#[test]
fn a_network_that_never_comes_ends_with_the_deadline_s8() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later; 2_000];
    world = world.online(spec(1, vec![entry(1)]));
    for _ in 0..2_000 {
        let Some(at) = world.machine.next_timeout() else {
            break;
        };
        world.now_ms = at.max(world.now_ms + 60_000);
        world.tell(Event::Timer);
    }
    assert_eq!(
        world.failed(),
        (Reason::DownloadFailed, Rollback::NotNeeded)
    );
}

#[test]
fn what_went_wrong_last_is_the_reason_when_the_deadline_passes_s8() {
    // bad-inputs row 58
    for reason in [
        Reason::NoSpace,
        Reason::StorageFailed,
        Reason::LengthMismatch,
    ] {
        let mut world = World::new(1);
        world.fetches_fail = vec![Retry::Later];
        world.fetch_reason = reason;
        world = world.online(spec(1, vec![entry(1)]));
        world.now_ms += u64::from(entry(1).policy.timeout_s) * 1_000;
        world.tell(Event::Timer);
        assert_eq!(world.failed(), (reason, Rollback::NotNeeded));
    }
}

#[test]
fn what_is_not_as_signed_just_before_it_runs_is_proven_again_or_named_in_the_outcome() {
    // bad-inputs row 55
    let mut world = World::new(1);
    world.refused = 1;
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.downloads, 2);

    let mut world = World::new(1);
    world.refused = u32::MAX;
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(world.failed(), (Reason::HashMismatch, Rollback::NotNeeded));
    assert_eq!(world.ran, []);
}

#[test]
fn what_is_there_already_succeeds_and_what_does_not_fit_fails_without_a_script_s12() {
    // bad-inputs rows 53 and 54
    let mut world = World::new(1);
    world.verdict = Verdict::Already;
    world = world.online(spec(1, vec![entry(1)]));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Already));
    for reason in [Reason::Incompatible, Reason::Downgrade] {
        let mut world = World::new(1);
        world.verdict = Verdict::refused(reason);
        world = world.online(spec(1, vec![entry(1)]));
        assert_eq!(world.failed(), (reason, Rollback::NotNeeded));
        assert_eq!(world.ran, []);
    }
}

#[test]
fn what_is_there_already_is_installed_again_when_the_entry_asks_for_it() {
    let mut world = World::new(1);
    world.verdict = Verdict::Already;
    let mut wanted = entry(1);
    wanted.policy.overrides.reinstall = true;
    world = world.online(spec(1, vec![wanted]));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert!(
        world
            .ran
            .iter()
            .any(|(_, kind, _)| *kind == ScriptKind::Install)
    );
}

#[test]
fn a_refusal_says_in_a_sentence_what_is_wrong() {
    let mut world = World::new(1);
    world.verdict = Verdict::Refused {
        reason: Reason::Downgrade,
        detail: "counter 1 is below the installed 2 of app".into(),
    };
    world = world.online(spec(1, vec![entry(1)]));
    let FinalResult::Failed(failure) = world.result() else {
        panic!("it was refused");
    };
    assert_eq!(failure.output, b"counter 1 is below the installed 2 of app");
}

#[test]
fn a_new_attempt_proves_what_is_on_disk_again() {
    let mut world = World::new(1).fails(0, ScriptKind::Install, &[FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.downloads, 2);
}

#[test]
fn what_cannot_be_had_again_after_a_rollback_ends_it_as_rolled_back() {
    let mut world = World::new(1).fails(0, ScriptKind::Install, &[FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    world.fetches_fail = vec![Retry::Useless];
    world.wait();
    assert_eq!(
        world.failed(),
        (Reason::DownloadFailed, Rollback::Succeeded)
    );
}

#[test]
fn what_a_failed_rollback_leaves_is_in_doubt_s12() {
    let mut world = World::new(1).fails(0, ScriptKind::Install, &[FAIL]).fails(
        0,
        ScriptKind::Rollback,
        &[FAIL; 3],
    );
    world = world.online(spec(1, vec![entry(1)]));
    assert_eq!(world.failed(), (Reason::RollbackFailed, Rollback::Failed));
    assert_eq!(world.distrusted, 1);
}
