//! Resync calls are answered when the broker has the answer (W6).

use hoist_protocol::id::Resync;

use super::*;

const ALONE: u32 = 4;
const GROUP: u32 = 3;

/// One deployment is over and acknowledged; then a resync is asked for.
fn called(alone: bool) -> World {
    let mut world = World::new(1).online(spec(1, vec![entry(1)]));
    world.acknowledge();
    call(&mut world, alone);
    world
}

fn call(world: &mut World, alone: bool) {
    if alone {
        world.tell(told_own(DeviceSpec {
            resync: Resync(ALONE),
            ..own_spec(2)
        }));
    }
    world.tell(told_group(GroupSpec {
        resync: Resync(if alone { 0 } else { GROUP }),
        ..spec(2, vec![entry(1)])
    }));
}

fn told(world: &World) -> Vec<u32> {
    let outcomes = world.said.last().unwrap().outcomes.iter();
    outcomes.map(|outcome| outcome.deployment.0).collect()
}

fn starts_again(world: &mut World) {
    world.restart();
    world.said.clear();
    world.tell(Event::Started);
    world.tell(Event::Connected);
}

#[test]
fn an_answer_that_the_power_took_along_is_given_again_w6() {
    for alone in [true, false] {
        let mut world = called(alone);
        assert_eq!(told(&world), [1]);
        for _ in 0..5 {
            starts_again(&mut world);
            if !alone {
                world.tell(told_own(own_spec(1)));
            }
            call(&mut world, alone);
            assert_eq!(told(&world), [1], "alone: {alone}");
        }
        world.acknowledge();
        starts_again(&mut world);
        if !alone {
            world.tell(told_own(own_spec(1)));
        }
        call(&mut world, alone);
        assert_eq!(told(&world), [0; 0], "alone: {alone}");
    }
}

#[test]
fn an_answer_whose_half_was_lost_with_its_session_is_not_given_w6() {
    for alone in [true, false] {
        let mut world = called(alone);
        assert!(world.infos.contains(&InfoExtent::Full));
        let last = world.said.last().unwrap();
        let acknowledged = Event::Acknowledged {
            seq: last.seq,
            ended: last.ended,
        };
        world.tell(acknowledged);
        let answered = |world: &World| {
            let record = world.record.as_ref().unwrap();
            (record.device_resync.0, record.group_resync.0)
        };
        assert_eq!(answered(&world), (0, 0), "alone: {alone}");
        world.infos.clear();
        world.tell(Event::Disconnected);
        world.tell(Event::Connected);
        world.tell(told_own(DeviceSpec {
            resync: Resync(if alone { ALONE } else { 0 }),
            ..own_spec(2)
        }));
        assert_eq!(world.infos, [InfoExtent::Full], "alone: {alone}");
        world.tell(Event::InfoAcknowledged);
        let expected = if alone { (ALONE, 0) } else { (0, GROUP) };
        assert_eq!(answered(&world), expected);
    }
}

#[test]
fn what_is_said_before_the_answer_is_acknowledged_carries_it_too_w6() {
    for alone in [true, false] {
        let mut world = called(alone);
        let answer = Event::Acknowledged {
            seq: Seq(world.said.last().unwrap().seq.0 - 1),
            ended: 1,
        };
        world.tell(answer);
        world.tell(told_group(GroupSpec {
            resync: Resync(if alone { 0 } else { GROUP }),
            ..spec(3, vec![entry(1), entry(2)])
        }));
        assert_eq!(told(&world), [1, 2], "an older status is none: {alone}");
        world.acknowledge();
        world.tell(told_group(GroupSpec {
            resync: Resync(if alone { 0 } else { GROUP }),
            ..spec(4, vec![entry(2), entry(3)])
        }));
        assert_eq!(told(&world), [3], "alone: {alone}");
    }
}

#[test]
fn an_answer_that_waits_for_its_time_is_not_lost_with_the_power_w6() {
    let mut world = World::new(1).online(spec(1, vec![entry(1)]));
    world.acknowledge();
    let spread = GroupSpec {
        resync: Resync(GROUP),
        spread_s: 60,
        ..spec(2, vec![entry(1)])
    };
    let said = world.said.len();
    world.tell(told_group(spread.clone()));
    assert_eq!(world.said.len(), said);
    starts_again(&mut world);
    world.tell(told_own(own_spec(1)));
    world.tell(told_group(spread));
    world.wait();
    assert_eq!(told(&world), [1]);
}
