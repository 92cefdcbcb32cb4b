//! Every story: what a device is told, and what goes wrong beside the cuts.

use std::ops::Range;

use hoist_protocol::reason::Reason;
use hoist_protocol::spec::Window;
use hoist_protocol::status::{OUTCOMES_MAX, Rollback, ScriptKind};

use super::manner::Manner;
use super::package::{Part, Reboot};
use super::scenario::{AGENT_NAME, Expect, Luck, Reboots, Scenario, one};

const ALL: &[ScriptKind] = &[
    ScriptKind::PreInstall,
    ScriptKind::PostInstall,
    ScriptKind::Verify,
];
const VERIFY: &[ScriptKind] = &[ScriptKind::Verify];
const ALWAYS: Range<u32> = 0..u32::MAX;

const APP: Part = Part {
    name: "app",
    version: 1,
    scripts: VERIFY,
    idempotent: false,
    runs: 1,
    reboot: Reboot::None,
    depends: None,
};
const CONFIG: Part = Part {
    name: "config",
    ..APP
};
const SYSTEM: Part = Part {
    name: "system",
    reboot: Reboot::Switches,
    ..APP
};
const AGENT: Part = Part {
    name: AGENT_NAME,
    version: 2,
    reboot: Reboot::Restarts,
    ..APP
};

const fn version(part: Part, version: u8) -> Part {
    Part { version, ..part }
}

const FAILED: Expect = Expect::Failed(Reason::ScriptFailed, Rollback::Succeeded);
const NO_WAY_BACK: Expect = Expect::Failed(Reason::RollbackFailed, Rollback::Failed);

/// Every story.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = installs();
    all.extend(ways_back());
    all.extend(reboots());
    all.extend(sequences());
    all.extend(memories());
    all.extend(manners());
    all
}

/// The story of a name.
pub fn find(name: &str) -> Option<Scenario> {
    scenarios().into_iter().find(|story| story.name == name)
}

fn installs() -> Vec<Scenario> {
    let every = Part {
        scripts: ALL,
        ..APP
    };
    let idempotent = Part {
        idempotent: true,
        runs: 2,
        ..every
    };
    let bare = Part {
        scripts: &[],
        ..APP
    };
    let later = ScriptKind::PreInstall;
    let needy = Part {
        depends: Some("missing"),
        ..APP
    };
    let no = Expect::Failed(Reason::MissingDependency, Rollback::NotNeeded);
    let cut = |downloads_cut| Luck {
        downloads_cut,
        ..Luck::default()
    };
    vec![
        one("one-artifact", &[every], Expect::Installed),
        one("idempotent", &[idempotent], Expect::Installed).exit(0, ScriptKind::Install, 0..1, 1),
        one("no-verify", &[bare], Expect::Installed),
        one("later", &[every], Expect::Installed)
            .exit(0, later, 0..1, 75)
            .exit(0, ScriptKind::Install, 0..1, 75),
        one("refused", &[needy], no),
        one("broken-download", &[APP], Expect::Installed).luck(cut(2)),
        one("broken-segments", &[APP], Expect::Installed).luck(cut(7)),
        one("by-hand", &[APP], Expect::Installed).by_hand(),
        one("by-hand-failing", &[APP], FAILED)
            .by_hand()
            .exit(0, ScriptKind::Verify, ALWAYS, 1)
            .then(2, &[version(APP, 2)], Expect::Installed),
    ]
}

fn ways_back() -> Vec<Scenario> {
    let verify = ScriptKind::Verify;
    let rollback = ScriptKind::Rollback;
    vec![
        one("second-artifact-fails", &[APP, CONFIG], FAILED).exit(1, verify, ALWAYS, 1),
        one("retry-then-success", &[APP], Expect::Installed).exit(0, verify, 0..1, 1),
        one("rollback-fails-once", &[APP], FAILED)
            .exit(0, verify, ALWAYS, 1)
            .exit(0, rollback, 0..1, 1),
        one("rollback-fails", &[APP], Expect::Installed)
            .then(2, &[version(APP, 2)], NO_WAY_BACK)
            .exit(0, verify, ALWAYS, 1)
            .exit(0, rollback, ALWAYS, 1),
    ]
}

fn reboots() -> Vec<Scenario> {
    let verify = ScriptKind::Verify;
    let blind = Part {
        scripts: &[],
        ..SYSTEM
    };
    let never = Expect::Failed(Reason::RebootFailed, Rollback::Succeeded);
    vec![
        one("reboot", &[SYSTEM], Expect::Installed),
        one("reboot-twice", &[blind], Expect::Installed).reboots(Reboots::ComeTwice),
        one("reboot-then-failing", &[SYSTEM], FAILED).exit(0, verify, ALWAYS, 1),
        one("reboot-that-never-comes", &[blind], never).reboots(Reboots::NeverCome),
        one("agent-update", &[AGENT], Expect::Installed).came_with(&[(AGENT_NAME, 1)]),
        one("agent-update-failing", &[AGENT], FAILED)
            .came_with(&[(AGENT_NAME, 1)])
            .exit(0, verify, ALWAYS, 1)
            .then(2, &[APP], Expect::Installed),
    ]
}

fn sequences() -> Vec<Scenario> {
    let verify = ScriptKind::Verify;
    let newer = version(APP, 2);
    let acks = Luck {
        acks_lost: 2,
        ..Luck::default()
    };
    let statuses = Luck {
        statuses_lost: 2,
        ..Luck::default()
    };
    vec![
        one("two-deployments", &[APP], Expect::Installed).then(
            2,
            &[newer, CONFIG],
            Expect::Installed,
        ),
        one("update-fails", &[APP], Expect::Installed)
            .then(2, &[newer], FAILED)
            .exit(0, verify, ALWAYS, 1),
        one("already", &[APP], Expect::Installed).then(1, &[APP], Expect::Already),
        one("failed-then-retried", &[APP], FAILED)
            .exit(0, verify, ALWAYS, 1)
            .retried(Expect::Installed),
        one("lost-acknowledgments", &[APP], FAILED)
            .exit(0, verify, ALWAYS, 1)
            .luck(acks),
        one("lost-statuses", &[APP], Expect::Installed)
            .then(2, &[newer], Expect::Installed)
            .luck(statuses),
    ]
}

fn memories() -> Vec<Scenario> {
    let verify = ScriptKind::Verify;
    vec![
        stays_listed(),
        one("moved", &[APP], Expect::Installed)
            .then(2, &[version(APP, 2)], Expect::Installed)
            .after_a_move(),
        one("memory-lost", &[APP], Expect::Installed)
            .then(2, &[version(APP, 2)], Expect::Installed)
            .damage(),
        one("memory-lost-failing", &[APP, CONFIG], FAILED)
            .exit(1, verify, ALWAYS, 1)
            .then(2, &[version(APP, 2)], Expect::Installed)
            .damage(),
    ]
}

/// The stories begin on a Monday, 13 minutes before this.
const WINDOW: Window = Window {
    start_minute: 14 * 60,
    minutes: 1,
};

fn manners() -> Vec<Scenario> {
    let verify = ScriptKind::Verify;
    let in_window = Manner {
        window: Some(WINDOW),
        ..Manner::default()
    };
    // The window closes in the second script of the first artifact.
    let slow = Manner {
        slow_s: 40,
        ..in_window
    };
    let ahead = Manner {
        download_ahead: true,
        ..in_window
    };
    // The second artifact begins in the overrun, the third not.
    let overrun = Manner {
        max_overrun_s: 40,
        ..slow
    };
    let online = Manner {
        online_s: 600,
        ..Manner::default()
    };
    let cut_off = Manner {
        breaks_network: true,
        ..online
    };
    let permit = |round| Manner {
        permit: Some(round),
        ..Manner::default()
    };
    let unconfirmed = Expect::Failed(Reason::Unconfirmed, Rollback::Succeeded);
    let third = Part {
        name: "third",
        ..APP
    };
    vec![
        one("window-ahead", &[APP], Expect::Installed).manner(ahead),
        one("window-between", &[APP, CONFIG], Expect::Installed).manner(slow),
        one("window-overrun", &[APP, CONFIG, third], Expect::Installed).manner(overrun),
        one("confirm-online", &[APP, SYSTEM], Expect::Installed).manner(online),
        one("confirm-offline", &[APP, CONFIG], unconfirmed)
            .manner(cut_off)
            .then(2, &[version(APP, 2)], Expect::Installed),
        one("permit", &[APP], FAILED)
            .exit(0, verify, ALWAYS, 1)
            .manner(permit(0))
            .retried(Expect::Nothing)
            .retried_now(Expect::Installed)
            .manner(permit(1)),
    ]
}

/// One that failed stays listed while more others end than there are outcomes to tell.
fn stays_listed() -> Scenario {
    let first = one("failed-and-listed", &[APP], FAILED)
        .attempts(1)
        .exit(0, ScriptKind::Verify, ALWAYS, 1)
        .first_lasts()
        .then(2, &[CONFIG], Expect::Installed);
    (0..OUTCOMES_MAX).fold(first, |story, _| story.then(2, &[CONFIG], Expect::Already))
}
