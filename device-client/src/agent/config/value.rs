//! Single values of `agent.toml`, from text.

use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::{Broker, MQTT_PORT};

pub(super) fn parse_broker(text: &str) -> Option<Broker> {
    let address = text.strip_prefix("mqtt://")?;
    let address = address.strip_suffix('/').unwrap_or(address);
    let bracketed = address.ends_with(']');
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !bracketed => (host, port.parse().ok()?),
        _ => (address, MQTT_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    (!host.is_empty() && host.chars().all(plain)).then(|| Broker {
        host: host.to_owned(),
        port,
    })
}

pub(super) fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}

pub(super) fn parse_keep_alive(text: &str) -> Option<Duration> {
    // MQTT has 16 bits of seconds; below 5 s the client refuses.
    let range = Duration::from_secs(5)..=Duration::from_secs(65_535);
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| range.contains(duration))
}
