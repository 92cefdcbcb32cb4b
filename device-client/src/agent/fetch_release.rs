//! Fetches a release in the order that `download` describes: every start, the checks, the
//! space, then content. A refusal comes before any content is asked for.

use std::path::PathBuf;
use std::sync::Arc;

use hoist_net::tls::Trust;
use hoist_protocol::release::{ArtifactManifest, ReleaseManifest};

use super::download::{
    Artifact, ArtifactWriter, DownloadError, Fetch, Limits, Proxies, Started, fetch_start,
};
use super::files::Files;
use super::inventory::Inventory;
use super::preflight::{self, Downgrade, Refusal};
use super::work::{Teller, Told};

/// A release to fetch.
pub(super) struct FetchRelease {
    pub(super) files: Arc<dyn Files>,
    pub(super) release: Arc<ReleaseManifest>,
    pub(super) source: Option<String>,
    pub(super) proxies: Proxies,
    pub(super) trust: Trust,
    pub(super) limits: Limits,
    /// Folder of each artifact, in release order.
    pub(super) dirs: Vec<PathBuf>,
    pub(super) inventory: Inventory,
    pub(super) downgrade: Downgrade,
    pub(super) checks: Checks,
}

/// The checks of a release: all of them, unless it may be refused no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checks {
    /// Nothing of it has run.
    Due,
    /// They were passed before it was begun: it is finished or rolled back now, and its own
    /// scripts may have taken the space that was free for them.
    Passed,
}

/// Fetches and proves every artifact; what is complete on disk needs no network.
pub(super) async fn fetch_release(work: FetchRelease, teller: Teller) {
    let told = match fetch(&work, &teller).await {
        Ok(artifacts) => Told::Fetched { artifacts },
        Err(error) => {
            tracing::warn!(code = error.reason.code().as_str(), detail = %error, "release not fetched");
            Told::NotFetched(error.into())
        }
    };
    teller.tell(told).await;
}

async fn fetch(work: &FetchRelease, teller: &Teller) -> Result<Vec<Artifact>, DownloadError> {
    let mut gained = false;
    let fetched = fetch_all(work, teller, &mut gained).await;
    fetched.map_err(|error| DownloadError {
        gained: gained || error.gained,
        ..error
    })
}

/// Says in `gained` whether an artifact, or its start, came before it failed.
async fn fetch_all(
    work: &FetchRelease,
    teller: &Teller,
    gained: &mut bool,
) -> Result<Vec<Artifact>, DownloadError> {
    let mut started = Vec::new();
    for (reference, dir) in work.release.artifacts.iter().zip(&work.dirs) {
        let fetch = Fetch {
            files: work.files.clone(),
            artifact: *reference,
            source: work.source.clone(),
            proxies: work.proxies.clone(),
            trust: work.trust.clone(),
            dir: dir.clone(),
            limits: work.limits,
        };
        let one = fetch_start(fetch).await?;
        *gained |= one.gained();
        started.push(one);
    }
    let writers: Vec<_> = started.iter().map(Started::writer).collect();
    check(work, &writers)?;
    let mut percent = Percent::new(&work.release, &started);
    let mut artifacts = Vec::new();
    for one in started {
        let mut before = one.writer().offset();
        let was_complete = one.writer().is_complete();
        let progress = |now: u64| {
            // A fetch from the beginning makes it fall: people are not told.
            percent.had = (percent.had + now).saturating_sub(before);
            before = now;
            if let Some(percent) = percent.risen() {
                let told = (teller.task, Told::Progress(percent));
                // It may be skipped when the agent is busy.
                let _skipped = teller.sender.try_send(told);
            }
        };
        artifacts.push(one.fetch_content(progress).await?);
        *gained |= !was_complete;
    }
    Ok(artifacts)
}

/// The checks that are possible once the start of every artifact is on disk: their own manifests,
/// then the space.
///
/// # Errors
/// [`DownloadError`], for good unless content was begun before.
pub(super) fn check(work: &FetchRelease, starts: &[&ArtifactWriter]) -> Result<(), DownloadError> {
    if work.checks == Checks::Passed {
        return Ok(());
    }
    let manifests = starts.iter().filter_map(|start| start.manifest().cloned());
    let manifests: Vec<ArtifactManifest> = manifests.collect();
    manifests
        .iter()
        .try_for_each(preflight::required_scripts)
        .and_then(|()| preflight::distinct_names(&manifests))
        .and_then(|()| {
            preflight::counters(&work.release, &manifests, &work.inventory, work.downgrade)
        })
        .and_then(|()| preflight::dependencies(&manifests, &work.inventory))?;
    check_space(work, starts)
}

/// Room for everything at once: one artifact must not take the way back of another.
fn check_space(work: &FetchRelease, starts: &[&ArtifactWriter]) -> Result<(), DownloadError> {
    let Some(dir) = work.dirs.first() else {
        return Ok(());
    };
    let needed = starts.iter().map(|start| {
        let (_, missing) = start.content_bytes();
        let manifest = start.manifest();
        manifest.map_or(missing, |one| preflight::needed_bytes(one, missing))
    });
    let free = work.files.free_bytes(dir);
    let free = free.map_err(|error| DownloadError::storage(dir, &error))?;
    preflight::space(free, needed.fold(0, u64::saturating_add)).map_err(|refusal| {
        // There was room when content was begun: somebody may make it again (bad-inputs row 58).
        let is_installed = |start: &ArtifactWriter| {
            let id = start.manifest().map(ArtifactManifest::id);
            let mut installed = work.inventory.installed.iter();
            installed.any(|installed| Some(installed.artifact) == id)
        };
        let mut starts = starts.iter();
        match starts.any(|start| start.content_bytes().0 > 0 && !is_installed(start)) {
            true => DownloadError::later(refusal.reason, refusal.detail),
            false => refusal.into(),
        }
    })
}

impl From<Refusal> for DownloadError {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal.reason, refusal.detail)
    }
}

/// Percent of the whole release.
struct Percent {
    had: u64,
    all: u64,
    said: Option<u64>,
}

impl Percent {
    fn new(release: &ReleaseManifest, started: &[Started]) -> Self {
        let had = started.iter().map(|one| one.writer().offset());
        let all = release.artifacts.iter().map(|artifact| artifact.size);
        Self {
            had: had.fold(0, u64::saturating_add),
            all: all.fold(0, u64::saturating_add).max(1),
            said: None,
        }
    }

    /// The percentage, if it is more than was said.
    fn risen(&mut self) -> Option<u8> {
        let percent = u128::from(self.had) * 100 / u128::from(self.all);
        let percent = u64::try_from(percent).unwrap_or(100).min(100);
        if self.said >= Some(percent) {
            return None;
        }
        self.said = Some(percent);
        u8::try_from(percent).ok()
    }
}

#[cfg(test)]
#[path = "fetch_release_tests.rs"]
mod tests;
