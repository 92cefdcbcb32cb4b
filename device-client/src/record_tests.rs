use super::*;
use crate::machine::{Cause, Stage, Then};
use hoist_protocol::id::{Attempt, DeploymentId, ReleaseId, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{ScriptExit, ScriptFailure, ScriptKind};

fn record(format: u8) -> Record {
    let script = ScriptFailure {
        kind: ScriptKind::Verify,
        exit: ScriptExit::Code(255),
    };
    let cause = Cause {
        reason: Reason::ScriptFailed,
        artifact: Some(15),
        script: Some(script),
    };
    Record {
        format,
        reserved: Seq(1 << 40),
        acked: u32::MAX,
        generation: Generation(1_790_000_000_000),
        device_roll: RollCall(u32::MAX),
        group_roll: RollCall(u32::MAX),
        time_ms: if format == 1 { 0 } else { 1_790_000_000_000 },
        memory: Memory::Whole,
        job: Some(Job {
            deployment: DeploymentId(u32::MAX),
            release: ReleaseId([0xab; 16]),
            round: Round(u32::MAX),
            attempts: u32::MAX,
            deadline_ms: 1_790_000_000_000,
            allow_downgrade: true,
            attempt: Attempt(u32::MAX),
            failures: u32::MAX,
            counted: true,
            artifact: 15,
            stage: Stage::RollingBack {
                at: 15,
                run: 3,
                cause,
                then: Then::GiveUp,
            },
        }),
    }
}

/// What an agent before format 2 makes of a slot.
#[derive(Debug, PartialEq, Eq)]
struct Older(Record);

impl Slot for Older {
    const NEWEST: u8 = 1;

    fn format(&self) -> u8 {
        1
    }

    fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    fn decode(format: u8, bytes: &[u8]) -> Option<Self> {
        Record::decode(format, bytes).map(Self)
    }
}

#[test]
fn the_largest_record_of_each_format_fits_its_slot_and_is_read_back() {
    for format in [1, 2] {
        let record = record(format);
        let slot = write_slot(u64::MAX, &record);
        assert!(slot.len() <= RECORD_BYTES_MAX, "{format}: {}", slot.len());
        assert_eq!(read_slot::<Record>(&slot).unwrap(), (u64::MAX, record));
    }
}

#[test]
fn an_older_agent_reads_the_format_it_began_and_refuses_a_newer_one() {
    // bad-inputs row 60
    let old = write_slot(7, &record(1));
    assert_eq!(read_slot::<Older>(&old).unwrap().0, 7);
    let new = write_slot(8, &record(2));
    assert_eq!(
        read_slot::<Older>(&new).unwrap_err(),
        SlotError::Newer { format: 2 }
    );
}

#[test]
fn the_bytes_of_each_format_stay_as_they_are() {
    let hex = |format| {
        let slot = write_slot(1, &record(format));
        slot.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        hex(1),
        "010100000000000000808080808020ffffffff0f80d8c1a28c34ffffffff0fffffffff0f01ff\
         ffffff0fababababababababababababababababffffffff0fffffffff0f80d8c1a28c3401ff\
         ffffff0fffffffff0f010f040f0300010f010300ff01f150c600"
    );
    assert_eq!(
        hex(2),
        "020100000000000000808080808020ffffffff0f80d8c1a28c34ffffffff0fffffffff0f80d8\
         c1a28c340001ffffffff0fababababababababababababababababffffffff0fffffffff0f80\
         d8c1a28c3401ffffffff0fffffffff0f010f040f0300010f010300ff01232f594d"
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    // bad-inputs row 60
    let slot = write_slot(1, &record(2));
    for length in 0..slot.len() {
        assert!(read_slot::<Record>(&slot[..length]).is_err(), "{length}");
    }
    for bit in 0..slot.len() * 8 {
        let mut flipped = slot.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read_slot::<Record>(&flipped).is_err(), "bit {bit}");
    }
}
