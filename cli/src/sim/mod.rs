//! `hoist sim`: a fleet of simulated devices in one process. Each is the real update
//! machine over its own MQTT connection; only downloads, scripts and files are modelled.
//! A rehearsal of a rollout, and a load generator.

mod act;
mod device;
mod model;
mod register;
mod session;
mod truth;

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hoist_device_client::agent::said;
use hoist_orchestrator_core::reply::view::DeploymentView;
use hoist_protocol::code::Code;
use hoist_protocol::filter::{Family, Filter};
use hoist_protocol::root::RootDocument;
use hoist_protocol::topic::{Topic, Topics};
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing_subscriber::filter::LevelFilter;

use self::device::Device;
use self::model::Trouble;
use self::register::{Registered, Stop, register, unregister};
use self::truth::Truth;
use crate::args::Sim;
use crate::client::mqtt::{Broker, Connection, Event, Login};
use crate::client::{Client, Patience, unheard};
use crate::context::{Context, print};
use crate::output::plural;
use crate::signals::Ends;
use crate::{exit, logging};

/// Longest wait for the root document, which is retained.
const ROOT_PATIENCE: Duration = Duration::from_secs(30);

/// The state that all devices share.
struct Fleet {
    topics: Topics,
    /// The root document that the devices pin.
    root: RootDocument,
    trouble: Trouble,
    truth: Mutex<Truth>,
}

/// `hoist sim`
pub(crate) async fn sim(context: &Context, sim: &Sim) -> Result<u8, Failure> {
    logging::start(&context.settings, LevelFilter::ERROR)?;
    let mut ends = Ends::listen()?;
    let file = context.client_file()?;
    let devices = gather(&file, sim, &mut ends).await?;
    let assembled = tokio::select! {
        fleet = assemble(&file, sim, &devices) => fleet,
        () = ends.requested() => Err(Failure::new(Code::Canceled, "interrupted")),
    };
    let fleet = match assembled {
        Ok(fleet) => Arc::new(fleet),
        Err(failure) => {
            dismiss(&file, sim, &devices).await?;
            return Err(failure);
        }
    };
    said::say(told(sim, &devices));
    let stop = watch::Sender::new(false);
    let mut lives = start(&fleet, &file, &devices, &stop)?;
    let watched = tokio::select! {
        watched = settled(&file, sim, &fleet), if sim.until_settled => watched,
        () = ends.requested() => Ok(()),
    };
    stop.send_replace(true);
    while lives.join_next().await.is_some() {}
    dismiss(&file, sim, &devices).await?;
    let truth = fleet.truth.lock().unwrap_or_else(PoisonError::into_inner);
    let account = truth.account(sim.devices);
    if sim.json {
        let line = serde_json::to_string(&account)
            .map_err(|error| Failure::because(Code::System, "cannot encode the account", &error))?;
        print(&format!("{line}\n"))?;
    } else {
        print(&format!("{}\n", account.summary()))?;
    }
    watched.map(|()| exit::OK)
}

/// Registers the fleet, or nothing of it when somebody ends the program meanwhile.
async fn gather(file: &ClientFile, sim: &Sim, ends: &mut Ends) -> Result<Vec<Registered>, Failure> {
    let stop = Stop::default();
    let mut registered = pin!(register(file, sim, &stop));
    tokio::select! {
        devices = &mut registered => return devices,
        () = ends.requested() => stop.request(),
    }
    // What was asked for by then is answered, and taken back.
    match registered.await {
        Ok(devices) => {
            dismiss(file, sim, &devices).await?;
            Err(Failure::new(Code::Canceled, "interrupted"))
        }
        Err(failure) => Err(failure),
    }
}

/// The devices that are there now, in a sentence.
fn told(sim: &Sim, devices: &[Registered]) -> String {
    let kept = devices.iter().filter(|device| device.kept).count();
    let stay = match kept {
        0 => String::new(),
        kept => format!(", {kept} of them by an earlier run: these stay"),
    };
    let devices = plural::count(sim.devices, "device");
    format!("{devices} registered in group {}{stay}", sim.group)
}

/// Removes what this run registered, unless it is to stay.
async fn dismiss(file: &ClientFile, sim: &Sim, devices: &[Registered]) -> Result<(), Failure> {
    if sim.keep {
        return Ok(());
    }
    let new = devices.iter().filter(|device| !device.kept);
    unregister(file, new.map(|device| device.device.to_string()).collect()).await
}

/// Learns from the root document whose signatures count.
async fn assemble(file: &ClientFile, sim: &Sim, devices: &[Registered]) -> Result<Fleet, Failure> {
    let topics = Topics::new(file.namespace.clone());
    let first = devices
        .first()
        .ok_or_else(|| Failure::new(Code::Device, "a fleet needs a device"))?;
    let mut pin = [0; 32];
    data_encoding::HEXLOWER_PERMISSIVE
        .decode_mut(first.root_sha256.as_bytes(), &mut pin)
        .map_err(|_| Failure::new(Code::Reply, "the root document's hash is not 64 hex digits"))?;
    let root = fetch_root(file, &topics, first).await?;
    let root = RootDocument::open_pinned(&root, &pin)
        .map_err(|error| Failure::because(Code::Signature, "the root document", &error))?;
    Ok(Fleet {
        topics,
        root,
        trouble: Trouble {
            seed: sim.seed,
            loss: sim.loss,
            fail: sim.fail,
            flap: sim.flap,
        },
        truth: Mutex::new(Truth::default()),
    })
}

/// Only devices read the root document, so the first one fetches it for all.
async fn fetch_root(
    file: &ClientFile,
    topics: &Topics,
    device: &Registered,
) -> Result<Vec<u8>, Failure> {
    let login = Login {
        broker: Broker::of_devices(file)?,
        client_id: device.device.to_string(),
        user: device.device.to_string(),
        token: device.token.clone(),
        keep_alive: ROOT_PATIENCE,
        will: None,
    };
    let lost =
        |error: &dyn std::error::Error| Failure::because(Code::Broker, "the root document", error);
    let fetch = async {
        let mut connection = Connection::open(&login)
            .await
            .map_err(|error| lost(&error))?;
        let root = topics.format(&Topic::Root(device.root_number));
        connection.subscribe(&root).map_err(|error| lost(&error))?;
        loop {
            match connection.next().await.map_err(|error| lost(&error))? {
                Event::Message { payload, .. } => return Ok(payload.to_vec()),
                Event::Subscribed { granted: false, .. } => return Err(unheard(&root)),
                Event::Subscribed { .. } | Event::Acknowledged => {}
            }
        }
    };
    tokio::time::timeout(ROOT_PATIENCE, fetch)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                Code::Wait,
                "the server publishes no root document",
            ))
        })
}

/// Brings every device to life.
fn start(
    fleet: &Arc<Fleet>,
    file: &ClientFile,
    devices: &[Registered],
    stop: &watch::Sender<bool>,
) -> Result<JoinSet<()>, Failure> {
    let broker = Broker::of_devices(file)?;
    let mut lives = JoinSet::new();
    for (member, registered) in (1..).zip(devices) {
        let device = Device::new(
            Arc::clone(fleet),
            registered.device.clone(),
            &registered.token,
            member,
        );
        lives.spawn(session::live(
            device,
            broker.clone(),
            registered.token.clone(),
            stop.subscribe(),
        ));
    }
    Ok(lives)
}

/// Waits until the server says that a deployment to the group is settled, and the devices
/// that took part agree that it is over.
async fn settled(file: &ClientFile, sim: &Sim, fleet: &Fleet) -> Result<(), Failure> {
    let mut client = Client::connect(file.clone(), Patience::PROGRAM).await?;
    let views = client
        .topics()
        .filter(Filter::Every(Family::DeploymentView));
    client.watch(&views).await?;
    loop {
        let (_, payload) = client.next_message().await?;
        // A view that was cleared has no content.
        let Ok(view) = serde_json::from_slice::<DeploymentView>(&payload) else {
            continue;
        };
        let truth = fleet.truth.lock().unwrap_or_else(PoisonError::into_inner);
        if view.group == sim.group && view.settled && truth.is_over(view.deployment) {
            return Ok(());
        }
    }
}
