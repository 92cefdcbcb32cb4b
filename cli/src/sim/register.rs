//! Registers the fleet by the same commands an operator would use, a few at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hoist_orchestrator_core::api::command::{
    DeviceAdd, DeviceRemove, DeviceShow, GroupCreate, Verb,
};
use hoist_orchestrator_core::reply::{DeviceAddResult, DeviceDetail, DeviceResult, PresenceWord};
use hoist_protocol::code::Code;
use hoist_protocol::id::DeviceId;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::args::Sim;
use crate::client::{Client, Patience};

/// Commands in flight: the server commits them in batches, more is no faster.
const WORKERS: usize = 16;

/// A registered device.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) device: DeviceId,
    pub(super) token: String,
    /// SHA-256 of the root document, in hex.
    pub(super) root_sha256: String,
    pub(super) root_number: u32,
    /// True if the device was there before: then it stays.
    pub(super) kept: bool,
}

/// The ids of the fleet.
///
/// # Errors
/// `E_NAME` for a prefix that makes no ids.
pub(super) fn names(sim: &Sim) -> Result<Vec<String>, Failure> {
    let name = |number| format!("{}-{number:05}", sim.prefix);
    let longest = name(sim.devices);
    longest.parse::<DeviceId>().map_err(|error| {
        Failure::because(Code::Name, format!("--prefix makes {longest:?}"), &error)
    })?;
    Ok((1..=sim.devices).map(name).collect())
}

/// Creates the group if it is missing and registers every device, in order; nothing is
/// left behind when one of them cannot be. Ends early once `stop` says so.
pub(super) async fn register(
    file: &ClientFile,
    sim: &Sim,
    stop: &Stop,
) -> Result<Vec<Registered>, Failure> {
    let names = names(sim)?;
    let new = new_names(file, sim, names.clone(), stop).await?;
    let mut client = Client::connect(file.clone(), Patience::PROGRAM).await?;
    let group = GroupCreate {
        group: sim.group.clone(),
        selector: None,
        dry_run: false,
    };
    let created = client.command(Verb::GroupCreate, &group).await;
    client.close().await;
    created?;
    let group = Arc::new(sim.group.clone());
    let add = move |device: String| {
        let group = group.as_str().to_owned();
        DeviceAdd {
            device,
            group: Some(group),
            ..DeviceAdd::default()
        }
    };
    match each(file, Patience::PROGRAM, Verb::DeviceAdd, names, add, stop).await {
        Ok(added) => {
            let new: HashSet<String> = new.into_iter().collect();
            added.into_iter().map(|it| registered(it, &new)).collect()
        }
        Err(failure) => {
            unregister(file, new).await?;
            Err(failure)
        }
    }
}

fn registered(
    added: Result<DeviceAddResult, Failure>,
    new: &HashSet<String>,
) -> Result<Registered, Failure> {
    let added = added?;
    let kept = !new.contains(&added.device);
    let device = added
        .device
        .parse()
        .map_err(|error| Failure::because(Code::Reply, "the answer to device-add", &error))?;
    Ok(Registered {
        device,
        token: added.token,
        root_sha256: added.root_sha256,
        root_number: added.root_number,
        kept,
    })
}

/// The names that no device has yet. Those that an earlier fleet of the group left behind
/// (`--keep`) are taken over.
///
/// # Errors
/// `E_DEVICE_EXISTS` for a device that is somewhere else, or that somebody runs: it is none
/// of ours.
async fn new_names(
    file: &ClientFile,
    sim: &Sim,
    names: Vec<String>,
    stop: &Stop,
) -> Result<Vec<String>, Failure> {
    let show = |device| DeviceShow { device };
    let expected = Some(Code::Device);
    let shown: Vec<Result<DeviceDetail, Failure>> = each_or(
        file,
        Patience::PROGRAM,
        (Verb::DeviceShow, expected),
        names.clone(),
        show,
        stop,
    )
    .await?;
    let mut new = Vec::new();
    for (name, shown) in names.into_iter().zip(shown) {
        match shown.map(|known| not_ours(&name, &known, &sim.group)) {
            Err(_) => new.push(name),
            Ok(None) => {}
            Ok(Some(failure)) => return Err(failure),
        }
    }
    Ok(new)
}

/// Why a device that is there already is not to be simulated here.
fn not_ours(name: &str, known: &DeviceDetail, group: &str) -> Option<Failure> {
    let (why, help) = if known.item.group != group {
        (
            format!("{name} is a device of group {} already", known.item.group),
            "nothing was changed; choose other ids with --prefix",
        )
    } else if known.item.presence == PresenceWord::Online {
        (
            format!("{name} is online already: another program runs it"),
            "nothing was changed; choose other ids with --prefix, or end that program first",
        )
    } else {
        return None;
    };
    Some(Failure::new(Code::DeviceExists, why).help(help))
}

/// Removes the fleet again; who is gone already is no failure.
pub(super) async fn unregister(file: &ClientFile, names: Vec<String>) -> Result<(), Failure> {
    let remove = |device| DeviceRemove {
        device,
        waiting_only: false,
        dry_run: false,
    };
    let verb = (Verb::DeviceRemove, Some(Code::Device));
    let removed: Vec<Result<DeviceResult, Failure>> = each_or(
        file,
        Patience::PERSON,
        verb,
        names,
        remove,
        &Stop::default(),
    )
    .await?;
    drop(removed);
    Ok(())
}

/// Says to workers that nobody wants what they do any more.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on no further command is sent.
    pub(super) fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Failure::new(Code::Canceled, "interrupted")),
        }
    }
}

/// Sends one command per name over a few connections; answers in the order of the names.
/// A failure ends all of them, but not before every answer that is on its way is there.
async fn each<T, B>(
    file: &ClientFile,
    patience: Patience,
    verb: Verb,
    names: Vec<String>,
    body: impl Fn(String) -> B + Clone + Send + Sync + 'static,
    stop: &Stop,
) -> Result<Vec<Result<T, Failure>>, Failure>
where
    T: DeserializeOwned + Send + 'static,
    B: Serialize + Send + Sync + 'static,
{
    each_or(file, patience, (verb, None), names, body, stop).await
}

/// The same for a verb that may be refused with one code, which is an answer then.
async fn each_or<T, B>(
    file: &ClientFile,
    patience: Patience,
    (verb, expected): (Verb, Option<Code>),
    names: Vec<String>,
    body: impl Fn(String) -> B + Clone + Send + Sync + 'static,
    stop: &Stop,
) -> Result<Vec<Result<T, Failure>>, Failure>
where
    T: DeserializeOwned + Send + 'static,
    B: Serialize + Send + Sync + 'static,
{
    let per_worker = names.len().div_ceil(WORKERS).max(1);
    let mut workers = JoinSet::new();
    let failed = Stop::default();
    for (index, names) in names.chunks(per_worker).enumerate() {
        let (file, names, body) = (file.clone(), names.to_vec(), body.clone());
        let (stop, failed) = (stop.clone(), failed.clone());
        workers.spawn(async move {
            let work = async {
                let mut client = Client::connect(file, patience).await?;
                let mut answers = Vec::with_capacity(names.len());
                for name in names {
                    stop.check().and(failed.check())?;
                    match client.ask(verb, &body(name)).await {
                        Err(failure) if !expected.is_some_and(|code| failure.is(code)) => {
                            return Err(failure);
                        }
                        answer => answers.push(answer),
                    }
                }
                client.close().await;
                Ok::<_, Failure>(answers)
            };
            let answers = work.await;
            if answers.is_err() {
                failed.request();
            }
            (index, answers)
        });
    }
    let mut parts = Vec::new();
    let mut failure = None;
    while let Some(part) = workers.join_next().await {
        let (index, answers) =
            part.map_err(|error| Failure::because(Code::System, "a worker ended", &error))?;
        match answers {
            Ok(answers) => parts.push((index, answers)),
            // What the others were told to stop for says more than that they were.
            Err(why) if failure.is_none() || !why.is(Code::Canceled) => failure = Some(why),
            Err(_) => {}
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    parts.sort_by_key(|(index, _)| *index);
    Ok(parts.into_iter().flat_map(|(_, answers)| answers).collect())
}
