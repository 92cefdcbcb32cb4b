//! The content that a server finds in its data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use hoist_net::tls::server::Acceptor;
use hoist_orchestrator::artifacts::{ArtifactDirectory, UploadLimits};
use hoist_orchestrator::config::Directory as _;
use hoist_orchestrator::events::EventNews;
use hoist_orchestrator::health::Health;
use hoist_orchestrator::http::Hosts;
use hoist_orchestrator::metrics::Metrics;
use hoist_orchestrator::revocation;
use hoist_orchestrator::specs::SpecFolder;
use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator::store::{Fault, Store, StoreError};
use hoist_orchestrator_core::model::now::Mode;
use hoist_protocol::code::Code;
use hoist_protocol::id::{Generation, Namespace};
use tokio::task::JoinSet;

use super::ServerConfig;
use super::key_watch::KeyWatch;
use crate::broker::BrokerConfig;
use crate::data_dir::{DataDir, Found, Opened};
use crate::failure::Failure;
use crate::people::Registry;
use crate::sinks::Follower;
use crate::store_failure::store_failure;
use crate::tls::{Place, Shown};
use crate::users::Users;

/// Opens what the data directory holds. A recovery puts a store that cannot be used aside.
pub(super) fn open(
    data_dir: &DataDir,
    config: &ServerConfig,
    aside: &mut Option<PathBuf>,
) -> Result<Opened<Arc<SledStore>>, Failure> {
    let recovers = config.mode == Mode::Recovering;
    let store = |path: &Path, found: Found| {
        let opened = match found {
            Found::Nothing => SledStore::create(path),
            Found::Store => match SledStore::open(path) {
                Err(error) if recovers => match lost(&error) {
                    Some(origin) => {
                        data_dir.begin_recovery(&origin)?;
                        *aside = data_dir.move_store_aside()?;
                        SledStore::create(path)
                    }
                    None => Err(error),
                },
                opened => opened,
            },
        };
        let opened = opened.map(Arc::new);
        opened.map_err(|error| store_failure(&error, data_dir))
    };
    let (namespace, mode) = (&config.namespace, config.mode);
    data_dir.open(
        (namespace, mode),
        now(),
        config.broker.address(),
        config.http,
        store,
    )
}

/// Why a recovery makes a new store, when this one cannot be used.
fn lost(error: &StoreError) -> Option<String> {
    match error.fault() {
        Fault::Missing => Some("the store is missing".to_owned()),
        Fault::Damaged => Some(format!("the store was damaged ({})", error.why())),
        Fault::Format | Fault::Io(_) => None,
    }
}

/// Where the parts of a server say how they are.
pub(super) fn told() -> (Health, Metrics, EventNews) {
    (Health::default(), Metrics::default(), EventNews::default())
}

/// Where artifacts are, and what was signed.
pub(super) fn folders(
    data_dir: &DataDir,
    uploads: UploadLimits,
    health: &Health,
) -> Result<(ArtifactDirectory, SpecFolder), Failure> {
    let artifacts = ArtifactDirectory::open(&data_dir.artifacts())
        .map_err(|error| Failure::because(Code::DataDir, "artifacts", &error))?;
    let specs = SpecFolder::open(&data_dir.specs())
        .map_err(|error| Failure::because(Code::DataDir, "specs", &error))?;
    Ok((artifacts.limited(uploads).telling(health.clone()), specs))
}

/// The registry of all that may come in: people, and every device that was not removed.
pub(super) async fn registry(
    namespace: &Namespace,
    (token_key, users): ([u8; 32], Users),
    store: &dyn Store,
) -> Result<Arc<Registry>, Failure> {
    let registry = Registry::new(namespace.clone(), token_key, users);
    let revoked = revocation::all(store)
        .await
        .map_err(|error| Failure::because(Code::Store, "the store cannot be used", &error))?;
    registry.revoke_all(revoked);
    let claims = revocation::claims(store).await;
    registry.claims_are(
        claims
            .map_err(|error| Failure::because(Code::Store, "the store cannot be used", &error))?,
    );
    let registry = Arc::new(registry);
    let watched = registry.watch();
    watched.map_err(|error| Failure::because(Code::System, "cannot start a thread", &error))?;
    Ok(registry)
}

/// The certificate that is shown, if anything is encrypted; devices get theirs then.
pub(super) fn certificate(
    data_dir: &DataDir,
    config: &ServerConfig,
    registry: &Registry,
) -> Result<Option<Shown>, Failure> {
    let place = Place {
        folder: data_dir.authority(),
        client: data_dir.client(),
    };
    let shown = Shown::open((&config.encryption, &config.tls), &config.names, place)?;
    if let Some(shown) = &shown {
        registry.certify_by(Arc::clone(&shown.devices), Arc::clone(&shown.accepted));
    }
    Ok(shown)
}

/// The encryption of HTTP, and that of MQTT, where devices may show certificates.
pub(super) fn acceptors(shown: Option<&Shown>) -> (Option<Acceptor>, Option<Acceptor>) {
    let acceptors = shown.map(|shown| (shown.acceptor.clone(), shown.asking.clone()));
    acceptors.unzip()
}

/// Tells sinks of events, from the history.
pub(super) fn follower(
    (data_dir, config): (&DataDir, &ServerConfig),
    store: &Arc<SledStore>,
    (health, metrics, news): (Health, Metrics, EventNews),
) -> Follower {
    Follower {
        data_dir: data_dir.root().to_owned(),
        store: Arc::clone(store),
        news,
        namespace: config.namespace.clone(),
        health,
        metrics,
    }
}

/// Looks after certificate, keys and sinks until the result is dropped.
pub(super) fn looked_after(
    shown: Option<Shown>,
    (key_watch, follower): (KeyWatch, Follower),
    hosts: Hosts,
) -> JoinSet<()> {
    let mut looking = JoinSet::new();
    let (health, metrics) = (follower.health.clone(), follower.metrics.clone());
    looking.spawn(key_watch.run());
    looking.spawn(follower.run());
    if let Some(shown) = shown {
        looking.spawn(shown.counted_in(metrics).watch(health, hosts));
    }
    looking
}

/// The CAs of the server and of its broker, which clients pin, as PEM.
pub(super) fn pinned(shown: Option<&Shown>, broker: &BrokerConfig) -> Option<String> {
    let cas = [shown.map(|shown| shown.ca.as_str()), broker.ca()];
    let cas: String = cas.into_iter().flatten().collect();
    (!cas.is_empty()).then_some(cas)
}

fn now() -> Generation {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Generation(u64::try_from(millis).unwrap_or(u64::MAX))
}
