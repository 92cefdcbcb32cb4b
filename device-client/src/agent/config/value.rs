//! Single values of `agent.toml`, from text.

use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use hoist_net::endpoint::{Endpoint, Scheme};

use super::Broker;

pub(super) fn parse_broker(text: &str) -> Option<Broker> {
    let at = Endpoint::parse(text).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let is_whole = at.path() == "/" && !at.authority().ends_with(':');
    let is_broker = at.scheme() == Scheme::Mqtt && is_whole && at.host().chars().all(plain);
    is_broker.then(|| Broker {
        host: at.host().to_owned(),
        port: at.port(),
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
