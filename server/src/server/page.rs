//! The pages for people, and who may read them without a token.

use std::net::SocketAddr;
use std::sync::Arc;

use hoist_orchestrator::http::{CommandDoor, TokenAuth};
use hoist_orchestrator::live::LiveViews;
use hoist_page::{Opening, PageConfig, Routes, Transport};
use tokio::sync::watch;

use super::ServerConfig;
use crate::people::Registry;
use crate::tls::Encryption;

/// The routes of the pages. Without a token, people of this machine read where it is the only one
/// that the server listens to, nothing is encrypted, and no name is given to it: who names or encrypts a
/// server, or puts it behind a proxy, means it for others.
pub(super) fn routes(
    config: &ServerConfig,
    bound: SocketAddr,
    (registry, commands, live): (&Arc<Registry>, &Arc<dyn CommandDoor>, LiveViews),
    stop: watch::Receiver<bool>,
) -> Routes {
    let transport = match config.encryption {
        Encryption::None => Transport::Plain,
        _ => Transport::Tls,
    };
    let is_alone = bound.ip().is_loopback() && config.names.is_empty();
    let opening = match transport {
        Transport::Plain if is_alone => Opening::ThisMachine,
        Transport::Plain | Transport::Tls => Opening::Nobody,
    };
    hoist_page::router(PageConfig {
        bearers: Arc::clone(registry) as Arc<dyn TokenAuth>,
        commands: Arc::clone(commands),
        live,
        transport,
        opening,
        stop,
    })
}
