//! The Linux agent: MQTT, HTTP, files and processes around the pure machine. It decides
//! nothing about an update; it does what the machine says and tells it what happened.

pub mod bundle;
pub mod config;
pub mod download;
pub mod files;
pub mod identity;
pub mod inventory;
pub mod journal;
pub mod pairs;
pub mod preflight;
pub mod program;
pub mod said;
pub mod script;
pub mod storage;
pub mod strict_toml;

#[cfg(test)]
mod hello_tests;

mod act;
mod apply;
mod check;
mod cli;
mod clock;
mod confirm;
mod connect;
mod distrust;
#[cfg(feature = "tls")]
mod enroll;
mod environment;
mod fetch_release;
mod inbox;
mod local_release;
mod log;
mod mqtt;
mod orphaned;
mod ready;
#[cfg(feature = "tls")]
mod renew;
mod root_chain;
mod runner;
mod script_context;
mod show;
mod shown;
mod state_dir;
mod task;
mod text_source;
mod trust;
mod veto;
mod work;

pub use apply::ApplyError;
pub use cli::{check_arguments, run_cli};
pub use runner::{AgentError, run};
pub use state_dir::StateDirError;
