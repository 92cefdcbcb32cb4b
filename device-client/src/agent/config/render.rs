//! Writes the `agent.toml` of a new device.

use hoist_protocol::id::{DeviceId, Namespace};
use serde::Serialize;

/// The facts that `hoist device add` knows of a new device.
#[derive(Debug, Clone, Serialize)]
pub struct NewAgent<'a> {
    /// The device.
    pub device: &'a DeviceId,
    /// Left out when it is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<&'a Namespace>,
    /// `mqtt://host:port`, or `mqtts`.
    pub broker: &'a str,
    /// The CA of broker and artifacts as PEM, for `mqtts` and `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<&'a str>,
    /// The file of its certificate, where that takes the place of a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<&'a str>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a str>,
    /// SHA-256 of the root document, in hex.
    pub root_sha256: &'a str,
    /// Its number; left out when it is the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_number: Option<u32>,
    /// Base URL of artifacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<&'a str>,
    /// The type of the device.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub device_type: Option<&'a str>,
}

/// The text of an `agent.toml` that [`super::AgentConfig::load`] reads.
#[must_use]
pub fn render(agent: &NewAgent<'_>) -> String {
    // A flat struct of strings always serializes.
    let body = toml::to_string(agent).unwrap_or_default();
    match agent.token {
        Some(_) => format!("# Holds this device's password: keep it private (chmod 600).\n{body}"),
        None => body,
    }
}
