//! The program starts: what it keeps is what was written.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use hoist_device_client::agent::files::Files;
use hoist_device_client::agent::journal::TwoSlots;
use hoist_device_client::agent::storage::Storage;
use hoist_device_client::machine::{BootId, Event, Setup};
use hoist_device_client::record::{RECORD_BYTES_MAX, Record, Ring, Slot};
use hoist_device_client::session::{Identity, Root, Session, Trusted};
use hoist_protocol::envelope::PublicKey;

use super::{Device, Forks, Heard, WRITE_AGAIN_MS, clear_in_time, collect};
use crate::power_cut::fault::Fault;
use crate::power_cut::world::{DIR, World};

/// Starts the program, if what it keeps can be read.
pub(super) fn start<'a, 'b>(
    world: &'a mut World,
    forks: &'a mut Forks<'b>,
    steps: &'a mut usize,
) -> Option<Device<'a, 'b>> {
    if world.known_boot != world.boot {
        world.known_boot = world.boot;
        world.software.boot();
    }
    let is_old = world.agent_is_old();
    let (boot, old) = (world.boot, if is_old { ", an older agent" } else { "" });
    world.note(|| format!("the agent starts in boot {boot}{old}"));
    let files: Arc<dyn Files> = world.disk.clone();
    let dir = Path::new(DIR);
    if is_old && let Err(fault) = read_by_older_agent(world) {
        world.blame(fault);
        return None;
    }
    let opened = Storage::open(files, dir);
    collect(world, forks);
    let (storage, restored) = match opened {
        Ok(opened) => opened,
        Err(error) if world.disk.trouble().is_none() => {
            world.blame(Fault::Unreadable(format!("{error:?}")));
            return None;
        }
        Err(error) => {
            world.note(|| format!("it cannot start: {error:?}"));
            world.now_ms += WRITE_AGAIN_MS;
            clear_in_time(world);
            return None;
        }
    };
    if !world.damaged
        && let Err(fault) = is_read_back(world, restored.record.as_ref(), &restored.ring)
    {
        world.blame(fault);
    }
    let identity = Identity {
        key: PublicKey([7; 32]),
        spec: restored.spec,
        root: Root::Known(Trusted {
            number: 1,
            signers: Vec::new(),
            issued_ms: 0,
        }),
    };
    let setup = Setup {
        device: "dev-01".parse().expect("a valid id"),
        boot: BootId(world.boot.to_le_bytes()),
        record: restored.record,
        ring: restored.ring,
        lost: restored.lost,
        device_spec: restored.device_spec,
        forgotten: restored.forgotten,
        kept_release: restored.release,
    };
    Some(Device {
        world,
        forks,
        session: Session::new(setup, identity),
        storage,
        write_again_ms: None,
        events: VecDeque::from([Heard::Happened(Event::Started)]),
        told: VecDeque::new(),
        is_old,
        steps,
    })
}

/// Ok if the content that was written last is read back, or the content that was being written.
fn is_read_back(world: &World, record: Option<&Record>, ring: &Ring) -> Result<(), Fault> {
    if !world.journal.may_be(&record.map(Slot::encode)) {
        let what = format!("journal {record:?} was not written last");
        return Err(Fault::Unreadable(what));
    }
    if !world.ring.may_be(&ring.encode()) {
        let what = format!("ring {ring:?} was not written last");
        return Err(Fault::Unreadable(what));
    }
    Ok(())
}

/// An older agent's record: the first format, and no other.
struct OlderRecord;

impl Slot for OlderRecord {
    const NEWEST: u8 = 1;

    fn format(&self) -> u8 {
        1
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(format: u8, bytes: &[u8]) -> Option<Self> {
        Record::decode(format, bytes).map(|_| Self)
    }
}

fn read_by_older_agent(world: &World) -> Result<(), Fault> {
    let (disk, dir) = (Arc::new(world.disk.copy()), Path::new(DIR));
    TwoSlots::<OlderRecord>::open(disk, dir, "journal", RECORD_BYTES_MAX)
        .map(drop)
        .map_err(|error| Fault::Unreadable(error.to_string()))
}
