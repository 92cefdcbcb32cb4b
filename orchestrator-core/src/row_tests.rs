//! Golden bytes of rows and keys: what a store written today must mean tomorrow.

use hoist_protocol::codec::{Message, decode, encode};
use hoist_protocol::head::Policy;
use hoist_protocol::id::{
    Attempt, DeploymentId, DeviceId, GroupId, ReleaseId, RollCall, Round, Seq, Shard,
};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Failure, Rollback, Step, Success};

use super::*;
use crate::key::{
    CounterKey, DeploymentKey, DeviceKey, GroupCountKey, GroupKey, MemberKey, MetaKey, RecordKey,
    ReleaseKey, ReleaseNameKey, RequestKey, RowKey,
};
use crate::timer::{Timer, TimerKind};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn golden<R: Message + PartialEq + std::fmt::Debug>(row: &R, expected: &str) {
    let bytes = encode(row);
    assert_eq!(hex(&bytes), expected, "{row:?}");
    assert_eq!(decode::<R>(&bytes).as_ref(), Ok(row));
}

fn device() -> DeviceId {
    "d1".parse().unwrap()
}

fn group() -> GroupId {
    "eu".parse().unwrap()
}

fn record(state: RecordState, due_ms: Option<u64>) -> RecordRow {
    RecordRow {
        round: Round(1),
        attempt: Attempt(2),
        seq: Seq(300),
        state,
        retried: true,
        late: false,
        outside: false,
        due_ms,
        asked: false,
        updated_ms: 5,
    }
}

#[test]
fn small_rows_keep_their_bytes() {
    let meta = MetaRow {
        last_deployment: DeploymentId(17),
        attended_ms: 300,
        connected_at_ms: 2,
    };
    golden(&meta, "0111ac0202");
    let row = GroupRow {
        roll_call: RollCall(3),
        active: vec![DeploymentId(17)],
        scheduled: vec![],
        created_ms: 9,
    };
    golden(&row, "010301110009");
    let count = GroupCountRow {
        members: 4,
        online: 1,
    };
    golden(&count, "010401");
    golden(&MemberRow {}, "01");
    golden(&TimerRow {}, "01");
    let name = ReleaseNameRow {
        release: ReleaseId([7; 16]),
    };
    golden(&name, "0107070707070707070707070707070707");
    let counter = CounterRow {
        steps: [1, 2, 3, 4, 5],
        successful: 6,
        failed: vec![(0, 7), (2, 8)],
        retried: 9,
        rolled_back: 10,
        outside: 11,
        outside_successful: 12,
    };
    golden(&counter, "010102030405060200070208090a0b0c");
}

#[test]
fn records_keep_their_bytes() {
    let progress = RecordState::InProgress(Step::Downloading(50));
    golden(&record(progress, Some(7)), "010102ac0200003201000001070005");
    let success = RecordState::Successful(Success::Already);
    golden(&record(success, None), "010102ac020101010000000005");
    golden(
        &record(RecordState::TimedOut, None),
        "010102ac0203010000000005",
    );
    let failure = Failure {
        reason: Reason::NoSpace,
        artifact: None,
        script: None,
        rollback: Rollback::NotNeeded,
        output: vec![1],
    };
    golden(
        &record(RecordState::Failed(failure), None),
        "010102ac02020b0000000101010000000005",
    );
}

#[test]
fn a_deployment_keeps_its_bytes() {
    let row = DeploymentRow {
        release: ReleaseId([7; 16]),
        release_text: "fw@1".into(),
        artifacts: vec!["app".parse().unwrap()],
        group: group(),
        round: Round(0),
        policy: Policy::default(),
        spread_s: 1,
        start_ms: None,
        until_ms: Some(2),
        limit: None,
        line: u32::MAX,
        complete_when: CompleteWhen::AllSuccessful,
        state: DeploymentState::Aborted,
        end: Some(End {
            reason: EndReason::Operator,
            by: Some("al".parse().unwrap()),
            text: "x".into(),
            at_ms: 3,
            members: 4,
        }),
        created_ms: 5,
        created_by: "al".parse().unwrap(),
    };
    golden(
        &row,
        concat!(
            "010707070707070707070707070707070704667740310103617070026575000380a305",
            "00000100010200ffffffff0f010301000102616c017803040502616c"
        ),
    );
}

#[test]
fn keys_keep_their_bytes_and_sort_by_number() {
    let id = DeploymentId(258);
    let keys = [
        (MetaKey.key(), "01"),
        (GroupKey(group()).key(), "026575"),
        (DeviceKey(device()).key(), "036431"),
        (
            ReleaseKey(ReleaseId([7; 16])).key(),
            "0407070707070707070707070707070707",
        ),
        (ReleaseNameKey("a@1".into()).key(), "05614031"),
        (DeploymentKey(id).key(), "0600000102"),
        (RecordKey(id, device()).key(), "07000001026431"),
        (CounterKey(id, Shard(9)).key(), "080000010209"),
        (MemberKey(group(), device()).key(), "096575006431"),
        (
            RequestKey("al".parse().unwrap(), "r".parse().unwrap()).key(),
            "0a616c0072",
        ),
        (GroupCountKey(group()).key(), "0c6575"),
    ];
    for (key, expected) in keys {
        assert_eq!(hex(&key.0), expected);
    }
    let timer = Timer {
        due_ms: 258,
        kind: TimerKind::Device(id, device()),
    };
    assert_eq!(hex(&timer.key().0), "0b010000000000000102028202026431");
    assert!(DeploymentKey(DeploymentId(255)).key() < DeploymentKey(DeploymentId(256)).key());
}
