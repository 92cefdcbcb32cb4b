//! Every failed outcome tells people something, and of its own attempt.

use super::*;

/// The text that people are told of each failure; every one says something.
fn told(world: &World) -> Vec<(Reason, String)> {
    let failures = world
        .ring
        .outcomes
        .iter()
        .filter_map(|one| match &one.result {
            FinalResult::Failed(failure) => Some(failure),
            FinalResult::Successful(_) => None,
        });
    let told = failures.map(|failure| {
        let output = String::from_utf8(failure.output.clone()).unwrap();
        assert!(!output.is_empty(), "{:?} says nothing", failure.reason);
        (failure.reason, output)
    });
    told.collect()
}

#[test]
fn what_is_superseded_or_late_says_so() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(spec(1, vec![entry(1)]));
    world.tell(told_group(spec(2, vec![entry(2)])));
    assert_eq!(told(&world)[0].0, Reason::Superseded);

    let mut late = World::new(1).fails(0, ScriptKind::PreInstall, &[ScriptExit::Code(75)]);
    late = late.online(spec(1, vec![entry(1)]));
    late.now_ms += u64::from(entry(1).policy.timeout_s) * 1_000;
    late.tell(Event::Timer);
    let told = told(&late);
    let said = "the deadline passed before the next attempt";
    assert_eq!(told, [(Reason::TimedOut, said.to_owned())]);
}

#[test]
fn whatever_a_power_cut_ends_or_makes_forget_says_so() {
    let mut reasons = std::collections::BTreeSet::new();
    let mut listed = entry(1);
    listed.policy.attempts = 1;
    for first in 0..40 {
        for rollbacks in [&[][..], &[FAIL; 3][..]] {
            let mut world = World::new(2).fails(1, ScriptKind::Verify, &[FAIL]);
            world = world.fails(1, ScriptKind::Rollback, rollbacks);
            world.power = Some(first);
            world = world.online(spec(1, vec![listed.clone()]));
            world.power = None;
            world.wait();
            reasons.extend(told(&world).iter().map(|(reason, _)| reason.word()));
        }
    }
    let expected = [
        Reason::Interrupted,
        Reason::RollbackFailed,
        Reason::ScriptFailed,
    ];
    assert!(
        expected
            .iter()
            .all(|reason| reasons.contains(reason.word())),
        "{reasons:?}"
    );
}

#[test]
fn a_reboot_that_does_not_come_is_not_told_in_the_words_of_an_earlier_attempt() {
    let mut world = World::new(1).fails(0, ScriptKind::Install, &[FAIL]);
    world.plans[0].reboot = true;
    world = world.online(spec(1, vec![entry(1)]));
    world.wait();
    let said = "the reboot that was asked for did not come";
    assert_eq!(told(&world), [(Reason::RebootFailed, said.to_owned())]);
}
