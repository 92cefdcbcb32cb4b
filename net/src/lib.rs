//! The ways over a network: where something is, how it is reached, and how long is waited before
//! the next attempt.
//!
//! Only this crate reads and writes addresses with a scheme, speaks MQTT and HTTP as a client, knows
//! TLS and connects sockets; listeners are the servers'. No type of
//! rumqttc or rustls is in a signature. Nothing is decided here, and nothing is logged.

pub mod backoff;
pub mod endpoint;
#[cfg(feature = "exchange")]
pub mod exchange;
#[cfg(feature = "get")]
pub mod get;
#[cfg(feature = "line")]
pub mod line;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(feature = "tls-server")]
pub mod opening;
#[cfg(feature = "exchange")]
mod silence;
#[cfg(feature = "stream")]
pub mod stream;
#[cfg(feature = "stream")]
pub mod tls;
