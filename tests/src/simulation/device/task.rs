//! The tasks of a device beside its machine: proofs, downloads and scripts, and their ends.

use std::sync::Arc;

use hoist_device_client::machine::{Event, FetchFailure, Retry, Verdict};
use hoist_protocol::id::ReleaseId;
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{RetryCause, ScriptExit, ScriptKind};

use super::{Catalog, Device, Doing, End, Surroundings, time};

impl Device {
    /// A manifest has come: it is checked, if it is still wanted.
    pub(super) fn manifest(&mut self, release: ReleaseId, world: &mut Surroundings<'_>) {
        if let Some(entry) = self.session.manifest(release) {
            let verdict = self.check(release, world.catalog);
            let mut now = time(&mut self.floor, self.ahead_ms, world);
            self.session.checked(&entry, verdict, &mut now);
        }
        let _cut = self.act(world);
    }

    /// The verdict of the agent's check of a release.
    pub(super) fn check(&self, id: ReleaseId, catalog: &Catalog) -> Verdict {
        let Some(place) = catalog.place(id) else {
            return Verdict::refused(Reason::BadSignature);
        };
        let release = catalog.at(place);
        let references = &release.verified.manifest.artifacts;
        let mut artifacts = release.verified.artifacts.iter().zip(references);
        if artifacts.all(|(name, there)| self.disk.inventory.get(name) == Some(&there.hash)) {
            Verdict::Already
        } else if release.is_special() && !self.special {
            Verdict::refused(Reason::Incompatible)
        } else {
            Verdict::Fits
        }
    }

    /// Lets what it does come to an end.
    pub fn finish(&mut self, end: End, world: &mut Surroundings<'_>) {
        if let (Some(Doing::Script(run)), End::Done) = (self.doing, end)
            && run.kind == ScriptKind::Rollback
        {
            self.truth.rolled_back(run.artifact);
        }
        let event = match (self.doing.take(), end) {
            (None, _) => return,
            (Some(Doing::Proof), end) => {
                let verdict = match end {
                    End::Done => Verdict::Already,
                    End::Fails | End::Later | End::TimesOut => Verdict::Fits,
                };
                let mut now = time(&mut self.floor, self.ahead_ms, world);
                self.session.proven(verdict, &mut now);
                let _cut = self.act(world);
                return;
            }
            (Some(Doing::Download), End::Done) => {
                let place = self.disk.release.and_then(|id| world.catalog.place(id));
                let Some(place) = place else { return };
                Event::Downloaded {
                    plans: Arc::clone(&world.catalog.at(place).plans),
                }
            }
            (Some(Doing::Download), _) => Event::DownloadFailed(FetchFailure {
                cause: RetryCause::Cut,
                ..FetchFailure::new(Reason::DownloadFailed, Retry::Later)
            }),
            (Some(Doing::Script(_)), end) => Event::ScriptDone {
                exit: match end {
                    End::Done => ScriptExit::Code(0),
                    End::Fails => ScriptExit::Code(1),
                    End::Later => ScriptExit::Code(75),
                    End::TimesOut => ScriptExit::Timeout,
                },
                output: Vec::new(),
            },
        };
        self.tell(event, world);
    }
}
