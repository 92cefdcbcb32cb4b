//! A device that lost its memory (bad-inputs rows 28 and 60).

use hoist_protocol::id::{Attempt, Seq};
use hoist_protocol::status::{Outcome, Progress};

use super::*;
use crate::record::Memory;

/// A device whose journal, or only its ring, cannot be read any more.
fn lost(record: Option<Record>, kept: Option<u8>) -> World {
    let mut world = World::new(1);
    world.own = Some(own_spec(1));
    world.machine = Machine::new(Setup {
        lost: true,
        kept_release: kept.map(|byte| ReleaseId([byte; 16])),
        ..setup(record, Ring::default(), world.own.clone(), 1)
    });
    world.tell(Event::Started);
    world
}

fn status(seq: u64, ended: u32, running: Option<u32>) -> DeviceStatus {
    DeviceStatus {
        seq: Seq(seq),
        ended,
        running: running.map(|deployment| Progress {
            deployment: DeploymentId(deployment),
            round: Round(0),
            attempt: Attempt(1),
            step: Step::Installing,
        }),
        outcomes: Vec::new(),
    }
}

/// A session: the own status if there is one, then the specs; another if it is wanted.
fn connect(world: &mut World, own: Option<&DeviceStatus>, listed: &[u32]) {
    connect_as(world, own, 5_000, listed);
}

/// The same with an own spec of this generation.
fn connect_as(world: &mut World, own: Option<&DeviceStatus>, generation: u64, listed: &[u32]) {
    for _ in 0..2 {
        let before = world.reconnected;
        let _session = world.machine.begin_session();
        world.tell(Event::Connected);
        if let Some(own) = own {
            world.tell(Event::OwnStatus(own.clone()));
        }
        if world.reconnected == before {
            world.tell(told_own(own_spec(generation)));
        }
        if world.reconnected == before {
            let entries = listed.iter().map(|id| entry(*id)).collect();
            return world.tell(told_group(spec(9, entries)));
        }
    }
    panic!("reconnects without end");
}

#[test]
fn what_its_own_status_says_was_running_is_reported_as_lost_and_not_installed_again() {
    let mut world = lost(None, Some(3));
    assert!(world.machine.wants_own_status());
    connect(&mut world, Some(&status(77, 4, Some(3))), &[3]);
    assert_eq!(world.failed(), (Reason::StateLost, Rollback::Failed));
    assert!(matches!(world.result(), FinalResult::Failed(failure) if !failure.output.is_empty()));
    assert_eq!(world.ring.outcomes[0].deployment, DeploymentId(3));
    assert_eq!((world.ring.ended, world.ran.len()), (5, 0));
    assert_eq!(world.distrusted, 1);
    assert!(world.said.iter().all(|said| said.seq > Seq(77)));
    assert_eq!(world.said.last().unwrap().outcomes.len(), 1);
    assert!(!world.machine.wants_own_status());
}

#[test]
fn a_status_with_a_number_that_no_device_counts_to_is_not_its_own() {
    for seq in [u64::MAX, (1 << 63) + 1] {
        let mut world = lost(None, Some(3));
        connect(&mut world, Some(&status(seq, 4, Some(9))), &[3]);
        assert!(world.said.iter().all(|said| said.seq < Seq(6_000)));
        assert_eq!(world.ring.outcomes[0].deployment, DeploymentId(3));
    }
}

#[test]
fn without_any_status_the_kept_release_says_what_may_have_been_running() {
    let mut world = lost(None, Some(3));
    connect(&mut world, None, &[3, 4]);
    assert_eq!(world.ring.outcomes[0].deployment, DeploymentId(3));
    assert!(matches!(&world.ring.outcomes[0].result,
        FinalResult::Failed(failure) if failure.reason == Reason::StateLost));
    assert!(world.said.iter().all(|said| said.seq > Seq(5_000)));
    // What never ran is installed as ever.
    assert_eq!(world.ring.outcomes[1].deployment, DeploymentId(4));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_spec_of_the_last_generation_there_is_leaves_numbers_to_count() {
    // bad-inputs row 43
    let mut world = lost(None, None);
    connect_as(&mut world, None, u64::MAX, &[4]);
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    let last = world.said.last().unwrap().seq;
    assert!(
        last > Seq(1 << 63) && last < Seq((1 << 63) + 1_000),
        "{last:?}"
    );
}

#[test]
fn the_loss_is_remembered_until_it_is_settled() {
    let mut world = lost(None, Some(3));
    world.restart();
    let record = world.record.clone().unwrap();
    assert_eq!(record.memory, Memory::Lost);
    world.machine = Machine::new(Setup {
        kept_release: Some(ReleaseId([3; 16])),
        ..setup(Some(record), Ring::default(), world.own.clone(), 1)
    });
    world.tell(Event::Started);
    connect(&mut world, Some(&status(900, 0, Some(3))), &[]);
    assert_eq!(world.failed().0, Reason::StateLost);
    assert_eq!(world.record.unwrap().memory, Memory::Whole);
}

#[test]
fn a_lost_ring_is_read_back_and_the_started_deployment_is_finished() {
    let mut begun = World::new(1);
    begun.fetches_fail = vec![Retry::Later];
    begun = begun.online(spec(1, vec![entry(3)]));
    let mut world = lost(begun.record, Some(3));
    let outcome = Outcome {
        deployment: DeploymentId(2),
        round: Round(0),
        attempt: Attempt(1),
        result: FinalResult::Successful(Success::Installed),
    };
    let own = DeviceStatus {
        outcomes: vec![outcome],
        ..status(900, 6, Some(3))
    };
    connect(&mut world, Some(&own), &[3]);
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    let ended: Vec<_> = world.ring.outcomes.iter().map(|o| o.deployment.0).collect();
    assert!(ended.contains(&3), "{ended:?}");
    assert_eq!(world.runs(ScriptKind::Install), [0]);
}

#[test]
fn a_wiped_device_goes_on_behind_the_numbers_of_its_own_status() {
    let mut world = World::new(1);
    world.tell(Event::Started);
    connect(&mut world, Some(&status(500, 2, None)), &[1]);
    assert!(world.said.iter().all(|said| said.seq > Seq(500)));
    assert_eq!(world.ring.ended, 3);
}

#[test]
fn a_new_device_counts_from_the_beginning() {
    let mut world = World::new(1);
    world.tell(Event::Started);
    connect(&mut world, None, &[1]);
    assert_eq!(world.reconnected, 0);
    assert!(world.said.iter().all(|said| said.seq < Seq(100)));
}

#[test]
fn a_lost_manifest_of_a_release_that_has_begun_needs_a_person() {
    let mut world = World::new(1).fails(0, ScriptKind::Install, &[FAIL]);
    world = world.online(spec(1, vec![entry(1)]));
    world.restart();
    let _download = world.machine.handle(
        Event::Started,
        Now {
            unix_ms: world.now_ms,
            random: 7,
        },
    );
    let lost = FetchFailure::new(Reason::StateLost, Retry::Useless);
    world.tell(Event::DownloadFailed(lost));
    assert_eq!(world.failed(), (Reason::StateLost, Rollback::Failed));
    assert_eq!(world.distrusted, 1);
}

#[test]
fn what_ends_after_the_ring_was_lost_and_before_the_own_status_came_is_told() {
    let mut begun = World::new(1);
    begun.fetches_fail = vec![Retry::Later];
    begun = begun.online(spec(1, vec![entry(3)]));
    for acked in [0, 1] {
        let mut record = begun.record.clone().unwrap();
        record.acked = acked;
        let first = Outcome {
            deployment: DeploymentId(2),
            round: Round(0),
            attempt: Attempt(1),
            result: FinalResult::Successful(Success::Installed),
        };
        let own = DeviceStatus {
            // Carried until it is acknowledged.
            outcomes: if acked == 0 { vec![first] } else { Vec::new() },
            ..status(900, 1, Some(3))
        };
        let mut world = lost(Some(record), Some(3));
        world.wait();
        assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
        // What is said without a session reaches nobody.
        let unheard = world.said.len();
        connect(&mut world, Some(&own), &[3]);
        let said = &world.said[unheard..];
        let last = said.last().unwrap();
        assert_eq!((last.ended, last.outcomes.len()), (2, 1), "{last:?}");
        assert_eq!(last.outcomes[0].deployment, DeploymentId(3));
        assert!(
            said.iter()
                .all(|said| said.ended > 0 && said.seq > Seq(900))
        );
    }
}

#[test]
fn an_outcome_that_was_read_back_is_kept_when_the_power_goes_before_it_is_settled() {
    // bad-inputs rows 59 and 60
    let mut world = lost(None, Some(3));
    let outcome = Outcome {
        deployment: DeploymentId(3),
        round: Round(0),
        attempt: Attempt(1),
        result: FinalResult::Successful(Success::Installed),
    };
    let own = DeviceStatus {
        outcomes: vec![outcome.clone()],
        ..status(12, 2, None)
    };
    world.tell(Event::Connected);
    world.tell(Event::OwnStatus(own));
    // What it says next carries no outcome, and is all that the broker has after the cut.
    let record = world.record.clone();
    world.machine = Machine::new(Setup {
        kept_release: Some(ReleaseId([3; 16])),
        ..setup(record, world.ring.clone(), world.own.clone(), 2)
    });
    world.tell(Event::Started);
    connect(&mut world, Some(&status(77, 2, None)), &[3]);
    assert_eq!(world.ring.outcomes, [outcome]);
    assert_eq!((world.ring.ended, world.ran.len()), (2, 0));
}
