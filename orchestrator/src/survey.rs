//! Counts whom the deployments of a plan would reach, page by page and beside the loop: a
//! million members take seconds. How a member counts is the core's.

use std::collections::BTreeSet;

use hoist_orchestrator_core::model::damage::Damage;
use hoist_orchestrator_core::model::key::{DeviceKey, FactsKey, Key, Prefix, ReleaseKey, RowKey};
use hoist_orchestrator_core::model::row::ReleaseRow;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_orchestrator_core::query::survey::{Candidate, First, Provided, Survey};
use hoist_orchestrator_core::reply::{Counted, Plan, PlanResult};
use hoist_protocol::codec::decode;
use hoist_protocol::id::{DeviceId, GroupId, ReleaseId};
use hoist_protocol::release::ArtifactManifest;

use crate::artifacts::ArtifactDirectory;
use crate::release;
use crate::rows::{self, ReadError};
use crate::store::Store;

/// Members read at once: long enough to be quick, short enough to let others read.
const PAGE: usize = 256;

/// Fills in what only counting every member tells.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn count(
    store: &dyn Store,
    directory: &ArtifactDirectory,
    result: &mut PlanResult,
) -> Result<(), ReadError> {
    // All plans of a command are of one release.
    let Some(candidate) = candidate(store, directory, result.plans.first()).await? else {
        return Ok(());
    };
    for plan in &mut result.plans {
        if let Ok(group) = plan.group.parse() {
            let first = plan.order.zip(plan.limit);
            let first = first.map(|(order, devices)| First { order, devices });
            plan.counted = survey(store, candidate.clone(), group, first).await?;
        }
    }
    Ok(())
}

async fn candidate(
    store: &dyn Store,
    directory: &ArtifactDirectory,
    plan: Option<&Plan>,
) -> Result<Option<Candidate>, ReadError> {
    let parsed = plan.and_then(|plan| Some((plan, plan.id.parse::<ReleaseId>().ok()?)));
    let Some((plan, id)) = parsed else {
        return Ok(None);
    };
    let mut txn = Txn::default();
    let key = ReleaseKey(id);
    let Some(row) = rows::resolve(store, &mut txn, |txn| txn.read(&key)).await? else {
        return Ok(None);
    };
    let artifacts = artifacts_of(&row, directory).await;
    let depends = artifacts
        .iter()
        .any(|artifact| !artifact.depends.is_empty());
    let provided = match depends {
        true => provided(store, directory).await?,
        false => Provided::new(),
    };
    Ok(Some(Candidate {
        release: row.manifest,
        names: row.artifacts,
        artifacts,
        provided,
        allow_downgrade: plan.allow_downgrade,
    }))
}

/// The manifests of a release's artifacts; none unless all can be read.
async fn artifacts_of(row: &ReleaseRow, directory: &ArtifactDirectory) -> Vec<ArtifactManifest> {
    let mut artifacts = Vec::with_capacity(row.manifest.artifacts.len());
    for artifact in &row.manifest.artifacts {
        match release::manifest_of(artifact, directory).await {
            Ok(manifest) => artifacts.push(manifest),
            Err(rejection) => {
                tracing::warn!(%rejection, "dependencies are not judged");
                return Vec::new();
            }
        }
    }
    artifacts
}

/// The capabilities that the artifacts of every known release provide besides themselves.
async fn provided(store: &dyn Store, directory: &ArtifactDirectory) -> Result<Provided, ReadError> {
    let mut provided = Provided::new();
    let mut seen = BTreeSet::new();
    for (_, row) in rows::all::<ReleaseRow>(store, &Prefix::Releases).await? {
        for artifact in row.manifest.artifacts {
            if !seen.insert(artifact.id().0) {
                continue;
            }
            if let Ok(manifest) = release::manifest_of(&artifact, directory).await
                && !manifest.provides.is_empty()
            {
                let key = (manifest.name.to_string(), manifest.version);
                provided.insert(key, manifest.provides);
            }
        }
    }
    Ok(provided)
}

async fn survey(
    store: &dyn Store,
    candidate: Candidate,
    group: GroupId,
    first: Option<First>,
) -> Result<Counted, ReadError> {
    let mut survey = Survey::new(candidate, rows::instance(store).await?, first);
    let prefix = Prefix::Members(group);
    let mut after = None;
    loop {
        let page = store.scan(prefix.bytes().0, after.take(), PAGE).await?;
        let named = |(key, _): &(Vec<u8>, _)| prefix.rest(&Key(key.clone()))?.parse().ok();
        let devices: Vec<DeviceId> = page.items.iter().filter_map(named).collect();
        count_page(store, &mut survey, &devices).await?;
        match page.items.last() {
            Some((key, _)) if page.more => after = Some(key.clone()),
            _ => return Ok(survey.counted()),
        }
    }
}

async fn count_page(
    store: &dyn Store,
    survey: &mut Survey,
    devices: &[DeviceId],
) -> Result<(), ReadError> {
    let rows = |device: &DeviceId| {
        [
            DeviceKey(device.clone()).key().0,
            FactsKey(device.clone()).key().0,
        ]
    };
    let found = store.load(devices.iter().flat_map(rows).collect()).await?;
    for (device, pair) in devices.iter().zip(found.chunks(2)) {
        let [Some(row), facts] = pair else { continue };
        let corrupt = |key: Key| move |source| Damage::Unreadable { key, source };
        let row = decode(&row.value).map_err(corrupt(DeviceKey(device.clone()).key()))?;
        let facts = facts.as_ref().map(|facts| decode(&facts.value));
        let facts = facts
            .transpose()
            .map_err(corrupt(FactsKey(device.clone()).key()))?;
        survey.member(device, &row, facts.as_ref());
    }
    Ok(())
}
