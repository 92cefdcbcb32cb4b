//! Files for brokers that others run: text from the rule table of `protocol::access`, the limits of
//! the front door and the logins that there are. Nothing is read or written here.

pub mod emqx;
mod hash;
pub mod mosquitto;
pub mod nats;
pub mod rabbitmq;
#[cfg(test)]
mod tests;

pub use hoist_protocol::access::CANARIES;
use hoist_protocol::access::{Action, PrincipalKind, RULES, Rule};
use hoist_protocol::id::{DeviceId, Namespace};

use crate::front_door::limits::Limits;

/// The issue of the canaries' tokens, which no registration gives.
pub const CANARY_ISSUE: u32 = 0;

/// The facts that the files of a broker are made from.
#[derive(Debug, Clone)]
pub struct Site {
    /// First level of every topic.
    pub namespace: Namespace,
    /// The folder in which the broker finds the files.
    pub folder: String,
    /// The address on which it listens.
    pub host: String,
    /// The port of devices that come in with a token.
    pub device_port: u16,
    /// The port of people and of the orchestrator.
    pub people_port: u16,
    /// The port of devices that come in with a certificate; absent without a CA of theirs.
    pub certificate_port: Option<u16>,
    /// True if clients speak TLS with it.
    pub is_encrypted: bool,
    /// The limits of clients.
    pub limits: Limits,
    /// Everybody who may come in.
    pub logins: Vec<Login>,
    /// Devices that were removed or revoked: their certificates are good for nothing, which their CA
    /// does not say.
    pub shut_out: Vec<DeviceId>,
}

/// Somebody who may come in.
#[derive(Clone)]
pub struct Login {
    /// The user name.
    pub name: String,
    /// The rules for this client.
    pub party: PrincipalKind,
    /// The secret that it shows.
    pub secret: Secret,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?} {})", self.party, self.name)
    }
}

/// A secret, as far as it is known here.
#[derive(Clone)]
pub enum Secret {
    /// The token itself.
    Token(String),
    /// Its SHA-256 alone, as `users.toml` has it.
    Sha256([u8; 32]),
}

/// The files of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Each with its name in the folder.
    pub files: Vec<TextFile>,
    /// The users whose token is not known, so that no file has a password of theirs.
    pub without_password: Vec<String>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Its name.
    pub name: &'static str,
    /// Its content.
    pub text: String,
    /// True if it is for the broker alone.
    pub is_secret: bool,
}

impl TextFile {
    fn open(name: &'static str, text: String) -> Self {
        Self {
            name,
            text,
            is_secret: false,
        }
    }

    fn secret(name: &'static str, text: String) -> Self {
        Self {
            is_secret: true,
            ..Self::open(name, text)
        }
    }
}

/// The rules of one class of clients.
fn rules(party: PrincipalKind) -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(move |rule| rule.party == party)
}

/// The filter of a rule for whoever is called `own`. `+` stands for a device's shard: its id is
/// behind it.
fn filter(rule: &Rule, namespace: &Namespace, own: &str) -> String {
    format!("{namespace}/{}", rule.pattern.filter("+", own))
}

/// The words of a broker for what a rule allows.
fn word(action: Action, words: [&'static str; 2]) -> &'static str {
    match action {
        Action::Publish => words[0],
        Action::Subscribe => words[1],
    }
}

impl Site {
    fn of(&self, party: PrincipalKind) -> impl Iterator<Item = &Login> {
        self.logins.iter().filter(move |login| login.party == party)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder.trim_end_matches('/'))
    }
}
