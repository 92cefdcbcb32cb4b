//! The server in one process: data directory, embedded broker, orchestrator and HTTP,
//! joined in the order that makes "ready" mean ready. Used by `serve` and by the demo.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hoist_broker_config::{EmbeddedBroker, FrontDoorConfig, Limits, StartError};
use hoist_protocol::id::{Generation, Namespace};
use tokio::net::TcpListener;

use crate::data_dir::{Announced, DataDir, ReadyFile};
use crate::failure::Failure;
use crate::people;
use crate::user::random_token;

/// How to start.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    pub(crate) data_dir: PathBuf,
    /// Port 0 takes a free one.
    pub(crate) mqtt: SocketAddr,
    /// Port 0 takes a free one.
    pub(crate) http: SocketAddr,
    pub(crate) namespace: Namespace,
    /// Contact may be lost for this long before it is shown (S6).
    pub(crate) grace: Duration,
    /// No timer fires this soon after connecting (S7).
    pub(crate) settle: Duration,
}
