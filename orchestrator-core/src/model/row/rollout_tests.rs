//! Golden bytes of deployments, rollouts and their history.

use hoist_protocol::id::{ReleaseId, Round};
use hoist_protocol::spec::Policy;

use super::*;
use crate::model::rollout::{Budget, FailureThreshold, Gate, Growth, Most, Only, Phase, TooMany};
use crate::model::row::tests::{golden, older_golden};
use crate::model::row::{DeploymentRow, End};
use crate::model::selector::Selector;
use crate::model::state::{CompleteWhen, DeploymentState, Then};
use crate::model::window::{LocalWindow, Windows};

fn deployment() -> DeploymentRow {
    DeploymentRow {
        release: ReleaseId([7; 16]),
        release_text: "fw@1".into(),
        artifacts: vec!["app".parse().unwrap()],
        group: "eu".parse().unwrap(),
        round: Round(0),
        last_round: Round(1),
        policy: Policy::default(),
        spread_s: 1,
        start_ms: None,
        until_ms: Some(2),
        limit: None,
        slots: 3,
        line: u32::MAX,
        seek_due_ms: None,
        complete_when: CompleteWhen::AllSuccessful,
        state: DeploymentState::Aborted,
        end: Some(End {
            reason: EndReason::Operator,
            by: Some("al".parse().unwrap()),
            text: "x".into(),
            at_ms: 3,
            members: 4,
            turn: 6,
        }),
        created_ms: 5,
        turn: 2,
        created_by: "al".parse().unwrap(),
        updated_ms: 7,
        allowed: Some(300),
        order: Some(9),
        paused: Some(Paused {
            reason: PauseReason::Gate,
            by: None,
            text: "x".into(),
            at_ms: 3,
        }),
        history: 8,
        fallback: Some(ReleaseId([9; 16])),
    }
}

#[test]
fn a_deployment_keeps_its_bytes_and_those_of_before_are_read() {
    let row = deployment();
    golden(
        &row,
        concat!(
            "03070707070707070707070707070707070466774031010361707002657500010380a3",
            "050000010001020003ffffffff0f00010301000102616c0178030406050202616c07",
            "01ac020109010100017803",
            "080109090909090909090909090909090909"
        ),
    );
    let second = DeploymentRow {
        allowed: None,
        order: None,
        paused: None,
        history: 0,
        fallback: None,
        ..row
    };
    older_golden(
        &second,
        concat!(
            "02070707070707070707070707070707070466774031010361707002657500010380a3",
            "050000010001020003ffffffff0f00010301000102616c0178030406050202616c07"
        ),
    );
    let older = DeploymentRow {
        updated_ms: 0,
        ..second
    };
    older_golden(
        &older,
        concat!(
            "01070707070707070707070707070707070466774031010361707002657500010380a3",
            "050000010001020003ffffffff0f00010301000102616c0178030406050202616c"
        ),
    );
}

#[test]
fn a_rollout_and_its_history_keep_their_bytes() {
    let rollout = Rollout {
        phases: vec![Phase {
            name: "canary".into(),
            part: Part::Percent(100),
            gate: Gate::default(),
            approvals: 2,
        }],
        max_in_progress: Some(3),
        starts_per_minute: None,
        growth: Some(Growth {
            factor: 2,
            every: 10,
            up_to: 300,
        }),
        failure: Some(FailureThreshold {
            at: TooMany::Devices(4),
            min_ended: 1,
            reasons: Vec::new(),
            then: Then::Abort,
        }),
        only: Only::Selected(Selector::parse("site=eu").unwrap()),
        budget: Some(Budget {
            label: "site".into(),
            most: Most::Percent(10),
        }),
        windows: Some(Windows {
            time_zone: "UTC".into(),
            open: vec![LocalWindow {
                days: 0x1f,
                from_minute: 300,
                minutes: 120,
            }],
        }),
        policy: Some("a@1".into()),
    };
    let row = RolloutRow {
        is_open: true,
        approved: vec!["al".parse().unwrap()],
        given: vec![Given {
            at_ms: 300,
            slots: 5,
        }],
        ..RolloutRow::new(rollout)
    };
    golden(
        &row,
        concat!(
            "02010663616e61727900645f00000080a305000201030001020aac0201010401000101",
            "07736974653d6575010473697465010a0103555443011fac0278010361403100010000",
            "000102616c0000000000000001ac02050000000000000000"
        ),
    );
    older_golden(
        &row,
        concat!(
            "01010663616e61727900645f00000080a305000201030001020aac0201010401000101",
            "07736974653d6575010473697465010a0103555443011fac0278010361403100010000",
            "000102616c0000000000000001ac020500000000000000"
        ),
    );
}

#[test]
fn items_of_a_history_keep_their_bytes() {
    let phase = PhaseIs {
        number: 2,
        name: "all".into(),
    };
    let counted = Counted {
        given: 300,
        successful: 4,
        failed: 5,
    };
    let item = HistoryRow {
        at_ms: 300,
        by: None,
        what: Happening::GateFailed(phase, counted),
    };
    golden(&item, "01ac0200040203616c6cac020405");
    let last = HistoryRow {
        what: Happening::Ended(EndReason::Failures),
        ..item
    };
    golden(&last, "01ac02000b07");
}
