use super::*;

/// The rows of a fleet in the middle of its work.
pub(crate) fn rows_of_a_fleet() -> MemoryRows {
    let mut world = World::with_devices(&["d1", "d2", "d3"]);
    world.add_release("fw", "1.1.0", &["app"]);
    let first = world.deploy("fw@1.0.0");
    world.say("d1", done(1, first));
    let second = world.deploy("fw@1.1.0");
    world.say("d1", working(2, second, Step::Installing));
    world.say("d2", failed(1, second));
    world.hold("d3", true);
    world.rows
}

pub(super) fn answer_of(decision: Decision) -> Answer {
    match decision.response {
        Some(Response::Reply { answer, .. }) => answer,
        other => panic!("every command of these tests is answered at once: {other:?}"),
    }
}
