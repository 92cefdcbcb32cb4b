//! Scripts: what has to be true when one runs, and what it does to the device.

use std::path::Path;
use std::sync::Arc;

use hoist_device_client::agent::download::Artifact;
use hoist_device_client::agent::files::Files;
use hoist_device_client::agent::journal::{Found, TwoSlots};
use hoist_device_client::agent::storage::prepare_install;
use hoist_device_client::machine::{Event, ScriptRun, Stage};
use hoist_device_client::record::{RECORD_BYTES_MAX, Record};
use hoist_protocol::id::sha256;
use hoist_protocol::status::{ScriptExit, ScriptKind};

use super::{Device, Heard, collect};
use crate::power_cut::fault::Fault;
use crate::power_cut::manner::Online;
use crate::power_cut::package::Part;
use crate::power_cut::scenario::{Expect, Flaw};
use crate::power_cut::software::State;
use crate::power_cut::world::DIR;

/// The time that a script takes.
const SCRIPT_MS: u64 = 1_000;

impl Device<'_, '_> {
    pub(super) fn script(&mut self, run: ScriptRun) {
        self.world.note(|| format!("script {run:?}"));
        let number = usize::from(run.artifact);
        let artifact = self.storage.artifacts.get(number).cloned();
        let part = self.world.package().map(|package| package.parts.clone());
        let part = part.and_then(|parts| parts.get(number).copied());
        let (Some(artifact), Some(part)) = (artifact, part) else {
            return;
        };
        self.may_begin(run, &part);
        let slow_s = self.world.order().map_or(0, |order| order.manner.slow_s);
        self.world.now_ms += SCRIPT_MS + u64::from(slow_s) * 1_000;
        let exit = match self.program(run.kind, &artifact) {
            Ok(()) => self.effects_of(run, &artifact, &part),
            Err(why) => {
                self.world.note(|| format!("it does not start: {why}"));
                ScriptExit::NotStarted
            }
        };
        self.told.push_back(Heard::Happened(Event::ScriptDone {
            exit,
            output: b"said".to_vec(),
        }));
    }

    /// It is the device's to begin, and the time for it.
    fn may_begin(&mut self, run: ScriptRun, part: &Part) {
        let Some(order) = self.world.order() else {
            return;
        };
        if order.expect == Expect::Nothing {
            self.world.blame(Fault::NotAdmitted);
        }
        let now_ms = self.world.now_ms;
        // What was begun in time may have waited for a disk that refused its intent.
        let in_time = self.world.trouble_since_ms.is_some();
        if !in_time && order.manner.is_outside(run, part, now_ms) {
            let what = format!("{run:?} at {now_ms}");
            self.world.blame(Fault::OutsideWindow(what));
        }
    }

    /// The agent's check before it runs a script: the program is there and as signed.
    fn program(&mut self, kind: ScriptKind, artifact: &Artifact) -> Result<(), String> {
        let rollback = self.storage.places().rollback_path(artifact.manifest.id());
        let mut path = artifact.script_path(kind).ok_or("there is none")?;
        if matches!(kind, ScriptKind::PreInstall | ScriptKind::Install) {
            let ready = prepare_install(self.world.disk.as_ref(), artifact, &rollback);
            collect(self.world, self.forks);
            ready.map_err(|error| error.to_string())?;
        }
        if kind == ScriptKind::Rollback && self.world.disk.exists(&rollback) {
            path = rollback;
        }
        let script = artifact.manifest.script(kind).ok_or("there is none")?;
        let payload = &artifact.manifest.payloads[usize::from(script.payload)];
        match self.world.disk.peek(&path) {
            Some(content) if sha256(&content) == payload.hash => Ok(()),
            Some(_) => {
                let what = format!("{} is not as signed", path.display());
                self.world.blame(Fault::WrongContent(what.clone()));
                Err(what)
            }
            None => Err(format!("{} is not there", path.display())),
        }
    }

    fn effects_of(&mut self, run: ScriptRun, artifact: &Artifact, part: &Part) -> ScriptExit {
        self.moment();
        match run.kind {
            ScriptKind::Install => {
                self.announced(run);
                self.has_way_back(artifact);
                self.is_as_signed(artifact);
                self.count_install(run, part);
                self.world.software.install(part, State::Broken);
                self.moment();
                self.world
                    .software
                    .install(part, State::Version(part.version));
            }
            ScriptKind::Rollback => {
                self.old_payload_is_there(part);
                if self.world.scenario.flaw != Some(Flaw::EmptyRollback) {
                    self.world.software.begin_rollback(part);
                }
            }
            ScriptKind::PreInstall | ScriptKind::PostInstall => {}
            ScriptKind::Verify => self.world.online = Online::Not,
        }
        let exit = self.exit(run, part);
        let restores = self.world.scenario.flaw != Some(Flaw::EmptyRollback);
        if run.kind == ScriptKind::Rollback && exit == 0 && restores {
            self.moment();
            self.world.software.end_rollback(part);
        }
        self.moment();
        ScriptExit::Code(exit)
    }

    /// The power may go here.
    fn moment(&mut self) {
        self.world.disk.moment();
        collect(self.world, self.forks);
    }

    fn exit(&mut self, run: ScriptRun, part: &Part) -> u8 {
        let order = self.world.order;
        let number = self.world.software.count_run(order, run.artifact, run.kind);
        let exits = self.world.scenario.exits.iter().find(|exits| {
            (exits.order, exits.artifact, exits.kind) == (order, run.artifact, run.kind)
                && exits.runs.contains(&number)
        });
        let works = run.kind != ScriptKind::Verify || self.world.software.is_installed(part);
        exits.map_or(u8::from(!works), |exits| exits.exit)
    }

    /// The journal says so already, on the disk itself.
    fn announced(&mut self, run: ScriptRun) {
        let disk: Arc<dyn Files> = Arc::new(self.world.disk.durable_copy());
        let dir = Path::new(DIR);
        let found = TwoSlots::<Record>::open(disk, dir, "journal", RECORD_BYTES_MAX);
        let intent = match found {
            Ok((_, Found::Content(record))) => record.job.is_some_and(|job| {
                let install = ScriptKind::Install;
                matches!(job.stage, Stage::Script { kind, .. } if kind == install)
                    && (job.deployment, job.attempt.0, job.artifact)
                        == (run.deployment, run.attempt, run.artifact)
            }),
            _ => false,
        };
        if !intent {
            self.world.blame(Fault::Unannounced);
        }
    }

    fn has_way_back(&mut self, artifact: &Artifact) {
        let path = self.storage.places().rollback_path(artifact.manifest.id());
        let script = artifact.manifest.script(ScriptKind::Rollback);
        let payload = script.map(|script| &artifact.manifest.payloads[usize::from(script.payload)]);
        let kept = self.world.disk.durable_copy().peek(&path);
        let same = match (kept, payload) {
            (Some(kept), Some(payload)) => sha256(&kept) == payload.hash,
            _ => false,
        };
        if !same {
            self.world.blame(Fault::NoWayBack);
        }
    }

    fn is_as_signed(&mut self, artifact: &Artifact) {
        let payload = &artifact.manifest.payloads[0];
        let path = artifact.payload_dir().join(&payload.target);
        let content = self.world.disk.peek(&path);
        if content.is_none_or(|content| sha256(&content) != payload.hash) {
            let what = format!("{} is not as signed", path.display());
            self.world.blame(Fault::WrongContent(what));
        }
    }

    fn count_install(&mut self, run: ScriptRun, part: &Part) {
        let key = (self.world.order, self.world.asks, run.attempt, run.artifact);
        let runs = self.world.software.count_install(key);
        if runs > 1 && !part.idempotent {
            self.world.blame(Fault::DoubleInstall);
        }
    }

    /// A rollback script restores what was installed from where the agent keeps it.
    fn old_payload_is_there(&mut self, part: &Part) {
        let State::Version(version) = self.world.software.before(part.name) else {
            return;
        };
        let packages = self.world.scenario.packages.iter();
        let mut parts = packages.flat_map(|package| package.parts.iter().zip(&package.artifacts));
        let old = parts.find(|(old, _)| (old.name, old.version) == (part.name, version));
        let Some((_, old)) = old else { return };
        let payload = &old.manifest.payloads[0];
        let dir = self.storage.download_dir(old.reference.id());
        let path = dir.join("payload").join(&payload.target);
        let content = self.world.disk.peek(&path);
        if content.is_none_or(|content| sha256(&content) != payload.hash) {
            let what = format!("{} is gone or damaged", path.display());
            self.world.blame(Fault::WayBackLost(what));
        }
    }
}
