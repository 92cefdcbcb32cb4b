//! The agent's event loop: it lets the session decide about what happened and does what it says.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::sha256;
use hoist_protocol::root::RootDocument;
use hoist_protocol::status::FinalResult;
use hoist_protocol::topic::Topics;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::clock::DeviceClock;
use super::config::{AgentConfig, HostConfig, ServerConfig};
use super::distrust::Distrust;
use super::files::SystemFiles;
use super::identity::{IdentityError, load_or_create_key};
use super::local_release::LocalRelease;
use super::mqtt::{Connection, Incoming};
use super::program::can_execute_below;
use super::ready;
use super::root_chain::newest_root;
use super::shown::Shown;
use super::state_dir::{StateDir, StateDirError};
use super::storage::{Storage, StorageError};
use super::task;
use super::work::{Teller, Told, plans};
use crate::machine::{BootId, Event, Setup};
use crate::session::{Identity, Reconnects, Root, Session};

/// Words of tasks waiting for the loop; progress beyond is skipped.
const TOLD_MAX: usize = 16;
/// Actions that may wait for a write; the agent takes no more messages then. A machine
/// that waits for its disk says little.
const TODO_MAX: usize = 256;
/// The time between two looks whether anything keeps us from starting.
const VETO_CHECK: Duration = Duration::from_secs(5);
/// The time between two writes of device time: a device without a clock loses at most this much
/// when its power goes (W2).
const SAVE_TIME: Duration = Duration::from_secs(3_600);

/// Why the agent stopped.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// There is no device key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The files kept there cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The boot id cannot be read.
    #[error("cannot read the boot id from {}", path.display())]
    BootId {
        /// The configured file.
        path: std::path::PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The ready file cannot be written.
    #[error("cannot write the ready file")]
    Ready {
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

impl AgentError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::StateDir(StateDirError::Locked { .. }) => Code::Locked,
            Self::StateDir(StateDirError::File { .. }) | Self::Ready { .. } => Code::Storage,
            Self::Identity(_) => Code::Key,
            Self::Storage(error) => error.code(),
            Self::BootId { .. } => Code::BootId,
        }
    }
}

/// Runs an agent until `shutdown`. Many can run in one process.
///
/// # Errors
/// [`AgentError`] when it cannot start; afterwards it goes on whatever happens.
pub async fn run(
    config: AgentConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let mut agent = Agent::open(config.host, Some(config.server))?;
    let ready = ready::write(agent.dir.path(), &agent.host)
        .map_err(|source| AgentError::Ready { source })?;
    tokio::select! {
        () = agent.serve() => {}
        () = shutdown => {}
    }
    ready::stopping();
    tracing::info!("stopping: what runs goes on, or back, at the next start");
    drop(ready);
    agent.stop_task();
    agent.say_goodbye().await;
    tracing::info!("stopped");
    Ok(())
}

/// Everything around the machine.
pub(super) struct Agent {
    pub(super) host: HostConfig,
    /// Absent while somebody installs without one.
    pub(super) server: Option<ServerConfig>,
    pub(super) topics: Topics,
    pub(super) dir: StateDir,
    pub(super) key: PrivateKey,
    /// The certificate that was shown last, and the trust that shows it.
    pub(super) shown: Shown,
    /// When it is looked whether that is due.
    pub(super) renew_at: Option<Instant>,
    /// The request for another one that waits for its answer.
    #[cfg(feature = "tls")]
    pub(super) renewing: Option<[u8; 16]>,
    /// When another one was asked for last.
    #[cfg(feature = "tls")]
    pub(super) renewal_asked: Option<Instant>,
    pub(super) session: Session,
    pub(super) storage: Storage,
    pub(super) clock: DeviceClock,
    pub(super) root: Option<RootDocument>,
    pub(super) connection: Option<Connection>,
    /// Since when it is there.
    pub(super) connected_at: Instant,
    /// True if the server knows it by another key: it is not believed then.
    pub(super) unbelieved: bool,
    pub(super) source: Option<String>,
    /// When a write that failed is tried again.
    pub(super) write_again_at: Option<Instant>,
    /// The release that somebody brought to the device.
    pub(super) local: Option<Arc<LocalRelease>>,
    /// The result of such a release.
    pub(super) applied: Option<FinalResult>,
    /// The number of deployments that ever ended here, as far as the log has told.
    pub(super) ended: u32,
    pub(super) announce_at: Option<Instant>,
    /// True if scripts in the state directory can be executed, as far as known.
    pub(super) executes: bool,
    /// True if a person at the device holds it.
    pub(super) held: bool,
    /// Asks the system that.
    pub(super) can_execute: fn(&Path) -> bool,
    /// The thing of the server that this device must not obey, if there is one.
    pub(super) distrust: Option<Distrust>,
    save_time_at: Instant,
    task: Option<JoinHandle<()>>,
    task_number: u64,
    sender: mpsc::Sender<(u64, Told)>,
    told: mpsc::Receiver<(u64, Told)>,
    pub(super) reconnects: Reconnects,
    pub(super) connect_at: Instant,
}

/// The reason why the loop woke.
enum Woke {
    Mqtt(Incoming),
    Told(u64, Told),
    Timer,
    Connect,
    Announce,
    Distrust,
    WriteAgain,
    SaveTime,
    Renew,
    VetoCheck,
}

impl Agent {
    pub(super) fn open(host: HostConfig, server: Option<ServerConfig>) -> Result<Self, AgentError> {
        let dir = StateDir::open(&host.state_dir)?;
        let key = load_or_create_key(dir.path())?;
        let (storage, restored) = Storage::open(Arc::new(SystemFiles), dir.path())?;
        let boot = std::fs::read(&host.boot_id_file).map_err(|source| AgentError::BootId {
            path: host.boot_id_file.clone(),
            source,
        })?;
        say_lost(restored.lost);
        let pinned = server.as_ref();
        let root = pinned.and_then(|server| newest_root(&storage, &server.root_sha256));
        let record = restored.record;
        let clock = DeviceClock::new(record.as_ref().map_or(0, |record| record.time_ms));
        let identity = Identity {
            key: key.public(),
            spec: restored.spec,
            root: match &root {
                Some(root) => Root::Known(root.into()),
                None => Root::Wanted(pinned.map_or(1, |server| server.root_number)),
            },
        };
        let ended = restored.ring.ended;
        let setup = Setup {
            device: host.device.clone(),
            boot: boot_id(&boot),
            record,
            ring: restored.ring,
            lost: restored.lost,
            device_spec: restored.device_spec,
            forgotten: restored.forgotten,
            kept_release: restored.release,
        };
        let (sender, told) = mpsc::channel(TOLD_MAX);
        let namespace = server.as_ref().map(|server| server.namespace.clone());
        Ok(Self {
            topics: Topics::new(namespace.unwrap_or_default()),
            source: server.as_ref().and_then(|server| server.artifacts.clone()),
            host,
            server,
            dir,
            key,
            shown: Shown::default(),
            renew_at: None,
            #[cfg(feature = "tls")]
            renewing: None,
            #[cfg(feature = "tls")]
            renewal_asked: None,
            session: Session::new(setup, identity),
            storage,
            clock,
            root,
            connection: None,
            connected_at: Instant::now(),
            unbelieved: false,
            write_again_at: None,
            local: None,
            applied: None,
            ended,
            announce_at: None,
            executes: true,
            held: false,
            can_execute: can_execute_below,
            distrust: None,
            save_time_at: Instant::now() + SAVE_TIME,
            task: None,
            task_number: 0,
            sender,
            told,
            reconnects: Reconnects::default(),
            connect_at: Instant::now(),
        })
    }

    async fn serve(&mut self) {
        self.look_at_vetoes();
        self.handle(Event::Started);
        loop {
            self.turn().await;
            ready::still_alive();
        }
    }

    /// Waits for one thing to happen, and lets the machine decide about it.
    pub(super) async fn turn(&mut self) {
        let woke = self.wait().await;
        self.look_at_vetoes();
        match woke {
            Woke::Mqtt(incoming) => self.incoming(incoming),
            Woke::Told(task, told) if task == self.task_number => self.told(told),
            Woke::Told(..) | Woke::VetoCheck => {}
            Woke::Timer => self.handle(Event::Timer),
            Woke::Connect => self.connect(),
            Woke::Announce => self.announce(),
            Woke::Distrust => self.distrusts_still(),
            Woke::WriteAgain => self.write_again(),
            Woke::SaveTime => self.save_time(),
            Woke::Renew => self.renew(),
        }
    }

    async fn wait(&mut self) -> Woke {
        let timer = self.session.machine().next_timeout().map(|at| {
            let wait = at.saturating_sub(self.clock.read().unix_ms);
            Instant::now() + Duration::from_millis(wait)
        });
        // A session's number must be durable, and nothing may wait without end.
        let owed = self.session.owed();
        let may_connect = self.server.is_some() && self.connection.is_none() && owed == 0;
        let connect = may_connect.then_some(self.connect_at);
        let announce = self.announce_at.filter(|_| self.session.announces());
        let may_hear = owed < TODO_MAX;
        tokio::select! {
            incoming = incoming(&mut self.connection), if may_hear => Woke::Mqtt(incoming),
            Some((task, told)) = self.told.recv() => Woke::Told(task, told),
            () = at(timer) => Woke::Timer,
            () = at(connect) => Woke::Connect,
            () = at(announce) => Woke::Announce,
            () = at(self.distrust.map(|distrust| distrust.again_at)) => Woke::Distrust,
            () = at(self.write_again_at) => Woke::WriteAgain,
            () = sleep_until(self.save_time_at) => Woke::SaveTime,
            () = at(self.renew_at) => Woke::Renew,
            () = sleep(VETO_CHECK) => Woke::VetoCheck,
        }
    }

    /// Lets the machine decide, and does what follows.
    pub(super) fn handle(&mut self, event: Event) {
        self.session.handle(event, &mut self.clock);
        self.act();
    }

    fn told(&mut self, told: Told) {
        let event = match told {
            Told::Proven(verdict) => {
                self.session.proven(verdict, &mut self.clock);
                return self.act();
            }
            Told::Progress(percent) => Event::DownloadProgress(percent),
            Told::NotFetched(failure) => Event::DownloadFailed(failure),
            Told::ScriptDone { exit, output } => Event::ScriptDone { exit, output },
            Told::ScriptRefused { reason, output } => Event::ScriptRefused { reason, output },
            Told::Fetched { artifacts } => {
                self.storage.artifacts = artifacts;
                Event::Downloaded {
                    plans: plans(&self.storage.artifacts),
                }
            }
        };
        self.handle(event);
    }

    fn save_time(&mut self) {
        self.save_time_at = Instant::now() + SAVE_TIME;
        self.session.save_time(&mut self.clock);
        self.act();
    }

    /// Starts a task in the place of the one before.
    pub(super) fn start_task<F>(&mut self, work: impl FnOnce(Teller) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.stop_task();
        let teller = Teller {
            task: self.task_number,
            sender: self.sender.clone(),
        };
        self.task = Some(task::start(work(teller)));
    }

    pub(super) fn stop_task(&mut self) {
        self.task_number += 1;
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop_task();
    }
}

/// Says that the device has lost its memory, if it has.
fn say_lost(is_lost: bool) {
    if is_lost {
        tracing::error!(
            code = Code::State.as_str(),
            "journal damaged; asking the broker for the last status"
        );
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn incoming(connection: &mut Option<Connection>) -> Incoming {
    match connection {
        Some(connection) => connection.next().await,
        None => std::future::pending().await,
    }
}

fn boot_id(text: &[u8]) -> BootId {
    let [a, b, c, d, e, f, g, h, ..] = sha256(text.trim_ascii());
    BootId([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
