use super::*;
use crate::job::{Cause, Stage, Terms, Then};
use crate::past::PAST_MAX;
use hoist_protocol::id::{Attempt, DeploymentId, ReleaseId, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::{WEEK_MINUTES, WINDOWS_MAX, Window};
use hoist_protocol::status::{
    Failure, OUTPUT_BYTES_MAX, Rollback, ScriptExit, ScriptFailure, ScriptKind, Success,
};

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
        signer: (format > 2).then_some(KeyId([0xcd; 4])),
        device_resync: Resync(u32::MAX),
        group_resync: Resync(u32::MAX),
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
        terms: match format {
            ..Record::WITH_TERMS => Terms::default(),
            _ => terms(),
        },
    }
}

/// As many bytes as terms can have.
fn terms() -> Terms {
    let window = Window {
        start_minute: WEEK_MINUTES - 1,
        minutes: u16::MAX,
    };
    Terms {
        windows: vec![window; WINDOWS_MAX],
        max_overrun_s: u32::MAX,
        spread_s: u32::MAX,
        timeout_s: u32::MAX,
        online_s: u32::MAX,
    }
}

/// A slot as an agent before format 2 reads it.
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
    for format in [1, 2, 3, 4] {
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
    let new = write_slot(8, &record(3));
    assert_eq!(
        read_slot::<Older>(&new).unwrap_err(),
        SlotError::Newer { format: 3 }
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
    assert_eq!(
        hex(3),
        "030100000000000000808080808020ffffffff0f80d8c1a28c34ffffffff0fffffffff0f80d8\
         c1a28c340001cdcdcdcd01ffffffff0fababababababababababababababababffffffff0fff\
         ffffff0f80d8c1a28c3401ffffffff0fffffffff0f010f040f0300010f010300ff0112c5ee28"
    );
    assert_eq!(
        hex(4),
        "040100000000000000808080808020ffffffff0f80d8c1a28c34ffffffff0fffffffff0f80d8\
         c1a28c340001cdcdcdcd01ffffffff0fababababababababababababababababffffffff0fff\
         ffffff0f80d8c1a28c3401ffffffff0fffffffff0f010f040f0300010f010300ff0107df4eff\
         ff03df4effff03df4effff03df4effff03df4effff03df4effff03df4effff03ffffffff0fff\
         ffffff0fffffffff0fffffffff0fd2f11881"
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

/// A ring with everything at its largest.
fn largest_ring() -> Ring {
    let failure = Failure {
        reason: Reason::ScriptFailed,
        artifact: Some(15),
        script: Some(ScriptFailure {
            kind: ScriptKind::Verify,
            exit: ScriptExit::Code(255),
        }),
        rollback: Rollback::Succeeded,
        output: vec![b'x'; OUTPUT_BYTES_MAX],
    };
    let mut ring = Ring::default();
    let count = u32::try_from(PAST_MAX).unwrap();
    for number in 0..count {
        let outcome = Outcome {
            deployment: DeploymentId(u32::MAX - number),
            round: Round(u32::MAX),
            attempt: Attempt(u32::MAX),
            result: FinalResult::Failed(failure.clone()),
        };
        ring.push(outcome, Some(ReleaseId([0xab; 16])));
    }
    ring.ended = u32::MAX;
    ring
}

/// The ring as an agent reads it that keeps nothing behind the outcomes.
#[derive(Debug, PartialEq, Eq)]
struct OutcomesOnly(u32, Vec<Outcome>);

impl Slot for OutcomesOnly {
    const NEWEST: u8 = 1;

    fn format(&self) -> u8 {
        1
    }

    fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(&(self.0, &self.1)).unwrap()
    }

    fn decode(_format: u8, bytes: &[u8]) -> Option<Self> {
        let (ended, outcomes) = postcard::from_bytes(bytes).ok()?;
        Some(Self(ended, outcomes))
    }
}

#[test]
fn the_largest_ring_fits_its_slot_and_is_read_back() {
    let ring = largest_ring();
    assert_eq!((ring.outcomes.len(), ring.past.iter().count()), (8, 64));
    let slot = write_slot(u64::MAX, &ring);
    assert!(slot.len() <= RING_BYTES_MAX, "{}", slot.len());
    assert_eq!(read_slot::<Ring>(&slot).unwrap(), (u64::MAX, ring));
}

#[test]
fn a_deployment_that_is_remembered_takes_few_bytes_of_a_flash_write() {
    let mut ring = Ring::default();
    let bare = write_slot(1, &ring).len();
    for number in 1..=64 {
        let ended = Ended {
            deployment: DeploymentId(number),
            release: Some(ReleaseMark::of(ReleaseId([9; 16]))),
            round: Round(0),
            ending: Ending::Failed(Reason::ScriptFailed, Rollback::Succeeded),
        };
        ring.past.add(ended);
    }
    assert_eq!(write_slot(1, &ring).len() - bare, 64 * 10);
}

#[test]
fn an_older_agent_reads_the_ring_of_this_one_and_this_one_that_of_an_older() {
    let ring = largest_ring();
    let (_, older) = read_slot::<OutcomesOnly>(&write_slot(7, &ring)).unwrap();
    assert_eq!(older, OutcomesOnly(ring.ended, ring.outcomes));
    let (_, again) = read_slot::<Ring>(&write_slot(8, &older)).unwrap();
    assert_eq!((again.ended, &again.outcomes), (older.0, &older.1));
    for outcome in &older.1 {
        assert!(again.is_over(outcome.deployment, None, outcome.round));
    }
}

#[test]
fn the_bytes_of_the_ring_stay_as_they_are_with_and_without_a_past() {
    let outcome = Outcome {
        deployment: DeploymentId(7),
        round: Round(1),
        attempt: Attempt(2),
        result: FinalResult::Successful(Success::Installed),
    };
    let hex = |slot: &[u8]| {
        let bytes = slot.iter().map(|byte| format!("{byte:02x}"));
        bytes.collect::<String>()
    };
    let older = OutcomesOnly(9, vec![outcome.clone()]);
    assert_eq!(
        hex(&write_slot(1, &older)),
        "010100000000000000090107010200002145aee3"
    );
    let mut ring = Ring {
        ended: 8,
        ..Ring::default()
    };
    ring.push(outcome, Some(ReleaseId([0xab; 16])));
    assert_eq!(
        hex(&write_slot(1, &ring)),
        "01010000000000000009010701020000010701abababab010000af5b86f1"
    );
}
