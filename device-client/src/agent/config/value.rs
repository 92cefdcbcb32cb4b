//! Single values of `agent.toml`, from text.

use std::fmt;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use hoist_net::endpoint::{Endpoint, EndpointError, Scheme};

/// A password.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The broker, or what is wrong with the text.
pub(super) fn parse_broker(text: &str) -> Result<Endpoint, String> {
    let wrong = || format!("broker is {text:?}, expected mqtts://host:port or mqtt://host:port");
    let at = match Endpoint::parse(text) {
        Ok(at) => at,
        // It may be a password: it is not repeated.
        _ if text.contains('@') => {
            return Err("broker holds a user name or password, expected mqtt://host:port: the device is the user, its token the password".to_owned());
        }
        Err(EndpointError::Encrypted(_)) => {
            return Err(format!(
                "broker is {text:?}, and this agent was built without TLS"
            ));
        }
        Err(_) => return Err(wrong()),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let is_whole = at.path() == "/" && !at.authority().ends_with(':');
    let is_mqtt = at.scheme().encrypted() == Scheme::Mqtts;
    let is_broker = is_mqtt && is_whole && at.host().chars().all(plain);
    is_broker.then_some(at).ok_or_else(wrong)
}

pub(super) fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// The first where none is written.
pub(super) fn parse_root_number(written: Option<u64>) -> Option<u32> {
    u32::try_from(written.unwrap_or(1))
        .ok()
        .filter(|number| *number > 0)
}

pub(super) fn parse_keep_alive(text: &str) -> Option<Duration> {
    // MQTT has 16 bits of seconds; below 5 s the client refuses.
    let range = Duration::from_secs(5)..=Duration::from_secs(65_535);
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| range.contains(duration))
}

/// True if a file with these permissions is its owner's alone.
pub(super) fn is_private(mode: u32) -> bool {
    mode & 0o077 == 0
}
