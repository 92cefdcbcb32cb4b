//! A release that somebody brought to the device.

use super::*;

fn apply(verdict: Verdict) -> Event {
    Event::Apply {
        release: ReleaseId([9; 16]),
        verdict,
        allow_downgrade: false,
    }
}

#[test]
fn what_is_brought_to_the_device_is_installed_and_told_to_nobody_else() {
    let mut world = World::new(1).online(spec(1, Vec::new()));
    let said = world.said.len();
    world.tell(apply(Verdict::Fits));
    assert_eq!(world.applied, [FinalResult::Successful(Success::Installed)]);
    assert_eq!((world.committed, world.said.len()), (1, said));
    assert_eq!(world.ring, Ring::default());
    world.tell(apply(Verdict::Already));
    world.tell(apply(Verdict::refused(Reason::Incompatible)));
    assert_eq!(world.applied[1], FinalResult::Successful(Success::Already));
    assert!(matches!(&world.applied[2], FinalResult::Failed(failure)
        if failure.reason == Reason::Incompatible && failure.rollback == Rollback::NotNeeded));
}

#[test]
fn what_is_brought_to_the_device_has_one_attempt_and_never_a_successor() {
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL]);
    world = world.online(spec(1, Vec::new()));
    world.fetches_fail = vec![Retry::Later];
    world.tell(apply(Verdict::Fits));
    // A deployment that is listed meanwhile waits for its end.
    world.tell(told_group(spec(2, vec![entry(1)])));
    world.wait();
    assert!(matches!(&world.applied[..], [FinalResult::Failed(failure)]
        if failure.rollback == Rollback::Succeeded));
    assert_eq!(world.runs(ScriptKind::Install), [0]);
    world.tell(told_group(spec(2, vec![entry(1)])));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn what_is_brought_to_the_device_survives_a_power_cut_once_it_has_begun() {
    let mut cases = 0;
    for cut in 0..20 {
        let mut world = World::new(1);
        world.tell(Event::Started);
        world.power = Some(cut);
        world.tell(apply(Verdict::Fits));
        let cut_off = world.power.take().is_none();
        world.wait();
        assert!(world.machine.job().is_none());
        let installs = world.runs(ScriptKind::Install).len();
        let rollbacks = world.runs(ScriptKind::Rollback).len();
        // Cut off before anything ran: forgotten. Else installed, or rolled back.
        let ended = world.committed as usize + rollbacks;
        assert!(installs <= ended && ended <= 1, "cut {cut}");
        assert!(world.applied.len() <= 1);
        cases += u32::from(cut_off);
    }
    assert!(cases > 5, "{cases}");
}
