//! One device in a world made of values: scripts end as a plan says, and power goes
//! wherever a test wants it to.

use std::collections::BTreeMap;
use std::sync::Arc;

use hoist_protocol::admission::Audience;
use hoist_protocol::head::{DeviceHead, GroupHead, HOLD_ALL, Notice, Policy};
use hoist_protocol::id::{DeploymentId, Generation, ReleaseId, RollCall, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{
    DeviceStatus, FinalResult, Rollback, ScriptExit, ScriptKind, Step, Success,
};

use super::*;
use crate::record::{RECORD_BYTES_MAX, Record, Ring, write_slot};

const DAY_MS: u64 = 86_400_000;

/// The machine, its disk and everything it did.
struct World {
    machine: Machine,
    record: Option<Record>,
    ring: Ring,
    own: Option<DeviceHead>,
    boot: u8,
    now_ms: u64,
    verdict: Verdict,
    plans: Vec<ArtifactPlan>,
    /// How the runs of a script of an artifact end, first to last; then with 0.
    exits: BTreeMap<(u8, ScriptKind), Vec<ScriptExit>>,
    /// Runs of any script that are refused before they begin.
    refused: u32,
    fetches_fail: Vec<Retry>,
    fetch_reason: Reason,
    /// Scripts in the order they began.
    ran: Vec<(u8, ScriptKind, u32)>,
    said: Vec<DeviceStatus>,
    subscribed: u32,
    committed: u32,
    downloads: u32,
    distrusted: u32,
    reconnected: u32,
    warned: Vec<HeadRefusal>,
    applied: Vec<FinalResult>,
    /// Durable writes until the power goes.
    power: Option<u32>,
}

fn setup(record: Option<Record>, ring: Ring, own: Option<DeviceHead>, boot: u8) -> Setup {
    Setup {
        device: "dev-01".parse().unwrap(),
        boot: BootId([boot; 8]),
        record,
        ring,
        lost: false,
        device_head: own,
        kept_release: None,
    }
}

fn plan(kinds: &[ScriptKind]) -> ArtifactPlan {
    let script = ScriptPlan {
        attempts: 1,
        idempotent: false,
    };
    ArtifactPlan {
        scripts: ScriptKind::ALL.map(|kind| kinds.contains(&kind).then_some(script)),
        reboot: false,
    }
}

fn notice(deployment: u32) -> Notice {
    Notice {
        deployment: DeploymentId(deployment),
        release: ReleaseId([u8::try_from(deployment).unwrap(); 16]),
        round: Round(0),
        audience: Audience::EVERYONE,
        policy: Policy {
            attempts: 2,
            ..Policy::default()
        },
    }
}

fn head(generation: u64, notices: Vec<Notice>) -> GroupHead {
    GroupHead {
        generation: Generation(generation),
        notices,
        ..GroupHead::default()
    }
}

fn own_head(generation: u64) -> DeviceHead {
    DeviceHead {
        generation: Generation(generation),
        group: "eu".parse().unwrap(),
        labels: Vec::new(),
        roll_call: RollCall(0),
        holds: Vec::new(),
        rounds: Vec::new(),
        public_key: None,
    }
}

impl World {
    fn new(artifacts: usize) -> Self {
        Self {
            machine: Machine::new(setup(None, Ring::default(), None, 1)),
            record: None,
            ring: Ring::default(),
            own: None,
            boot: 1,
            now_ms: 10 * DAY_MS,
            verdict: Verdict::Fits,
            plans: vec![plan(&ScriptKind::ALL); artifacts],
            exits: BTreeMap::new(),
            refused: 0,
            fetches_fail: Vec::new(),
            fetch_reason: Reason::DownloadFailed,
            ran: Vec::new(),
            said: Vec::new(),
            subscribed: 0,
            committed: 0,
            downloads: 0,
            distrusted: 0,
            reconnected: 0,
            warned: Vec::new(),
            applied: Vec::new(),
            power: None,
        }
    }

    fn online(mut self, head: GroupHead) -> Self {
        self.tell(Event::Started);
        self.tell(Event::Connected);
        self.tell(Event::DeviceHead(own_head(1)));
        self.tell(Event::GroupHead(head));
        self
    }

    fn fails(mut self, artifact: u8, kind: ScriptKind, exits: &[ScriptExit]) -> Self {
        self.exits.insert((artifact, kind), exits.to_vec());
        self
    }

    /// Tells the machine and does what it says until it waits.
    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = Now {
                unix_ms: self.now_ms,
                random: 7,
            };
            for action in self.machine.handle(event, now) {
                if self.power == Some(0) {
                    self.power = None;
                    // Restarts after the cut, with the network gone.
                    self.restart();
                    events = vec![Event::Started];
                    break;
                }
                events.extend(self.act(action));
            }
        }
    }

    fn restart(&mut self) {
        let kept = setup(
            self.record.clone(),
            self.ring.clone(),
            self.own.clone(),
            self.boot,
        );
        self.machine = Machine::new(kept);
    }

    fn wrote(&mut self) {
        self.power = self.power.map(|writes| writes - 1);
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Persist(record) => {
                assert!(write_slot(u64::MAX, &record).len() <= RECORD_BYTES_MAX);
                self.record = Some(record);
                self.wrote();
                None
            }
            Action::StoreOutcomes(ring) => {
                self.ring = ring;
                self.wrote();
                None
            }
            Action::Publish(status) => {
                self.said.push(status);
                None
            }
            Action::FetchManifest(notice) => {
                let release = notice.release;
                Some(Event::Manifest {
                    release,
                    verdict: self.verdict,
                })
            }
            Action::Download { .. } => Some(self.fetch()),
            Action::RunScript(run) => Some(self.script(run)),
            Action::Subscribe(_) => {
                self.subscribed += 1;
                None
            }
            Action::KeepDeviceHead => {
                self.own = self.machine.own_head().cloned();
                None
            }
            Action::CommitInventory => {
                self.committed += 1;
                None
            }
            Action::Distrust => {
                self.distrusted += 1;
                None
            }
            Action::Reconnect => {
                self.reconnected += 1;
                Some(Event::Disconnected)
            }
            Action::Warn(refusal) => {
                self.warned.push(refusal);
                None
            }
            Action::Applied(result) => {
                self.applied.push(result);
                None
            }
            Action::Reboot
            | Action::KeepRelease(_)
            | Action::CancelDownload
            | Action::PublishInfo(_)
            | Action::Cleanup => None,
        }
    }

    fn script(&mut self, run: ScriptRun) -> Event {
        if self.refused > 0 {
            self.refused -= 1;
            return Event::ScriptRefused {
                reason: Reason::HashMismatch,
                output: b"swapped".to_vec(),
            };
        }
        self.ran.push((run.artifact, run.kind, run.attempt));
        let exits = self.exits.entry((run.artifact, run.kind)).or_default();
        let exit = if exits.is_empty() {
            ScriptExit::Code(0)
        } else {
            exits.remove(0)
        };
        Event::ScriptDone {
            exit,
            output: b"said".to_vec(),
        }
    }

    fn fetch(&mut self) -> Event {
        self.downloads += 1;
        match self.fetches_fail.pop() {
            Some(retry) => Event::DownloadFailed {
                reason: self.fetch_reason,
                retry,
            },
            None => Event::Downloaded {
                plans: self.plans.clone().into(),
            },
        }
    }

    /// Lets time pass until the machine waits for nothing.
    fn wait(&mut self) {
        for _ in 0..100 {
            let Some(at) = self.machine.next_timeout() else {
                return;
            };
            self.now_ms = self.now_ms.max(at);
            self.tell(Event::Timer);
        }
        panic!("the machine never comes to rest");
    }

    fn result(&self) -> &FinalResult {
        &self.ring.outcomes.last().unwrap().result
    }

    fn runs(&self, kind: ScriptKind) -> Vec<u8> {
        let runs = self.ran.iter().filter(|(_, ran, _)| *ran == kind);
        runs.map(|(artifact, ..)| *artifact).collect()
    }

    fn failed(&self) -> (Reason, Rollback) {
        match self.result() {
            FinalResult::Failed(failure) => (failure.reason, failure.rollback),
            FinalResult::Successful(_) => panic!("successful"),
        }
    }
}

const FAIL: ScriptExit = ScriptExit::Code(1);

mod lost;

#[test]
fn a_listed_deployment_is_installed_in_order_and_reported_in_five_statuses() {
    let world = World::new(2).online(head(1, vec![notice(1)]));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    let kinds: Vec<_> = world
        .ran
        .iter()
        .map(|(artifact, kind, _)| (*artifact, *kind))
        .collect();
    let way_in = &ScriptKind::ALL[..4];
    let expected: Vec<_> = (0..2)
        .flat_map(|artifact| way_in.iter().map(move |kind| (artifact, *kind)))
        .collect();
    assert_eq!(kinds, expected);
    let steps: Vec<_> = world
        .said
        .iter()
        .map(|said| said.running.map(|r| r.step))
        .collect();
    assert_eq!(
        steps,
        [
            None,
            Some(Step::Downloading(0)),
            Some(Step::Downloaded),
            Some(Step::Installing),
            Some(Step::Installing),
            None
        ],
        "the attempt is counted at the install intent"
    );
    assert!(world.said.windows(2).all(|pair| pair[0].seq < pair[1].seq));
}

#[test]
fn absence_is_abort_and_an_old_head_starts_nothing_w2() {
    // bad-inputs row 29
    let mut world = World::new(1).online(head(5, Vec::new()));
    world.tell(Event::GroupHead(head(4, vec![notice(1)])));
    world.wait();
    assert_eq!(world.ran, []);
    assert_eq!(world.ring.ended, 0);
    assert_eq!(world.warned, [HeadRefusal::Replayed]);
}

#[test]
fn an_expired_head_starts_nothing_w2() {
    // bad-inputs row 42
    let old = GroupHead {
        valid_for_s: 60,
        ..head(1, vec![notice(1)])
    };
    let mut world = World::new(1).online(old);
    world.tell(Event::DeviceHead(own_head(2)));
    assert_eq!(world.ran, []);
    assert_eq!(world.warned, [HeadRefusal::Stale], "people are told once");
}

#[test]
fn a_device_that_waited_asks_again_before_it_starts_w2() {
    let spread = GroupHead {
        spread_s: 60,
        ..head(1, vec![notice(1)])
    };
    let mut world = World::new(1).online(spread);
    assert_eq!((world.subscribed, world.ran.len()), (1, 0));
    world.wait();
    assert_eq!(
        (world.subscribed, world.ran.len()),
        (2, 0),
        "asked, and not started yet"
    );
    world.tell(Event::GroupHead(head(2, Vec::new())));
    world.wait();
    assert_eq!(world.ran, [], "aborted meanwhile");
}

#[test]
fn the_lowest_deployment_goes_first_and_a_held_one_never_s10_s11() {
    let mut world = World::new(1);
    world.tell(Event::Started);
    world.tell(Event::Connected);
    let held = DeviceHead {
        holds: vec![DeploymentId(1)],
        ..own_head(1)
    };
    world.tell(Event::DeviceHead(held));
    let listed = head(1, vec![notice(3), notice(1), notice(2)]);
    world.tell(Event::GroupHead(listed.clone()));
    world.tell(Event::GroupHead(listed));
    let ended: Vec<_> = world
        .ring
        .outcomes
        .iter()
        .map(|outcome| outcome.deployment.0)
        .collect();
    assert_eq!(ended, [2, 3]);
}

#[test]
fn a_device_held_from_everything_starts_nothing_until_it_is_let_go() {
    let mut world = World::new(1);
    world.tell(Event::Started);
    world.tell(Event::Connected);
    let held = DeviceHead {
        holds: vec![HOLD_ALL],
        ..own_head(1)
    };
    world.tell(Event::DeviceHead(held));
    world.tell(Event::GroupHead(head(1, vec![notice(1), notice(2)])));
    assert_eq!(world.ring.ended, 0);
    world.tell(Event::DeviceHead(own_head(2)));
    assert_eq!(world.ring.ended, 1);
}

#[test]
fn a_round_of_its_own_makes_one_device_begin_again_s13() {
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL, FAIL]);
    world = world.online(head(1, vec![notice(1)]));
    world.wait();
    assert_eq!(world.failed(), (Reason::ScriptFailed, Rollback::Succeeded));
    let own = |generation, rounds| DeviceHead {
        rounds,
        ..own_head(generation)
    };
    world.tell(Event::DeviceHead(own(2, vec![(DeploymentId(2), Round(1))])));
    assert_eq!(world.ring.ended, 1, "the round of another deployment");
    world.tell(Event::DeviceHead(own(3, vec![(DeploymentId(1), Round(1))])));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.ring.outcomes.last().unwrap().round, Round(1));
    world.tell(Event::DeviceHead(own(4, vec![(DeploymentId(1), Round(2))])));
    assert_eq!(world.ring.ended, 2, "a success stands");
}

#[test]
fn a_higher_round_begins_again_only_after_a_failure_s13() {
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL, FAIL]);
    world = world.online(head(1, vec![notice(1)]));
    world.wait();
    assert_eq!(world.failed(), (Reason::ScriptFailed, Rollback::Succeeded));
    let again = Notice {
        round: Round(1),
        ..notice(1)
    };
    world.tell(Event::GroupHead(head(2, vec![again])));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    let third = Notice {
        round: Round(2),
        ..notice(1)
    };
    world.tell(Event::GroupHead(head(3, vec![third])));
    assert_eq!(world.ring.ended, 2);
}

#[test]
fn a_final_failure_rolls_back_the_failing_artifact_and_then_the_earlier_ones_s8() {
    let mut world = World::new(2).fails(1, ScriptKind::Verify, &[FAIL, FAIL]);
    world = world.online(head(1, vec![notice(1)]));
    world.wait();
    assert_eq!(
        world.runs(ScriptKind::Install),
        [0, 1, 1],
        "the first one stays between attempts"
    );
    assert_eq!(world.runs(ScriptKind::Rollback), [1, 1, 0]);
    assert_eq!(world.failed(), (Reason::ScriptFailed, Rollback::Succeeded));
    assert_eq!(world.committed, 0);
    let steps = world
        .said
        .iter()
        .filter_map(|said| said.running.map(|running| running.step));
    assert!(steps.clone().any(|step| step == Step::Retrying));
}

#[test]
fn a_rollback_script_runs_three_times_at_most_s9() {
    // bad-inputs row 57
    let mut world = World::new(2).fails(1, ScriptKind::Install, &[FAIL]).fails(
        1,
        ScriptKind::Rollback,
        &[FAIL; 9],
    );
    world = world.online(head(1, vec![notice(1)]));
    world.wait();
    assert_eq!(world.runs(ScriptKind::Rollback), [1, 1, 1]);
    assert_eq!(world.failed(), (Reason::RollbackFailed, Rollback::Failed));
}

#[test]
fn later_and_network_errors_use_time_and_no_attempts_s9() {
    let mut world = World::new(1).fails(0, ScriptKind::PreInstall, &[ScriptExit::Code(75); 5]);
    world.fetches_fail = vec![Retry::Later; 5];
    world = world.online(head(1, vec![notice(1)]));
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.ring.outcomes[0].attempt.0, 1);
}

#[test]
fn a_network_that_never_comes_ends_with_the_deadline_s8() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later; 2_000];
    world = world.online(head(1, vec![notice(1)]));
    for _ in 0..2_000 {
        let Some(at) = world.machine.next_timeout() else {
            break;
        };
        world.now_ms = at.max(world.now_ms + 60_000);
        world.tell(Event::Timer);
    }
    assert_eq!(
        world.failed(),
        (Reason::DownloadFailed, Rollback::NotNeeded)
    );
}

#[test]
fn what_went_wrong_last_is_the_reason_when_the_deadline_passes_s8() {
    // bad-inputs row 58
    for reason in [
        Reason::NoSpace,
        Reason::StorageFailed,
        Reason::LengthMismatch,
    ] {
        let mut world = World::new(1);
        world.fetches_fail = vec![Retry::Later];
        world.fetch_reason = reason;
        world = world.online(head(1, vec![notice(1)]));
        world.now_ms += u64::from(notice(1).policy.timeout_s) * 1_000;
        world.tell(Event::Timer);
        assert_eq!(world.failed(), (reason, Rollback::NotNeeded));
    }
}

#[test]
fn what_is_not_as_signed_just_before_it_runs_is_proven_again_or_named_in_the_outcome() {
    // bad-inputs row 55
    let mut world = World::new(1);
    world.refused = 1;
    world = world.online(head(1, vec![notice(1)]));
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.downloads, 2);

    let mut world = World::new(1);
    world.refused = u32::MAX;
    world = world.online(head(1, vec![notice(1)]));
    world.wait();
    assert_eq!(world.failed(), (Reason::HashMismatch, Rollback::NotNeeded));
    assert_eq!(world.ran, []);
}

#[test]
fn what_is_there_already_succeeds_and_what_does_not_fit_fails_without_a_script_s12() {
    // bad-inputs rows 53 and 54
    let mut world = World::new(1);
    world.verdict = Verdict::Already;
    world = world.online(head(1, vec![notice(1)]));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Already));
    for reason in [Reason::Incompatible, Reason::Downgrade] {
        let mut world = World::new(1);
        world.verdict = Verdict::Refused(reason);
        world = world.online(head(1, vec![notice(1)]));
        assert_eq!(world.failed(), (reason, Rollback::NotNeeded));
        assert_eq!(world.ran, []);
    }
}

#[test]
fn a_newer_deployment_replaces_one_that_has_installed_nothing_s11() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(head(1, vec![notice(1)]));
    world.tell(Event::GroupHead(head(2, vec![notice(2)])));
    assert_eq!(world.failed().0, Reason::Superseded);
    world.tell(Event::GroupHead(head(2, vec![notice(2)])));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_started_deployment_is_finished_whatever_the_head_says_s4() {
    // bad-inputs row 37
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(head(1, vec![notice(1)]));
    world.tell(Event::GroupHead(head(2, Vec::new())));
    world.tell(Event::Disconnected);
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn a_reboot_is_believed_only_by_a_new_boot_id() {
    // bad-inputs row 61
    for (new_boot, successful) in [(2, true), (1, false)] {
        let mut world = World::new(1);
        world.plans[0].reboot = true;
        world = world.online(head(1, vec![notice(1)]));
        assert!(
            world
                .ran
                .iter()
                .all(|(_, kind, _)| *kind != ScriptKind::Verify)
        );
        world.boot = new_boot;
        world.restart();
        world.tell(Event::Started);
        if !successful {
            assert!(
                world.runs(ScriptKind::Verify).is_empty(),
                "asked to reboot again"
            );
            world.wait();
            assert_eq!(world.failed(), (Reason::RebootFailed, Rollback::Succeeded));
        } else {
            assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
        }
    }
}

#[test]
fn an_acknowledged_outcome_is_not_sent_again_but_a_roll_call_gets_the_whole_ring_w5() {
    let mut world = World::new(1).online(head(1, vec![notice(1)]));
    assert_eq!(world.said.last().unwrap().outcomes.len(), 1);
    world.tell(Event::Acknowledged { ended: 1 });
    world.tell(Event::GroupHead(head(2, vec![notice(2)])));
    assert_eq!(
        world.said.last().unwrap().outcomes.len(),
        1,
        "only the new one"
    );
    let called = GroupHead {
        roll_call: RollCall(9),
        ..head(3, Vec::new())
    };
    world.tell(Event::GroupHead(called));
    assert_eq!(world.said.last().unwrap().outcomes.len(), 2);
    assert_eq!(world.said.last().unwrap().ended, 2);
}

#[test]
fn progress_is_reported_every_ten_percent_w7() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(head(1, vec![notice(1)]));
    // The clock stands still after the first report, so only percents count.
    world.tell(Event::DownloadProgress(1));
    let before = world.said.len();
    for percent in 2..=100 {
        world.tell(Event::DownloadProgress(percent));
    }
    assert!(
        world.said.len() - before <= 10,
        "{}",
        world.said.len() - before
    );
}

/// S9, S15, row 59: the power goes after every single write, and once more in recovery.
#[test]
fn a_power_cut_after_any_write_installs_once_per_attempt_and_loses_no_outcome() {
    let mut cases = 0;
    for verify in [&[][..], &[FAIL][..], &[FAIL, FAIL][..]] {
        for first in 0..40 {
            for second in [None, Some(0), Some(1), Some(2), Some(3)] {
                let mut world = World::new(2).fails(1, ScriptKind::Verify, verify);
                world.power = Some(first);
                world = world.online(head(1, vec![notice(1)]));
                world.power = second;
                world.restart();
                world.tell(Event::Started);
                world.power = None;
                world.wait();
                world = world.online(head(1, vec![notice(1)]));
                world.wait();
                cases += 1;
                let case = format!("verify {verify:?}, cuts {first} and {second:?}");
                assert_eq!(world.ring.ended, 1, "{case}");
                assert_eq!(world.ring.outcomes.len(), 1, "{case}");
                let mut installs: Vec<_> = world
                    .ran
                    .iter()
                    .filter(|(_, kind, _)| *kind == ScriptKind::Install)
                    .collect();
                let count = installs.len();
                installs.sort();
                installs.dedup();
                assert_eq!(installs.len(), count, "{case}: {:?}", world.ran);
                assert!(world.machine.job().is_none(), "{case}");
            }
        }
    }
    assert_eq!(cases, 600);
}

#[test]
fn a_newer_deployment_ends_one_that_has_only_run_its_pre_install_s11() {
    let later = [ScriptExit::Code(75)];
    let mut world = World::new(1).fails(0, ScriptKind::PreInstall, &later);
    world = world.online(head(1, vec![notice(1)]));
    assert_eq!(world.runs(ScriptKind::PreInstall), [0]);
    // The head changes while pre-install runs again.
    let now = Now {
        unix_ms: world.now_ms + DAY_MS / 2,
        random: 7,
    };
    world.now_ms = now.unix_ms;
    let _fetching = world.machine.handle(Event::Timer, now);
    let plans: Arc<[ArtifactPlan]> = world.plans.clone().into();
    let _running = world.machine.handle(Event::Downloaded { plans }, now);
    let newer = head(2, vec![notice(2)]);
    let _listed = world.machine.handle(Event::GroupHead(newer), now);
    world.tell(Event::ScriptDone {
        exit: ScriptExit::Code(0),
        output: Vec::new(),
    });
    assert_eq!(world.ring.outcomes[0].deployment, DeploymentId(1));
    assert_eq!(world.failed(), (Reason::Superseded, Rollback::NotNeeded));
    assert!(world.runs(ScriptKind::Install).is_empty());
}

#[test]
fn a_new_attempt_proves_what_is_on_disk_again() {
    let mut world = World::new(1).fails(0, ScriptKind::Install, &[FAIL]);
    world = world.online(head(1, vec![notice(1)]));
    world.wait();
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    assert_eq!(world.downloads, 2);
}

#[test]
fn what_cannot_be_had_again_after_a_rollback_ends_it_as_rolled_back() {
    let mut world = World::new(1).fails(0, ScriptKind::Install, &[FAIL]);
    world = world.online(head(1, vec![notice(1)]));
    world.fetches_fail = vec![Retry::Useless];
    world.wait();
    assert_eq!(
        world.failed(),
        (Reason::DownloadFailed, Rollback::Succeeded)
    );
}

#[test]
fn what_a_failed_rollback_leaves_is_in_doubt_s12() {
    let mut world = World::new(1).fails(0, ScriptKind::Install, &[FAIL]).fails(
        0,
        ScriptKind::Rollback,
        &[FAIL; 3],
    );
    world = world.online(head(1, vec![notice(1)]));
    assert_eq!(world.failed(), (Reason::RollbackFailed, Rollback::Failed));
    assert_eq!(world.distrusted, 1);
}

/// An update of the agent itself may bring the older agent back, which must be able to
/// read the journal: only a fresh start proves that it is not the one on disk.
#[test]
fn a_journal_keeps_the_format_it_was_begun_in_until_a_start_with_nothing_begun() {
    for verify in [&[][..], &[FAIL, FAIL][..]] {
        let mut world = World::new(1).fails(0, ScriptKind::Verify, verify);
        world.fetches_fail = vec![Retry::Later];
        world = world.online(head(1, vec![notice(1)]));
        let mut record = world.record.take().unwrap();
        record.format = 1;
        world.record = Some(record);
        world.restart();
        world.tell(Event::Started);
        assert!(world.machine.job().is_none() || world.record.as_ref().unwrap().format == 1);
        world.wait();
        let record = world.record.as_ref().unwrap();
        assert_eq!((record.job.is_none(), record.format), (true, 1));
        // Not by another deployment either: after a way back we run and are not on disk.
        world.tell(Event::Connected);
        world.tell(Event::DeviceHead(own_head(2)));
        world.tell(Event::GroupHead(head(2, vec![notice(2)])));
        assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
        assert_eq!(world.record.as_ref().unwrap().format, 1);
        // A fresh start with nothing begun is this agent's own.
        world.restart();
        world.tell(Event::Started);
        assert_eq!(world.record.as_ref().unwrap().format, Record::NEWEST);
    }
}

fn apply(verdict: Verdict) -> Event {
    Event::Apply {
        release: ReleaseId([9; 16]),
        verdict,
        allow_downgrade: false,
    }
}

#[test]
fn what_is_brought_to_the_device_is_installed_and_told_to_nobody_else() {
    let mut world = World::new(1).online(head(1, Vec::new()));
    let said = world.said.len();
    world.tell(apply(Verdict::Fits));
    assert_eq!(world.applied, [FinalResult::Successful(Success::Installed)]);
    assert_eq!((world.committed, world.said.len()), (1, said));
    assert_eq!(world.ring, Ring::default());
    world.tell(apply(Verdict::Already));
    world.tell(apply(Verdict::Refused(Reason::Incompatible)));
    assert_eq!(world.applied[1], FinalResult::Successful(Success::Already));
    assert!(matches!(&world.applied[2], FinalResult::Failed(failure)
        if failure.reason == Reason::Incompatible && failure.rollback == Rollback::NotNeeded));
}

#[test]
fn what_is_brought_to_the_device_has_one_attempt_and_never_a_successor() {
    let mut world = World::new(1).fails(0, ScriptKind::Verify, &[FAIL]);
    world = world.online(head(1, Vec::new()));
    world.fetches_fail = vec![Retry::Later];
    world.tell(apply(Verdict::Fits));
    // A deployment that is listed meanwhile waits for its end.
    world.tell(Event::GroupHead(head(2, vec![notice(1)])));
    world.wait();
    assert!(matches!(&world.applied[..], [FinalResult::Failed(failure)]
        if failure.rollback == Rollback::Succeeded));
    assert_eq!(world.runs(ScriptKind::Install), [0]);
    world.tell(Event::GroupHead(head(2, vec![notice(1)])));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
}

#[test]
fn what_is_brought_to_the_device_survives_a_power_cut_once_it_has_begun() {
    let mut cases = 0;
    for cut in 0..20 {
        let mut world = World::new(1);
        world.tell(Event::Started);
        world.power = Some(cut);
        world.tell(apply(Verdict::Fits));
        let cut_off = world.power.take().is_none();
        world.wait();
        assert!(world.machine.job().is_none());
        let installs = world.runs(ScriptKind::Install).len();
        let rollbacks = world.runs(ScriptKind::Rollback).len();
        // Cut off before anything ran: forgotten. Else installed, or rolled back.
        let ended = world.committed as usize + rollbacks;
        assert!(installs <= ended && ended <= 1, "cut {cut}");
        assert!(world.applied.len() <= 1);
        cases += u32::from(cut_off);
    }
    assert!(cases > 5, "{cases}");
}
