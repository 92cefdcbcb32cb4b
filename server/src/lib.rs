//! The server that `hoist serve` runs: data directory, keys, users, broker, orchestrator and HTTP,
//! joined into one process.
//!
//! Only this crate knows what lies in a data directory. It prints nothing and reads no command
//! line: what fails is a [`failure::Failure`], which a program prints.

pub mod backup;
pub mod broker;
pub mod broker_files;
pub mod client_file;
pub mod closest;
pub mod data_dir;
pub mod denied;
pub mod doctor;
pub mod failure;
pub mod keys;
pub mod lock;
pub mod logins;
mod open_files;
mod people;
pub mod private_file;
pub mod server;
pub mod sinks;
pub mod store_failure;
pub mod tls;
pub mod token;
pub mod toml_file;
pub mod unsigned;
mod users;
