//! An agent that updates itself by an ordinary release: it is finished by the new program,
//! in a journal that the old one can read until the update is confirmed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hoist_device_client::record::{Record, Slot, read_slot, write_slot};
use serde_json::json;

use crate::harness::eventually;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::process::{AGENT, Process};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// The format of agents before the current one.
const OLD: u8 = 1;

/// The newest slot of a journal.
fn journal(state: &Path) -> (u64, Record) {
    let slots = ["journal.0", "journal.1"].map(|slot| fs::read(state.join(slot)));
    let slots = slots.into_iter().flatten();
    let read = slots.filter_map(|slot| read_slot::<Record>(&slot).ok());
    read.max_by_key(|(sequence, _)| *sequence).unwrap()
}

/// Makes the journal what an old agent would have written.
fn write_as_old(state: &Path) {
    let (sequence, record) = journal(state);
    let record = Record {
        format: OLD,
        ..record
    };
    for slot in ["journal.0", "journal.1"] {
        fs::write(state.join(slot), write_slot(sequence, &record)).unwrap();
    }
}

#[test]
fn the_new_agent_finishes_the_update_and_keeps_the_journal_readable_for_the_old_one() {
    // bad-inputs row 60
    let server = Server::start();
    let installed = server.scratch().join("hoist-agent");
    symlink(AGENT, &installed).unwrap();
    let next = server.scratch().join("hoist-agent.next");
    fs::copy(AGENT, &next).unwrap();
    let gate = server.scratch().join("gate");

    let release = Release::write(server.scratch(), "agent", "2.0.0", 2, "payload");
    let link = installed.display();
    release.script("install", &format!("ln -sfn {} {link}", next.display()));
    release.script("rollback", &format!("ln -sfn {AGENT} {link}"));
    let wait = format!(
        ": > {0}.begun\nwhile [ ! -e {0} ]; do sleep 0.02; done",
        gate.display()
    );
    release.script("verify", &wait);
    release.setting("reboot = true");
    server.release(release.dir());

    let config = server.add_device("dev-01", &[]);
    let state = config.with_extension("state");
    let (boot, asked) = (
        server.scratch().join("boot"),
        server.scratch().join("asked"),
    );
    fs::write(&boot, "one").unwrap();
    let text = fs::read_to_string(&config).unwrap();
    let more = format!("boot_id_file = {boot:?}\nreboot_command = [\"touch\", {asked:?}]\n");
    fs::write(&config, text + &more).unwrap();
    let start = || {
        let args = ["--config", config.to_str().unwrap()];
        let log = config.with_extension("log");
        Process::start(installed.to_str().unwrap(), &args, &log)
    };
    let mut old = start();
    let operator = Operator::new(&server);
    let deployment = operator.deploy("agent@2.0.0", "unassigned", &json!({}));
    eventually("the reboot to be asked for", || {
        asked.exists().then_some(())
    });
    old.kill();
    write_as_old(&state);

    fs::write(&boot, "two").unwrap();
    let mut new = start();
    let begun = gate.with_extension("begun");
    eventually("verify to run under the new agent", || {
        begun.exists().then_some(())
    });
    assert_eq!(fs::read_link(&installed).unwrap(), next);
    let (_, record) = journal(&state);
    assert_eq!((record.format, record.job.is_some()), (OLD, true));

    fs::write(&gate, "").unwrap();
    assert_one_outcome(&operator.settled(deployment), "successful");
    eventually("the journal to forget the update", || {
        journal(&state).1.job.is_none().then_some(())
    });
    // Only a start with nothing begun proves that the old agent will not come back.
    assert_eq!(journal(&state).1.format, OLD);
    new.kill();
    let _confirmed = start();
    eventually("the journal of the confirmed agent", || {
        (journal(&state).1.format == Record::NEWEST).then_some(())
    });
}
