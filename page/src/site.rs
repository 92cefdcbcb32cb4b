//! State that all pages share.

use std::fmt;
use std::sync::Arc;

use hoist_orchestrator::http::{CommandDoor, TokenAuth};
use hoist_orchestrator::live::LiveViews;
use tokio::sync::watch;

use crate::live::Hub;
use crate::session::Sessions;

/// The way in which a browser reaches the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Nothing is encrypted, on this machine alone.
    Plain,
    /// TLS.
    Tls,
}

/// The people who may read without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Everybody on this machine: the server listens nowhere else, and goes by no name.
    ThisMachine,
    /// Nobody.
    Nobody,
}

/// The surroundings of the pages.
#[derive(Clone)]
pub struct PageConfig {
    /// Tokens.
    pub bearers: Arc<dyn TokenAuth>,
    /// The way into the loop.
    pub commands: Arc<dyn CommandDoor>,
    /// Views as they are published.
    pub live: LiveViews,
    /// Whether cookies are only for TLS.
    pub transport: Transport,
    /// Who reads without a token.
    pub opening: Opening,
    /// True once the server is to stop.
    pub stop: watch::Receiver<bool>,
}

impl fmt::Debug for PageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageConfig").finish_non_exhaustive()
    }
}

/// The state of the pages. Clones are the same.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) config: Arc<PageConfig>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) hub: Hub,
}

impl Site {
    pub(crate) fn new(config: PageConfig) -> Self {
        Self {
            hub: Hub::new(config.live.clone(), config.stop.clone()),
            config: Arc::new(config),
            sessions: Arc::default(),
        }
    }
}
