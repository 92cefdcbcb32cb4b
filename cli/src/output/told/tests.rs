use super::*;
use serde_json::json;

fn detail() -> DeploymentDetail {
    serde_json::from_value(json!({
        "apiVersion": "hoist/v1", "deployment": 1, "release": "hello@1.1.0", "group": "eu",
        "state": "active", "reason": null, "settled": true,
        "counts": {"members": 25, "pending": 0, "inProgress": 0, "successful": 24, "failed": 1},
        "steps": {"downloading": 0, "downloaded": 0, "installing": 0, "rebooting": 0, "retrying": 0},
        "failures": [{"reason": "script-failed", "count": 1}],
        "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
        "retried": 0, "rolledBack": 1, "createdBy": "admin", "start": null, "until": null,
        "endedBy": null, "endedText": null,
        "failedDevices": [{"device": "dev-07", "reason": "script-failed", "script": "verify",
                           "exit": 1, "rollback": "ok"}],
    }))
    .unwrap()
}

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-01-01T00:05:00Z").unwrap()
}

#[test]
fn a_person_reads_how_it_went_who_failed_and_what_to_type_in_80_columns() {
    let told = full(&detail(), now());
    assert_eq!(
        told,
        "deployment 1 (hello@1.1.0 to eu): settled, 24 of 25 successful, 1 failed\n  \
         created    5m ago by admin\n  \
         rolled     1 device that put back what was there\n  \
         failed     1 script-failed\n\n\
         DEVICE  REASON         SCRIPT  EXIT  ROLLBACK\n\
         dev-07  script-failed  verify  1     ok\n\n\
         why:    hoist device why dev-07\n\
         again:  hoist deployment retry 1\n"
    );
    assert!(told.lines().all(|line| line.len() <= 80), "{told}");
}

#[test]
fn an_end_says_why_and_by_whom_and_offers_no_retry() {
    let mut detail = detail();
    detail.view.state = DeploymentState::Aborted;
    detail.view.reason = Some(EndReason::Operator.into());
    detail.ended_by = Some("alice".into());
    detail.ended_text = Some("wrong version".into());
    let told = full(&detail, now());
    assert!(
        told.contains("ended      5m ago, aborted by alice: wrong version\n"),
        "{told}"
    );
    assert!(!told.contains("retry"), "{told}");
}

#[test]
fn a_limit_is_named_with_those_whom_it_leaves_out() {
    let mut view = detail().view;
    view.counts = Counts {
        members: 200,
        pending: 196,
        in_progress: 2,
        successful: 2,
        failed: 0,
    };
    view.limit = Some(LimitCounts {
        devices: 20,
        given: 20,
        started: 4,
    });
    (view.settled, view.group) = (false, "g".to_owned());
    assert!(
        line(&view).ends_with(
            "active, limit 20, 2 of 200 successful, 2 in progress, 16 pending, 180 beyond the \
             limit"
        ),
        "{}",
        line(&view)
    );
    view.limit = Some(LimitCounts {
        devices: 500,
        ..LimitCounts::default()
    });
    assert_eq!(beyond_limit(&view), 0);
}

#[test]
fn a_retry_is_offered_only_when_it_can_help_somebody() {
    let mut detail = detail();
    let told = |detail: &DeploymentDetail| full(detail, now());
    detail.view.failures[0].reason = Reason::Downgrade.into();
    let hopeless = told(&detail);
    assert!(!hopeless.contains("retry"), "{hopeless}");
    assert!(
        hopeless.contains("never:  hoist explain downgrade\n"),
        "{hopeless}"
    );
    let mut other = detail.view.failures[0].clone();
    other.reason = Reason::NoSpace.into();
    detail.view.failures.push(other);
    let mixed = told(&detail);
    assert!(
        mixed.contains("again:  hoist deployment retry 1\n"),
        "{mixed}"
    );
    assert!(!mixed.contains("explain no-space"), "{mixed}");
}

#[test]
fn what_took_its_place_is_named() {
    let mut detail = detail();
    detail.view.state = DeploymentState::Completed;
    detail.view.reason = Some(EndReason::Superseded.into());
    detail.ended_text = Some("by deployment 3".into());
    detail.view.counts.pending = 3;
    detail.view.counts.successful = 21;
    let told = end(&detail, now());
    assert!(
        told.starts_with(
            "deployment 1 (hello@1.1.0 to eu): superseded, 21 of 25 successful, 1 failed, 3\n    \
             pending\n  ended      5m ago, superseded by deployment 3\n"
        ),
        "{told}"
    );
}

#[test]
fn nothing_is_said_of_failures_where_there_are_none() {
    let mut detail = detail();
    detail.view.counts.failed = 0;
    assert_eq!(failures(&detail.view, &[]), "");
}
