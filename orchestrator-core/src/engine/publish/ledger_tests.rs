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
    let mut ledger = Ledger::default();
    ledger.started(Generation(900));
    assert_eq!(ledger.runs_out(0, 100), None, "nothing to sign");
    assert_eq!(ledger.runs_out(1, 100), Some(Generation(902)));
    ledger.reserve(Generation(1_000));
    assert_eq!(ledger.runs_out(1, 100), None);
    let first = ledger.head(&group(), content("a"), 0, 100).unwrap();
    assert_eq!(first.generation, Generation(901));
    assert_eq!(ledger.runs_out(99, 100), None);
    assert_eq!(ledger.runs_out(100, 100), Some(Generation(1_001)));
}

#[test]
fn what_is_out_is_not_sent_again_and_a_change_raises_the_generation() {
    let mut ledger = Ledger::default();
    let first = ledger.head(&group(), content("a"), 0, 100).unwrap();
    assert_eq!(first.generation, Generation(100));
    assert!(ledger.head(&group(), content("a"), 0, 101).is_none());
    assert!(!ledger.all_seen(|_| true));
    let payload = &first.payload;
    assert_eq!(
        ledger.seen(&group(), payload, Some(Generation(100))),
        Seen::AsDesired
    );
    assert!(ledger.all_seen(|_| true));
    let second = ledger.head(&group(), content("b"), 0, 50).unwrap();
    assert_eq!(
        second.generation,
        Generation(101),
        "rises even when the clock does not"
    );
}

#[test]
fn an_overwritten_head_is_published_again_with_the_same_bytes() {
    // bad-inputs row 12
    let mut ledger = Ledger::default();
    let first = ledger.head(&group(), content("a"), 0, 100).unwrap();
    let payload = first.payload;
    ledger.seen(&group(), &payload, Some(Generation(100)));
    for wrong in [&b"forged"[..], b""] {
        assert_eq!(ledger.seen(&group(), wrong, None), Seen::Different);
        let again = ledger.head(&group(), content("a"), 0, 200).unwrap();
        assert_eq!(again.payload, payload);
        ledger.seen(&group(), &payload, Some(Generation(100)));
    }
    let replayed = ledger.seen(&group(), b"old", Some(Generation(99)));
    assert_eq!(replayed, Seen::Different);
    assert!(ledger.head(&group(), content("a"), 0, 200).is_some());
}

#[test]
fn an_older_head_of_ours_on_its_way_is_no_attack() {
    let mut ledger = Ledger::default();
    let first = ledger.head(&group(), content("a"), 0, 100).unwrap();
    ledger.head(&group(), content("b"), 0, 101).unwrap();
    let echo = ledger.seen(&group(), &first.payload, Some(Generation(100)));
    assert_eq!(echo, Seen::AsDesired);
    assert!(ledger.head(&group(), content("b"), 0, 102).is_none());
}

#[test]
fn a_retained_head_from_before_a_restart_is_continued_not_repeated() {
    let mut ledger = Ledger::default();
    let retained = content("a")(Generation(500));
    ledger.seen(&group(), &retained, Some(Generation(500)));
    assert!(ledger.head(&group(), content("a"), 0, 100).is_none());
    let changed = ledger.head(&group(), content("b"), 0, 100).unwrap();
    assert_eq!(changed.generation, Generation(501));
}

#[test]
fn an_old_head_still_on_its_way_after_a_restart_is_not_published_again() {
    let mut ledger = Ledger::default();
    let old = content("a")(Generation(500));
    ledger.seen(&group(), &old, Some(Generation(500)));
    ledger.forget_broker(|_| true);
    let fresh = ledger.head(&group(), content("a"), 0, 900).unwrap();
    assert_eq!(fresh.generation, Generation(900), "650 may be out there");
    ledger.forget_broker(|_| true);
    let again = ledger.head(&group(), content("a"), 0, 950).unwrap();
    assert_eq!(again.generation, Generation(900), "our own is the newest");
}

#[test]
fn the_head_of_a_device_that_forgot_it_is_signed_above_the_one_that_is_out() {
    let mut ledger = Ledger::default();
    let first = ledger.head(&group(), content("a"), 0, 100).unwrap();
    ledger.seen(&group(), &first.payload, Some(Generation(100)));
    ledger.outdate(&group());
    let second = ledger.head(&group(), content("a"), 0, 100).unwrap();
    assert_eq!(second.generation, Generation(101));
    assert!(ledger.head(&group(), content("a"), 0, 100).is_none());
}

#[test]
fn a_head_with_notices_is_signed_again_at_half_of_its_validity() {
    let mut ledger = Ledger::default();
    ledger.head(&group(), content("a"), 1_000, 100).unwrap();
    assert!(ledger.overdue(599).is_empty());
    assert_eq!(ledger.overdue(600), [group()]);
    let renewed = ledger.head(&group(), content("a"), 1_000, 600).unwrap();
    assert_eq!(renewed.generation, Generation(600));
}

#[test]
fn what_is_never_seen_back_is_sent_again() {
    let mut ledger = Ledger::default();
    ledger.head(&group(), content("a"), 0, 100).unwrap();
    assert_eq!(ledger.overdue(100 + ECHO_MS), [group()]);
    assert!(
        ledger
            .head(&group(), content("a"), 0, 100 + ECHO_MS)
            .is_some()
    );
}
