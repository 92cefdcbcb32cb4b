use hoist_protocol::spec::DeploymentSpec;

use super::rounds::in_round;
use super::*;

/// What a server went on to do after its store was copied.
fn rolled_back(after: impl FnOnce(&mut World)) -> (World, World) {
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    for device in ["d1", "d2"] {
        world.say(device, failed(1, id));
    }
    let copy = world.rows.clone();
    after(&mut world);
    let mut restored = World::with_devices(&[]);
    restored.rows = copy;
    restored.requests = 1_000;
    (world, restored)
}

fn older(effects: &Effects) -> Option<(u32, u32)> {
    effects.iter().find_map(|effect| match effect {
        Effect::OlderThanDevice {
            deployment, known, ..
        } => Some((deployment.0, known.0)),
        _ => None,
    })
}

fn refuses(effects: &Effects, code: Code) -> bool {
    let refused =
        |effect: &Effect| matches!(effect, Effect::Rejected { code: of, .. } if *of == code);
    effects.iter().any(refused)
}

#[test]
fn a_number_that_a_device_reports_is_never_given_again() {
    // bad-inputs row 66
    let (_, mut restored) = rolled_back(|_| {});
    let effects = restored.say("d1", done(5, DeploymentId(2)));
    assert_eq!(older(&effects), Some((2, 1)));
    assert!(refuses(&effects, Code::Deployment), "{effects:?}");
    let again = restored.say("d2", done(5, DeploymentId(2)));
    assert_eq!(older(&again), None, "it is said once of a number");
    restored.add_release("fw", "1.1.0", &["app"]);
    assert_eq!(restored.deploy("fw@1.1.0"), DeploymentId(3));
}

#[test]
fn step_by_step_devices_use_no_more_numbers_up_than_at_once() {
    let (_, mut restored) = rolled_back(|_| {});
    for (seq, number) in [(5, 600), (6, 1_001), (7, 1_002), (8, 1_900)] {
        restored.say("d1", done(seq, DeploymentId(number)));
    }
    restored.add_release("fw", "1.1.0", &["app"]);
    assert_eq!(restored.deploy("fw@1.1.0"), DeploymentId(1_002));
    restored.say("d2", done(5, DeploymentId(1_003)));
    restored.add_release("fw", "1.2.0", &["app"]);
    assert_eq!(
        restored.deploy("fw@1.2.0"),
        DeploymentId(1_004),
        "a number was given"
    );
}

#[test]
fn a_number_far_above_every_other_is_no_number_of_ours() {
    let (_, mut restored) = rolled_back(|_| {});
    for far in [1_002, u32::MAX] {
        let effects = restored.say("d1", done(u64::from(far), DeploymentId(far)));
        assert_eq!(older(&effects), None);
        assert!(refuses(&effects, Code::Deployment), "{effects:?}");
    }
    restored.add_release("fw", "1.1.0", &["app"]);
    assert_eq!(restored.deploy("fw@1.1.0"), DeploymentId(2));
}

#[test]
fn a_round_in_a_spec_of_ours_was_opened_whatever_the_store_knows() {
    // bad-inputs row 85, S13
    let mut entries: Vec<DeploymentSpec> = Vec::new();
    let mut rounds = Vec::new();
    let (world, mut restored) = rolled_back(|world| {
        world.retry(DeploymentId(1), Some(&["d2"]));
        rounds = world.device_spec("d2").rounds;
        world.retry(DeploymentId(1), None);
        entries = world.spec("eu").entries;
    });
    let id = DeploymentId(1);
    assert_eq!(
        (entries[0].round, &rounds),
        (Round(2), &vec![(id, Round(1))])
    );
    let effects = restored.say("d1", in_round(2, done(2, id)));
    assert!(refuses(&effects, Code::Round), "{effects:?}");
    let device = "d2".parse().unwrap();
    restored.tell(Input::SeenRounds { device, rounds });
    let effects = restored.say("d2", in_round(1, failed(2, id)));
    assert!(!refuses(&effects, Code::Round), "{effects:?}");
    let told = restored.tell(Input::SeenSpec(entries));
    let eu = "eu".parse().unwrap();
    assert!(told.contains(&Effect::GroupSpecChanged(eu)), "{told:?}");
    assert_eq!(restored.spec("eu").entries, world.spec("eu").entries);
    restored.say("d1", in_round(2, done(3, id)));
    assert_eq!(restored.view(id).counts.successful, 1);
    match restored.retry(id, None) {
        Answer::Retried(retried) => assert_eq!(retried.round, 3, "above every round before"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_spec_of_another_release_under_the_same_number_opens_no_round() {
    let (mut world, mut restored) = rolled_back(|_| {});
    world.add_release("fw", "1.1.0", &["app"]);
    let mut entries = world.spec("eu").entries;
    entries[0].round = Round(7);
    entries[0].release.0[0] ^= 1;
    restored.tell(Input::SeenSpec(entries));
    assert_eq!(restored.spec("eu").entries[0].round, Round(0));
}
