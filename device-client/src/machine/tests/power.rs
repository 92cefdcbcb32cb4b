//! Power cuts, reboots, and the journal that outlives them.

use super::*;

#[test]
fn a_reboot_is_believed_only_by_a_new_boot_id() {
    // bad-inputs row 61
    for (new_boot, successful) in [(2, true), (1, false)] {
        let mut world = World::new(1);
        world.plans[0].reboot = true;
        world = world.online(spec(1, vec![entry(1)]));
        assert!(
            world
                .ran
                .iter()
                .all(|(_, kind, _)| *kind != ScriptKind::Verify)
        );
        world.boot = new_boot;
        world.restart();
        world.tell(Event::Started);
        if !successful {
            assert!(
                world.runs(ScriptKind::Verify).is_empty(),
                "asked to reboot again"
            );
            world.wait();
            assert_eq!(world.failed(), (Reason::RebootFailed, Rollback::Succeeded));
        } else {
            assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
        }
    }
}

/// S9, S15, bad-inputs row 59: the power goes after every single write, and once more in recovery.
#[test]
fn a_power_cut_after_any_write_installs_once_per_attempt_and_loses_no_outcome() {
    let mut cases = 0;
    for verify in [&[][..], &[FAIL][..], &[FAIL, FAIL][..]] {
        for first in 0..40 {
            for second in [None, Some(0), Some(1), Some(2), Some(3)] {
                let mut world = World::new(2).fails(1, ScriptKind::Verify, verify);
                world.power = Some(first);
                world = world.online(spec(1, vec![entry(1)]));
                world.power = second;
                world.restart();
                world.tell(Event::Started);
                world.power = None;
                world.wait();
                world = world.online(spec(1, vec![entry(1)]));
                world.wait();
                cases += 1;
                let case = format!("verify {verify:?}, cuts {first} and {second:?}");
                assert_eq!(world.ring.ended, 1, "{case}");
                assert_eq!(world.ring.outcomes.len(), 1, "{case}");
                let mut installs: Vec<_> = world
                    .ran
                    .iter()
                    .filter(|(_, kind, _)| *kind == ScriptKind::Install)
                    .collect();
                let count = installs.len();
                installs.sort();
                installs.dedup();
                assert_eq!(installs.len(), count, "{case}: {:?}", world.ran);
                assert!(world.machine.job().is_none(), "{case}");
            }
        }
    }
    assert_eq!(cases, 600);
}

/// The specs of the new group may be older than those of the old one (W2).
#[test]
fn a_power_cut_in_a_move_takes_no_spec_of_the_new_group_for_a_replay() {
    let moved = || DeviceSpec {
        group: "us".parse().unwrap(),
        ..own_spec(2)
    };
    for writes in 0..4 {
        let mut world = World::new(1).online(spec(9, Vec::new()));
        world.power = Some(writes);
        world.tell(told_own(moved()));
        world.power = None;
        world.restart();
        world.tell(Event::Started);
        world.tell(Event::Connected);
        world.tell(told_own(moved()));
        world.tell(told_group(spec(4, vec![entry(1)])));
        assert_eq!(world.warned, [], "after {writes} writes");
        assert_eq!(world.ring.ended, 1, "after {writes} writes");
    }
}

/// An update of the agent itself may bring the older agent back, which must be able to
/// read the journal: only a fresh start proves that it is not the one on disk.
#[test]
fn a_journal_keeps_the_format_it_was_begun_in_until_a_start_with_nothing_begun() {
    for verify in [&[][..], &[FAIL, FAIL][..]] {
        let mut world = World::new(1).fails(0, ScriptKind::Verify, verify);
        world.fetches_fail = vec![Retry::Later];
        world = world.online(spec(1, vec![entry(1)]));
        let mut record = world.record.take().unwrap();
        record.format = 1;
        world.record = Some(record);
        world.restart();
        world.tell(Event::Started);
        assert!(world.machine.job().is_none() || world.record.as_ref().unwrap().format == 1);
        world.wait();
        let record = world.record.as_ref().unwrap();
        assert_eq!((record.job.is_none(), record.format), (true, 1));
        // Not by another deployment either: after a way back we run and are not on disk.
        world.tell(Event::Connected);
        world.tell(told_own(own_spec(2)));
        world.tell(told_group(spec(2, vec![entry(2)])));
        assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
        assert_eq!(world.record.as_ref().unwrap().format, 1);
        // A fresh start with nothing begun is this agent's own.
        world.restart();
        world.tell(Event::Started);
        assert_eq!(world.record.as_ref().unwrap().format, Record::NEWEST);
    }
}
