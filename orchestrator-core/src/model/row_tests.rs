//! Golden bytes of rows and keys: what a store written today must mean tomorrow.

use hoist_protocol::codec::{Message, decode, encode};
use hoist_protocol::envelope::{KeyId, PublicKey};
use hoist_protocol::id::{
    Attempt, DeploymentId, DeviceId, GroupId, ReleaseId, Resync, Round, Seq, Shard,
};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Failure, Rollback, Step, Success};

use super::*;
use crate::model::error::Code;
use crate::model::instance::InstanceId;
use crate::model::key::{
    AuditHeadKey, AuditKey, ClaimKey, CloneKey, CounterKey, DeploymentKey, DeviceKey, EventHeadKey,
    EventKey, FactsKey, FleetFreezeKey, ForgottenKey, GroupCountKey, GroupKey, InstanceKey,
    MemberKey, NotedRootKey, NumbersKey, OutboxKey, PassesKey, RecordKey, RecoveryKey, ReleaseKey,
    ReleaseNameKey, RemovedGroupKey, RequestKey, RevokedKey, RowKey, SlotKey, WaitingCountKey,
    WaitingKey,
};
use crate::model::timer::{Timer, TimerKind};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn golden<R: Message + PartialEq + std::fmt::Debug>(row: &R, expected: &str) {
    let bytes = encode(row);
    assert_eq!(hex(&bytes), expected, "{row:?}");
    assert_eq!(decode::<R>(&bytes).as_ref(), Ok(row));
}

/// The bytes that the version before wrote are read as this row.
pub(super) fn older_golden<R: Message + PartialEq + std::fmt::Debug>(row: &R, written: &str) {
    let bytes = |text: &str| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    };
    assert_eq!(decode::<R>(&bytes(written)).as_ref(), Ok(row));
    let cut = &bytes(written)[..written.len() / 2 - 1];
    assert!(decode::<R>(cut).is_err(), "a part of it");
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
        lost: false,
        again: true,
        due_ms,
        asked: false,
        updated_ms: 5,
    }
}

#[test]
fn what_is_left_of_removed_things_keeps_its_bytes() {
    let removed = RemovedGroupRow {
        resync: Resync(3),
        turn: 300,
    };
    golden(&removed, "0103ac02");
    let forgotten = ForgottenRow {
        at_ms: 300,
        sweep_due_ms: Some(5),
    };
    golden(&forgotten, "01ac020105");
}

#[test]
fn the_row_of_an_orchestrator_keeps_its_bytes_also_of_before_there_could_be_others() {
    let instance = InstanceRow {
        last_deployment: DeploymentId(17),
        uptime_ms: 300,
        connected_at_ms: 2,
        broker_run: 4,
        generations_ms: 7,
        written_ms: 300,
        told: 5,
        asked_run: 3,
        numbers_end: DeploymentId(32),
        signer: Some(KeyId([0xcd; 4])),
    };
    golden(&instance, "0511ac02020407ac0205032001cdcdcdcd");
    let fourth = InstanceRow {
        signer: None,
        ..instance
    };
    older_golden(&fourth, "0411ac02020407ac02050320");
    let third = InstanceRow {
        numbers_end: DeploymentId(17),
        ..fourth
    };
    older_golden(&third, "0311ac02020407ac020503");
    let second = InstanceRow {
        asked_run: 4,
        ..third
    };
    older_golden(&second, "0211ac02020407ac0205");
    let first = InstanceRow {
        written_ms: 0,
        told: 0,
        ..second
    };
    older_golden(&first, "0111ac02020407");
}

#[test]
fn the_audit_trail_keeps_its_bytes_and_its_hashes() {
    let item = AuditRow {
        at_s: 300,
        user: "al".parse().unwrap(),
        from: "mqtt".into(),
        request: "r".parse().unwrap(),
        verb: "abort".into(),
        target: "17".into(),
        result: Some(Code::Role),
        hash: [0; 32],
    };
    let item = item.after(&[7; 32]);
    let hash = "269a92e0cdcff7654bba6402264893ba3fd6eada1859e9b4dccab940e88de1b5";
    golden(
        &item,
        &format!("01ac0202616c046d71747401720561626f72740231370102{hash}"),
    );
    let head = AuditHeadRow {
        number: 300,
        hash: [7; 32],
        refused_ms: 5,
    };
    golden(&head, &format!("01ac02{}05", "07".repeat(32)));
}

#[test]
fn members_keep_their_bytes_and_those_of_before_are_read() {
    let member = MemberRow {
        held: true,
        holds: vec![DeploymentId(17)],
        permits: vec![DeploymentId(18)],
    };
    golden(&member, "020101110112");
    let older = MemberRow {
        permits: Vec::new(),
        ..member
    };
    older_golden(&older, "01010111");
}

#[test]
fn small_rows_keep_their_bytes() {
    let row = GroupRow {
        resync: Resync(3),
        active: vec![DeploymentId(17)],
        scheduled: vec![],
        turn: 5,
        leaving: 6,
        created_ms: 9,
        frozen: None,
    };
    golden(&row, "020301110005060900");
    older_golden(&row, "0103011100050609");
    let change = OutboxRow {
        change: 3,
        permits: true,
        left: vec![group()],
    };
    golden(&change, "01030101026575");
    let recovery = RecoveryRow {
        open: true,
        known_ms: 300,
        issue: 7,
    };
    golden(&recovery, "0101ac0207");
    let facts = FactsRow {
        attributes: vec![("a".into(), "b".into())],
        floor: 300,
    };
    golden(&facts, "010101610162ac02");
    let clone = CloneRow {
        session: SessionCounter(300),
        turns: 2,
        at_ms: 5,
    };
    golden(&clone, "01ac020205");
    let name = ReleaseNameRow {
        release: ReleaseId([7; 16]),
    };
    golden(&name, "0107070707070707070707070707070707");
    let counter = CounterRow {
        steps: [1, 2, 3, 4, 5],
        successful: 6,
        failed: vec![(0, 7), (2, 8)],
        failed_rounds: vec![(Round(0), 13)],
        again: 2,
        retried: 9,
        rolled_back: 10,
        outside: 11,
        outside_successful: 12,
        updated_ms: 300,
        provisional: 13,
    };
    golden(&counter, "03010203040506020007020801000d02090a0b0cac020d");
    let second = CounterRow {
        provisional: 0,
        ..counter
    };
    older_golden(&second, "02010203040506020007020801000d02090a0b0cac02");
    let older = CounterRow {
        updated_ms: 0,
        ..second
    };
    older_golden(&older, "01010203040506020007020801000d02090a0b0c");
}

#[test]
fn records_keep_their_bytes() {
    let progress = RecordState::InProgress(Step::Downloading(50));
    golden(
        &record(progress, Some(7)),
        "010102ac02000032010000000101070005",
    );
    let success = RecordState::Successful(Success::Already);
    golden(&record(success, None), "010102ac0201010100000001000005");
    golden(
        &record(RecordState::TimedOut, None),
        "010102ac02030100000001000005",
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
        "010102ac02020b00000001010100000001000005",
    );
}

#[test]
fn claims_and_devices_that_wait_have_their_golden_bytes() {
    let claim = ClaimRow {
        group: group(),
        ids: "pump-*".into(),
        uses: 500,
        used: 3,
        expires_ms: 300,
        approval: true,
        created_ms: 5,
        by: "alice".parse().unwrap(),
        waiting: 300,
    };
    golden(
        &claim,
        "020265750670756d702d2af40303ac02010505616c696365ac02",
    );
    let older = ClaimRow {
        waiting: 0,
        ..claim
    };
    older_golden(&older, "010265750670756d702d2af40303ac02010505616c696365");
    let waiting = WaitingRow {
        claim: "c-1".parse().unwrap(),
        group: group(),
        key: PublicKey([7; 32]),
        device_type: "sensor-a".into(),
        since_ms: 300,
        until_ms: 700,
    };
    let key = "07".repeat(32);
    let (before, after) = ("0103632d31026575", "0873656e736f722d61ac02bc05");
    golden(&waiting, &format!("{before}{key}{after}"));
    golden(&WaitingCountRow { waiting: 300 }, "01ac02");
    let claim_key = ClaimKey("c-1".parse().unwrap()).key();
    let [first, third] = [0, 2].map(|place| WaitingKey(device(), place).key());
    let keys = [claim_key, first, third, WaitingCountKey.key()];
    let keys = keys.map(|key| hex(&key.0));
    assert_eq!(keys, ["19632d31", "1a6431", "1a64312f32", "1b"]);
}

#[test]
fn rows_whose_keys_say_everything_keep_their_bytes() {
    golden(&TimerRow {}, "01");
    golden(&SlotRow {}, "01");
}

#[test]
fn keys_keep_their_bytes_and_sort_by_number() {
    let id = DeploymentId(258);
    let keys = [
        (InstanceKey::MAIN.key(), "01"),
        (InstanceKey(InstanceId(258)).key(), "010102"),
        (NumbersKey.key(), "18"),
        (InstanceKey(InstanceId(258)).key(), "010102"),
        (NumbersKey.key(), "18"),
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
        (OutboxKey(device()).key(), "0d6431"),
        (FactsKey(device()).key(), "136431"),
        (RevokedKey(device()).key(), "0e6431"),
        (RemovedGroupKey(group()).key(), "156575"),
        (ForgottenKey(DeploymentId(17)).key(), "1600000011"),
        (RecoveryKey.key(), "17"),
        (CloneKey(device()).key(), "0f6431"),
        (SlotKey(id, device()).key(), "14000001026431"),
        (AuditHeadKey.key(), "1c"),
        (AuditKey(258).key(), "1d0000000000000102"),
        (NotedRootKey.key(), "23"),
        (EventHeadKey.key(), "26"),
        (EventKey(258).key(), "270000000000000102"),
        (PassesKey.key(), "20"),
        (FleetFreezeKey.key(), "21"),
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
