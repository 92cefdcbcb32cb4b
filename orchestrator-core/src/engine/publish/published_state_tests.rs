use super::*;

fn group() -> Subject {
    Subject::Group("eu".parse().unwrap())
}

fn content(text: &'static str) -> impl Fn(Generation) -> Vec<u8> {
    move |generation| format!("{text} {generation}").into_bytes()
}

#[test]
fn a_run_after_the_clock_was_set_back_signs_above_everything_that_was_reserved() {
    // W1
    let mut published_state = PublishedState::default();
    published_state.started(Generation(900));
    assert_eq!(published_state.runs_out(0, 100), None, "nothing to sign");
    assert_eq!(published_state.runs_out(1, 100), Some(Generation(902)));
    published_state.reserve(Generation(1_000));
    assert_eq!(published_state.runs_out(1, 100), None);
    let first = published_state
        .spec(&group(), content("a"), 0, 100)
        .unwrap();
    assert_eq!(first.generation, Generation(901));
    assert_eq!(published_state.runs_out(99, 100), None);
    assert_eq!(published_state.runs_out(100, 100), Some(Generation(1_001)));
}

#[test]
fn what_is_out_is_not_sent_again_and_a_change_raises_the_generation() {
    let mut published_state = PublishedState::default();
    let first = published_state
        .spec(&group(), content("a"), 0, 100)
        .unwrap();
    assert_eq!(first.generation, Generation(100));
    assert!(
        published_state
            .spec(&group(), content("a"), 0, 101)
            .is_none()
    );
    assert!(!published_state.all_seen(|_| true));
    let payload = &first.payload;
    assert_eq!(
        published_state.seen(&group(), payload, Some(Generation(100))),
        Seen::AsDesired
    );
    assert!(published_state.all_seen(|_| true));
    let second = published_state.spec(&group(), content("b"), 0, 50).unwrap();
    assert_eq!(
        second.generation,
        Generation(101),
        "rises even when the clock does not"
    );
}

#[test]
fn an_overwritten_spec_is_published_again_with_the_same_bytes() {
    // bad-inputs row 12
    let mut published_state = PublishedState::default();
    let first = published_state
        .spec(&group(), content("a"), 0, 100)
        .unwrap();
    let payload = first.payload;
    published_state.seen(&group(), &payload, Some(Generation(100)));
    for wrong in [&b"forged"[..], b""] {
        assert_eq!(published_state.seen(&group(), wrong, None), Seen::Different);
        let again = published_state
            .spec(&group(), content("a"), 0, 200)
            .unwrap();
        assert_eq!(again.payload, payload);
        published_state.seen(&group(), &payload, Some(Generation(100)));
    }
    let replayed = published_state.seen(&group(), b"old", Some(Generation(99)));
    assert_eq!(replayed, Seen::Different);
    assert!(
        published_state
            .spec(&group(), content("a"), 0, 200)
            .is_some()
    );
}

#[test]
fn an_older_spec_of_ours_on_its_way_is_no_attack() {
    let mut published_state = PublishedState::default();
    let first = published_state
        .spec(&group(), content("a"), 0, 100)
        .unwrap();
    published_state
        .spec(&group(), content("b"), 0, 101)
        .unwrap();
    let echo = published_state.seen(&group(), &first.payload, Some(Generation(100)));
    assert_eq!(echo, Seen::AsDesired);
    assert!(
        published_state
            .spec(&group(), content("b"), 0, 102)
            .is_none()
    );
}

#[test]
fn a_retained_spec_from_before_a_restart_is_continued_not_repeated() {
    let mut published_state = PublishedState::default();
    let retained = content("a")(Generation(500));
    published_state.seen(&group(), &retained, Some(Generation(500)));
    assert!(
        published_state
            .spec(&group(), content("a"), 0, 100)
            .is_none()
    );
    let changed = published_state
        .spec(&group(), content("b"), 0, 100)
        .unwrap();
    assert_eq!(changed.generation, Generation(501));
}

#[test]
fn an_old_spec_still_on_its_way_after_a_restart_is_not_published_again() {
    let mut published_state = PublishedState::default();
    let old = content("a")(Generation(500));
    published_state.seen(&group(), &old, Some(Generation(500)));
    published_state.forget_broker(|_| true);
    let fresh = published_state
        .spec(&group(), content("a"), 0, 900)
        .unwrap();
    assert_eq!(fresh.generation, Generation(900), "650 may be out there");
    published_state.forget_broker(|_| true);
    let again = published_state
        .spec(&group(), content("a"), 0, 950)
        .unwrap();
    assert_eq!(again.generation, Generation(900), "our own is the newest");
}

#[test]
fn the_spec_of_a_device_that_forgot_it_is_signed_above_the_one_that_is_out() {
    let mut published_state = PublishedState::default();
    let first = published_state
        .spec(&group(), content("a"), 0, 100)
        .unwrap();
    published_state.seen(&group(), &first.payload, Some(Generation(100)));
    published_state.outdate(&group());
    let second = published_state
        .spec(&group(), content("a"), 0, 100)
        .unwrap();
    assert_eq!(second.generation, Generation(101));
    assert!(
        published_state
            .spec(&group(), content("a"), 0, 100)
            .is_none()
    );
}

#[test]
fn a_spec_with_entries_is_signed_again_at_half_of_its_validity() {
    let mut published_state = PublishedState::default();
    published_state
        .spec(&group(), content("a"), 1_000, 100)
        .unwrap();
    assert!(published_state.overdue(599).is_empty());
    assert_eq!(published_state.overdue(600), [group()]);
    let renewed = published_state
        .spec(&group(), content("a"), 1_000, 600)
        .unwrap();
    assert_eq!(renewed.generation, Generation(600));
}

#[test]
fn what_is_never_seen_back_is_sent_again() {
    let mut published_state = PublishedState::default();
    published_state
        .spec(&group(), content("a"), 0, 100)
        .unwrap();
    assert_eq!(published_state.overdue(100 + ECHO_MS), [group()]);
    assert!(
        published_state
            .spec(&group(), content("a"), 0, 100 + ECHO_MS)
            .is_some()
    );
}
