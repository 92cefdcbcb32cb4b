//! The server in recovery mode, around its loop: what is kept beside the store is taken in
//! first, the fleet tells the rest while the loop runs, and in the end whatever may have been
//! aborted since is stopped.

use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::engine::publish::Ahead;
use hoist_orchestrator_core::model::counter::Totals;
use hoist_orchestrator_core::model::key::{Key, Prefix};
use hoist_orchestrator_core::model::now::{Mode, Now};
use hoist_orchestrator_core::model::release::VerifiedRelease;
use hoist_orchestrator_core::model::row::{
    CounterRow, DeploymentRow, DeviceRow, GroupRow, ReleaseRow,
};
use hoist_protocol::envelope::{Kind, open};
use hoist_protocol::id::{DeploymentId, Generation, GroupId};
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::spec::GroupSpec;
use hoist_protocol::topic::{Topic, Topics};
use serde::Serialize;

use crate::config::OrchestratorConfig;
use crate::release::manifest_of;
use crate::rows::{self, ReadError};
use crate::service::ServiceError;
use crate::signer::Signer;
use crate::specs::{Spec, ahead_of_specs};
use crate::store::Store;
use crate::unix_time::unix_ms;

/// The means by which a store is rebuilt.
#[derive(Clone, Copy)]
pub struct Recovery<'a> {
    /// Into which.
    pub store: &'a dyn Store,
}

/// The progress of the fleet's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answered {
    /// Devices that are registered.
    pub devices: usize,
    /// Those among them that were heard since it began.
    pub heard: usize,
    /// The number of outcomes that devices say they reached and have not told yet.
    pub missing: u64,
    /// Numbers of the newest statuses, summed: whether anything came since the last look.
    pub news: u64,
}

/// The parts of a store that came back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovered {
    /// Groups by name.
    pub groups: Vec<String>,
    /// The number of devices.
    pub devices: usize,
    /// Devices that are registered and were not heard.
    pub silent: Vec<String>,
    /// Releases, `name@version`.
    pub releases: Vec<String>,
    /// Deployments by number.
    pub deployments: Vec<RecoveredDeployment>,
}

/// A deployment that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveredDeployment {
    /// Its number.
    pub deployment: DeploymentId,
    /// `name@version`, or `unknown`.
    pub release: String,
    /// Its group.
    pub group: GroupId,
    /// Devices in progress.
    pub in_progress: u32,
    /// Successful ones.
    pub successful: u32,
    /// Failed ones.
    pub failed: u32,
}

/// The evidence that a store is behind what was signed with its keys and kept beside it.
///
/// # Errors
/// [`ServiceError`].
pub async fn behind(
    store: &dyn Store,
    config: &OrchestratorConfig,
) -> Result<Option<Ahead>, ServiceError> {
    let instance = rows::instance(store).await?;
    let specs = config.specs.read().map_err(ServiceError::Specs)?;
    let signer = Some(config.keys.orchestrator.public().id());
    let known = (instance.reserved_by(signer), instance.last_deployment);
    let topics = Topics::new(config.namespace.clone());
    let seals = Signer::new(config.keys.orchestrator.clone(), topics);
    Ok(ahead_of_specs(&specs, &seals, known))
}

impl Recovery<'_> {
    /// Takes in what is kept beside the store. Returns what of it cannot be used, by name.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn begin(self, config: &OrchestratorConfig) -> Result<Vec<String>, ServiceError> {
        let specs = config.specs.read().map_err(ServiceError::Specs)?;
        let (mut inputs, mut lost) = (vec![Input::RecoveryBegins], Vec::new());
        for (spec, sealed) in &specs {
            if let Spec::Release(id) = spec {
                match self.release(config, sealed).await {
                    Some(verified) => inputs.push(Input::RecoverRelease(Box::new(verified))),
                    None => lost.push(format!("release {id}: its artifacts are not there")),
                }
            }
        }
        let topics = Topics::new(config.namespace.clone());
        let ours = [config.keys.orchestrator.public()];
        let mut highest = Generation::default();
        for (spec, sealed) in &specs {
            let Spec::Group(group) = spec else { continue };
            let topic = topics.format(&Topic::GroupSpec(group.clone()));
            match open::<GroupSpec>(&ours, Kind::GroupSpec, &topic, sealed) {
                Ok(opened) => {
                    let spec = Box::new(opened.message);
                    highest = highest.max(spec.generation);
                    let group = group.clone();
                    inputs.push(Input::RecoverGroup { group, spec });
                }
                Err(error) => lost.push(format!("group {group}: {error}")),
            }
        }
        inputs.push(Input::ReserveGenerations(highest));
        self.decide(inputs).await?;
        Ok(lost)
    }

    async fn release(self, config: &OrchestratorConfig, sealed: &[u8]) -> Option<VerifiedRelease> {
        let opened = open::<ReleaseManifest>(&config.keys.release, Kind::Release, "", sealed);
        let manifest = opened.ok()?.message;
        let mut artifacts = Vec::with_capacity(manifest.artifacts.len());
        for artifact in &manifest.artifacts {
            artifacts.push(manifest_of(artifact, &config.artifacts).await.ok()?.name);
        }
        Some(VerifiedRelease {
            sealed: sealed.to_vec(),
            manifest,
            artifacts,
        })
    }

    /// The progress of the fleet's answers since a Unix time in ms.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn answered(self, since_ms: u64) -> Result<Answered, ReadError> {
        let mut answered = Answered::default();
        for (_, row) in rows::all::<DeviceRow>(self.store, &Prefix::Devices).await? {
            answered.devices += 1;
            answered.heard += usize::from(is_heard(&row, since_ms));
            answered.missing += u64::from(row.missed);
            let seq = row.seq.map_or(0, |seq| seq.0);
            answered.news = answered.news.wrapping_add(seq).wrapping_add(1);
        }
        Ok(answered)
    }

    /// Stops whatever may have been aborted since, and says what came back.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn over(self, since_ms: u64) -> Result<Recovered, ReadError> {
        let mut recovered = Recovered::default();
        for (key, _) in rows::all::<GroupRow>(self.store, &Prefix::Groups).await? {
            if let Some(group) = Prefix::Groups.rest(&key) {
                if let Ok(group) = group.parse() {
                    self.decide(vec![Input::RecoveryOver(group)]).await?;
                }
                recovered.groups.push(group);
            }
        }
        self.decide(vec![Input::RecoveryEnds]).await?;
        for (key, row) in rows::all::<DeviceRow>(self.store, &Prefix::Devices).await? {
            recovered.devices += 1;
            if !is_heard(&row, since_ms) {
                recovered.silent.extend(Prefix::Devices.rest(&key));
            }
        }
        let releases = rows::all::<ReleaseRow>(self.store, &Prefix::Releases).await?;
        let text = |row: ReleaseRow| format!("{}@{}", row.manifest.name, row.manifest.version);
        recovered.releases = releases.into_iter().map(|(_, row)| text(row)).collect();
        for (key, row) in rows::all::<DeploymentRow>(self.store, &Prefix::Deployments).await? {
            recovered
                .deployments
                .extend(self.deployment(&key, row).await?);
        }
        Ok(recovered)
    }

    async fn deployment(
        self,
        key: &Key,
        row: DeploymentRow,
    ) -> Result<Option<RecoveredDeployment>, ReadError> {
        let number = key.0.get(1..).and_then(|number| number.try_into().ok());
        let Some(deployment) = number.map(u32::from_be_bytes).map(DeploymentId) else {
            return Ok(None);
        };
        let mut totals = Totals::default();
        let counters = Prefix::Counters(deployment);
        for (_, counter) in rows::all::<CounterRow>(self.store, &counters).await? {
            totals.add(&counter);
        }
        let counts = totals.counts(0);
        Ok(Some(RecoveredDeployment {
            deployment,
            release: row.release_text,
            group: row.group,
            in_progress: counts.in_progress,
            successful: counts.successful,
            failed: counts.failed,
        }))
    }

    async fn decide(self, inputs: Vec<Input>) -> Result<(), ReadError> {
        let now = Now {
            unix_ms: unix_ms(),
            uptime_ms: rows::instance(self.store).await?.uptime_ms,
            mode: Mode::Recovering,
            ..Now::default()
        };
        // One by one: each sees what the one before has written.
        for input in inputs {
            // What follows is published by the next run of the server.
            rows::decide_alone(self.store, &input, now).await?;
        }
        Ok(())
    }
}

fn is_heard(row: &DeviceRow, since_ms: u64) -> bool {
    row.last_seen_ms.is_some_and(|seen_ms| seen_ms >= since_ms)
}
