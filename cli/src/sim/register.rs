//! Registers the fleet by the same commands an operator would use, a few at a time.

use std::sync::Arc;

use hoist_orchestrator_core::command::{DeviceAdd, DeviceRef, GroupRef, Verb};
use hoist_orchestrator_core::reply::{DeviceAddResult, DeviceResult};
use hoist_protocol::code::Code;
use hoist_protocol::id::DeviceId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::args::Sim;
use crate::client::{Client, Patience};
use crate::client_file::ClientFile;
use crate::failure::Failure;

/// Commands in flight: the server commits them in batches, more is no faster.
const WORKERS: usize = 16;

/// A registered device.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) device: DeviceId,
    pub(super) token: String,
    /// SHA-256 of the root document, in hex.
    pub(super) root_sha256: String,
}

/// Creates the group if it is missing and registers every device, in order.
pub(super) async fn register(file: &ClientFile, sim: &Sim) -> Result<Vec<Registered>, Failure> {
    let mut client = Client::connect(file.clone(), Patience::PROGRAM).await?;
    let group = GroupRef {
        group: sim.group.clone(),
        dry_run: false,
    };
    client.command(Verb::GroupCreate, &group).await?;
    client.close().await;
    let names: Vec<String> = (1..=sim.devices)
        .map(|number| format!("sim-{number:05}"))
        .collect();
    let group = Arc::new(sim.group.clone());
    let add = move |device: String| {
        let group = group.as_str().to_owned();
        DeviceAdd {
            device,
            group: Some(group),
            ..DeviceAdd::default()
        }
    };
    let added: Vec<DeviceAddResult> =
        each(file, Patience::PROGRAM, Verb::DeviceAdd, names, add).await?;
    added
        .into_iter()
        .map(|added| {
            let device = added.device.parse().map_err(|error| {
                Failure::because(Code::Reply, "the answer to device-add", &error)
            })?;
            Ok(Registered {
                device,
                token: added.token,
                root_sha256: added.root_sha256,
            })
        })
        .collect()
}

/// Removes the fleet again.
pub(super) async fn unregister(file: &ClientFile, devices: &[Registered]) -> Result<(), Failure> {
    let names = devices
        .iter()
        .map(|device| device.device.to_string())
        .collect();
    let remove = |device| DeviceRef { device };
    let removed: Vec<DeviceResult> =
        each(file, Patience::PERSON, Verb::DeviceRemove, names, remove).await?;
    drop(removed);
    Ok(())
}

/// Sends one command per name over a few connections; answers in the order of the names.
async fn each<T, B>(
    file: &ClientFile,
    patience: Patience,
    verb: Verb,
    names: Vec<String>,
    body: impl Fn(String) -> B + Clone + Send + Sync + 'static,
) -> Result<Vec<T>, Failure>
where
    T: DeserializeOwned + Send + 'static,
    B: Serialize + Send + Sync + 'static,
{
    let per_worker = names.len().div_ceil(WORKERS).max(1);
    let mut workers = JoinSet::new();
    for (index, names) in names.chunks(per_worker).enumerate() {
        let (file, names, body) = (file.clone(), names.to_vec(), body.clone());
        workers.spawn(async move {
            let mut client = Client::connect(file, patience).await?;
            let mut answers = Vec::with_capacity(names.len());
            for name in names {
                answers.push(client.ask(verb, &body(name)).await?);
            }
            client.close().await;
            Ok::<_, Failure>((index, answers))
        });
    }
    let mut parts = Vec::new();
    while let Some(part) = workers.join_next().await {
        let part =
            part.map_err(|error| Failure::because(Code::System, "a worker ended", &error))?;
        parts.push(part?);
    }
    parts.sort_by_key(|(index, _)| *index);
    Ok(parts.into_iter().flat_map(|(_, answers)| answers).collect())
}
