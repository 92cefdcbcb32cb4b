use super::*;

#[test]
fn what_a_device_has_ended_says_how_and_how_it_begins_again() {
    // S8, S12, S13
    let (mut world, id) = deployed(&["d1", "d2", "d3", "d4"]);
    world.say("d1", done(1, id));
    world.expect("d1", id, Why::Successful, "it is done");
    world.say(
        "d2",
        ended(1, id, FinalResult::Successful(Success::Already)),
    );
    world.expect("d2", id, Why::AlreadyThere, "it is done");
    world.say("d3", failed(1, id));
    let retry = "hoist deployment retry 1 --device d3";
    let explained = world.expect("d3", id, Why::Failed, retry);
    assert!(
        explained
            .says
            .contains("script-failed, verify ended with 1"),
        "{explained:?}"
    );
    assert_eq!(explained.reason, Some(Reason::ScriptFailed.into()));
    world.retry(id, Some(&["d3"]));
    let again = world.expect("d3", id, Why::Starts, "");
    assert!(again.says.contains("begin again in round 1"), "{again:?}");
    let misfit = Failure {
        reason: Reason::Incompatible,
        artifact: None,
        script: None,
        rollback: Rollback::NotNeeded,
        output: Vec::new(),
    };
    world.say("d4", ended(1, id, FinalResult::Failed(misfit)));
    world.expect("d4", id, Why::Incompatible, "made for it");
    let mut status = working(2, id, Step::Retrying);
    status.running.as_mut().unwrap().round = Round(1);
    world.say("d3", status);
    world.expect("d3", id, Why::Retrying, "tries again by itself");
    let busy = Step::RetryingAfter(RetryCause::Http(503));
    let mut status = working(3, id, busy);
    status.running.as_mut().unwrap().round = Round(1);
    world.say("d3", status);
    let waits = world.expect("d3", id, Why::Retrying, "tries again by itself");
    assert!(
        waits.says.ends_with("the artifact server answers 503"),
        "{waits:?}"
    );
    let item = world.item(id, "d3");
    let cause = item.retry_cause.as_deref();
    assert_eq!(cause, Some("the artifact server answers 503"));
    world.abort(id);
    world.expect("d1", id, Why::Successful, "");
}

#[test]
fn a_failure_says_what_is_wrong_and_offers_only_what_can_help() {
    let failure = |reason, output: &[u8]| {
        FinalResult::Failed(Failure {
            reason,
            artifact: None,
            script: None,
            rollback: Rollback::NotNeeded,
            output: output.to_vec(),
        })
    };
    let (mut world, id) = deployed(&["d1", "d2"]);
    let said = "counter 1 is below the installed 2 of app";
    world.say(
        "d1",
        ended(1, id, failure(Reason::Downgrade, said.as_bytes())),
    );
    let older = world.expect("d1", id, Why::Failed, "--allow-downgrade");
    assert!(older.says.contains(said), "{older:?}");
    assert!(!older.next.contains("retry"), "{older:?}");
    let missing = failure(Reason::MissingDependency, b"");
    world.say("d2", ended(1, id, missing));
    let next = "install what it depends on; it begins again with: hoist deployment retry";
    world.expect("d2", id, Why::Failed, next);
}
