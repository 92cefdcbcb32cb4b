//! A deployment that has ended stays ended while it is listed, however much ends after it (S13,
//! S15).

use super::*;
use crate::past::PAST_MAX;
use hoist_protocol::status::OUTCOMES_MAX;

/// A device on which the first `failed` deployments failed, in one attempt each.
fn with_failed(failed: u32) -> World {
    let fails = vec![FAIL; failed as usize];
    let mut world = World::new(1).fails(0, ScriptKind::Install, &fails);
    world = world.online(spec(1, Vec::new()));
    for id in 1..=failed {
        list(&mut world, 1..=id);
    }
    assert_eq!(world.ring.ended, failed);
    world
}

fn once(deployment: u32) -> DeploymentSpec {
    let mut entry = entry(deployment);
    entry.policy.attempts = 1;
    entry
}

/// The newest spec lists these.
fn list(world: &mut World, deployments: impl IntoIterator<Item = u32>) {
    let entries = deployments.into_iter().map(once).collect();
    world.now_ms += 1;
    world.tell(told_group(spec(world.now_ms, entries)));
    // What waited meanwhile is asked for again.
    world.acknowledge();
}

fn installs(world: &World) -> usize {
    world.runs(ScriptKind::Install).len()
}

#[test]
fn a_failed_deployment_that_stays_listed_ran_once_whatever_ends_after_it_s13() {
    // bad-inputs row 82
    let mut world = with_failed(1);
    for id in 2..=21 {
        list(&mut world, [1, id]);
        list(&mut world, [1, id]);
        if id % 5 == 0 {
            world.restart();
            world = world.online(spec(u64::MAX / 2, Vec::new()));
            world.now_ms = u64::MAX / 2 + u64::from(id) * 1_000;
        }
    }
    assert_eq!((world.ring.ended, installs(&world)), (21, 21));
    let first = world.ring.is_over(DeploymentId(1), None, Round(0));
    let again = world.ring.is_over(DeploymentId(1), None, Round(1));
    assert_eq!((first, again), (true, false), "it still says failed");
}

#[test]
fn seven_that_failed_and_stay_listed_ran_once_beside_twelve_others_s13() {
    let mut world = with_failed(7);
    for id in 8..20 {
        list(&mut world, (1..=7).chain([id]));
        list(&mut world, (1..=7).chain([id]));
    }
    assert_eq!((world.ring.ended, installs(&world)), (19, 19));
}

#[test]
fn who_is_asked_alone_tells_everything_and_with_its_group_the_ring_w6() {
    let mut world = with_failed(1);
    for id in 2..=20 {
        list(&mut world, [1, id]);
    }
    let asked = GroupSpec {
        resync: Resync(3),
        ..spec(world.now_ms + 1, vec![])
    };
    world.tell(told_group(asked));
    assert_eq!(world.said.last().unwrap().outcomes.len(), OUTCOMES_MAX);
    world.tell(told_own(DeviceSpec {
        resync: Resync(1),
        ..own_spec(2)
    }));
    let told = &world.said.last().unwrap().outcomes;
    let numbers: Vec<u32> = told.iter().map(|told| told.deployment.0).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    let FinalResult::Failed(failure) = &told[0].result else {
        panic!("{:?}", told[0]);
    };
    assert_eq!(failure.reason, Reason::ScriptFailed);
    assert_eq!(failure.rollback, Rollback::Succeeded);
    let bare = told.iter().filter(|told| told.attempt.0 == 0).count();
    assert_eq!(
        bare,
        20 - OUTCOMES_MAX,
        "of what left the ring no more is known"
    );
}

/// Its own retained status is the answer to such a resync.
#[test]
fn whoever_remembers_everything_finds_nothing_lost_in_what_it_told() {
    let mut world = with_failed(1);
    for id in 2..=20 {
        list(&mut world, [1, id]);
    }
    let ring = world.ring.clone();
    let status = DeviceStatus {
        seq: Seq(1),
        ended: ring.ended,
        running: None,
        outcomes: ring.everything(),
    };
    let lost = Setup {
        lost: true,
        ..setup(None, ring.clone(), world.own.clone(), 1)
    };
    world.machine = Machine::new(lost);
    world.tell(Event::Started);
    world.tell(Event::Connected);
    world.tell(Event::OwnStatus(status.clone()));
    assert_eq!(world.machine.ring(), &ring);
    // And whoever lost everything has it again from there.
    let new = setup(None, Ring::default(), world.own.clone(), 1);
    world.machine = Machine::new(Setup { lost: true, ..new });
    world.tell(Event::Started);
    world.tell(Event::Connected);
    world.tell(Event::OwnStatus(status));
    let again = world.machine.ring();
    assert_eq!((again.ended, again.everything().len()), (20, 20));
    assert!(again.is_over(DeploymentId(1), None, Round(0)));
}

#[test]
fn a_round_begins_what_failed_long_ago_again_and_nothing_a_success_s13() {
    let mut world = with_failed(1);
    for id in 2..=12 {
        list(&mut world, [1, id]);
    }
    let retried = |id| DeploymentSpec {
        round: Round(1),
        ..once(id)
    };
    for id in [1, 1, 2, 1] {
        world.now_ms += 1;
        let entries = vec![retried(id)];
        world.tell(told_group(spec(world.now_ms, entries)));
    }
    assert_eq!((world.ring.ended, installs(&world)), (13, 13));
    assert_eq!(world.ring.outcomes.last().unwrap().round, Round(1));
}

#[test]
fn what_leaves_the_spec_and_comes_back_is_still_over() {
    let mut world = with_failed(2);
    let most = u32::try_from(PAST_MAX).unwrap();
    for id in 3..=most {
        list(&mut world, [id]);
    }
    list(&mut world, [1, 2]);
    assert_eq!((world.ring.ended, installs(&world)), (most, PAST_MAX));
}

/// The spec that brings it back is the last that is heard before power and network go.
#[test]
fn what_is_listed_is_not_forgotten_for_what_ends_without_network_after_a_power_cut() {
    let mut world = with_failed(1);
    let most = u32::try_from(PAST_MAX).unwrap();
    for id in 2..=most {
        list(&mut world, [id]);
    }
    world.fetches_fail = vec![Retry::Later];
    list(&mut world, [1, most + 1]);
    assert_eq!(world.machine.job().unwrap().deployment.0, most + 1);
    world.restart();
    world.tell(Event::Started);
    assert_eq!(world.ring.ended, most + 1, "it ended without network");
    world = world.online(spec(u64::MAX / 2, vec![once(1)]));
    assert_eq!(
        (world.ring.ended, installs(&world)),
        (most + 1, PAST_MAX + 1)
    );
}

#[test]
fn a_lost_journal_takes_nothing_of_what_ended_with_it() {
    let mut world = with_failed(1);
    for id in 2..=12 {
        list(&mut world, [1, id]);
    }
    let lost = Setup {
        lost: true,
        ..setup(None, world.ring.clone(), world.own.clone(), 1)
    };
    world.machine = Machine::new(lost);
    world = world.online(spec(u64::MAX / 2, (1..=8).map(once).collect()));
    // Its numbers go on behind a time, in another session.
    world = world.online(spec(u64::MAX / 2, (1..=8).map(once).collect()));
    assert_eq!((world.ring.ended, installs(&world)), (12, 12));
}

#[test]
fn what_an_older_agent_kept_is_over_and_all_that_is() {
    let mut world = with_failed(1);
    list(&mut world, [1, 2]);
    world.ring.past = crate::past::Past::default();
    let slot = write_slot(1, &world.ring);
    // It wrote the outcomes and nothing behind them.
    let kept = postcard::to_allocvec(&(world.ring.ended, &world.ring.outcomes)).unwrap();
    assert!(slot.len() > kept.len());
    world.ring = crate::record::Slot::decode(1, &kept).unwrap();
    assert!(world.ring.outcomes.len() < OUTCOMES_MAX);
    world.restart();
    world = world.online(spec(u64::MAX / 2, vec![once(1), once(2)]));
    assert_eq!((world.ring.ended, installs(&world)), (2, 2));
}

/// The ring is damaged, another deployment ends, and the power goes before its
/// acknowledgment is kept: its own status tells of what the ring has already.
#[test]
fn what_was_told_and_not_kept_as_acknowledged_counts_once_s15() {
    let mut world = with_failed(2);
    let mut ring = Ring::default();
    ring.push(world.ring.outcomes[1].clone(), None);
    ring.ended = 2;
    let status = DeviceStatus {
        seq: Seq(70),
        ended: 2,
        running: None,
        outcomes: ring.outcomes.clone(),
    };
    let record = Record {
        acked: 1,
        memory: Memory::Lost,
        ..Record::default()
    };
    world.machine = Machine::new(setup(Some(record), ring.clone(), world.own.clone(), 1));
    world.tell(Event::Started);
    world.tell(Event::Connected);
    world.tell(Event::OwnStatus(status));
    assert_eq!(world.machine.ring(), &ring);
}
