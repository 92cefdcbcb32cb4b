//! A release that is removed: never while somebody needs it.

use super::*;
use crate::api::command::ReleaseRemove;
use crate::api::response::Decision;
use crate::model::key::{ReleaseKey, ReleaseNameKey};
use crate::model::release::Uses;

/// Removes a release, after deployments with these numbers were looked at.
fn remove(world: &mut World, release: &str, looked_at: u32, by: &[DeploymentId]) -> Decision {
    let mut input = world.input(Command::ReleaseRemove(ReleaseRemove {
        release: release.into(),
        dry_run: false,
    }));
    input.uses = Some(Uses {
        last: DeploymentId(looked_at),
        by: by.to_vec(),
    });
    world.decide(Input::Command(Box::new(input)))
}

fn refused(decision: &Decision) -> Option<Code> {
    refusal(&answer_of(decision.clone()))
}

#[test]
fn a_release_stays_while_a_deployment_of_it_is_active_scheduled_or_at_work() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let by = [id];
    let active = remove(&mut world, "fw@1.0.0", 1, &by);
    assert_eq!(refused(&active), Some(Code::ReleaseInUse));
    world.say("d1", working(1, id, Step::Installing));
    world.abort(id);
    let at_work = remove(&mut world, "fw@1.0.0", 1, &by);
    assert_eq!(refused(&at_work), Some(Code::ReleaseInUse));
    world.say("d1", done(2, id));
    let start = crate::model::time::format_time(world.now.unix_ms + 60_000);
    let scheduled = world.deploy_as(Deploy {
        start: Some(start),
        ..deploy("fw@1.0.0")
    });
    let waits = remove(&mut world, "fw@1.0.0", 2, &[scheduled]);
    assert_eq!(refused(&waits), Some(Code::ReleaseInUse));
    world.abort(scheduled);
    let over = remove(&mut world, "fw@1.0.0", 2, &[id, scheduled]);
    assert_eq!(
        refused(&over),
        None,
        "what was looked at is looked at again"
    );
}

#[test]
fn a_deployment_that_came_after_the_look_is_seen_all_the_same() {
    let mut world = World::with_devices(&["d1"]);
    world.add_release("other", "1", &["other"]);
    world.deploy("other@1");
    let id = world.deploy("fw@1.0.0");
    let late = remove(&mut world, "fw@1.0.0", 0, &[]);
    assert_eq!(refused(&late), Some(Code::ReleaseInUse));
    world.abort(id);
    assert_eq!(refused(&remove(&mut world, "fw@1.0.0", 1, &[])), None);
}

#[test]
fn a_removed_release_is_gone_by_name_and_by_id_and_its_deployments_keep_its_name() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    world.abort(id);
    let manifest = verified("fw", "1.0.0", &["app"]).manifest;
    let decision = remove(&mut world, "fw@1.0.0", 1, &[]);
    let removed = Effect::ReleaseRemoved {
        release: manifest.id(),
        artifacts: vec![manifest.artifacts[0].id()],
    };
    assert!(decision.effects.contains(&removed), "{decision:?}");
    let row = world.rows.read(&ReleaseKey(manifest.id())).unwrap();
    let name = world.rows.read(&ReleaseNameKey("fw@1.0.0".into())).unwrap();
    assert!(row.is_none() && name.is_none());
    let again = remove(&mut world, "fw@1.0.0", 1, &[]);
    assert_eq!(refused(&again), Some(Code::Release));
    let answer = world.order(Command::Deploy(deploy("fw@1.0.0")));
    assert_eq!(refusal(&answer), Some(Code::Release));
    assert_eq!(world.view(id).release, "fw@1.0.0");
    // The name is free again, and the row finds its generation.
    assert_eq!(refusal(&world.add_release("fw", "1.0.0", &["app"])), None);
    assert_eq!(world.deploy("fw@1.0.0"), DeploymentId(2));
}

#[test]
fn nobody_who_is_limited_to_groups_removes_what_is_for_all() {
    let mut world = World::with_devices(&[]);
    let mut input = world.input(Command::ReleaseRemove(ReleaseRemove {
        release: "fw@1.0.0".into(),
        dry_run: false,
    }));
    input.uses = Some(Uses::default());
    input.groups = vec!["eu".parse().unwrap()];
    assert_eq!(refusal(&world.send(input)), Some(Code::Role));
}
