//! What must be impossible at a broker is tried: by two devices that no fleet has, a user and, where
//! its password is known, the orchestrator. Only topics that no fleet uses are written, and nothing
//! stays behind.

mod delivery;
mod doors;
mod peer;
mod report;
mod rights;

use std::fmt;

use hoist_broker_config::render::{CANARIES, CANARY_ISSUE};
use hoist_net::endpoint::Endpoint;
use hoist_net::mqtt::{Cause, Ended};
use hoist_net::tls::Trust;
use hoist_protocol::access::Principal;
use hoist_protocol::code::Code;
use hoist_protocol::id::{DeviceId, Namespace, RequestId, UserId};
use hoist_protocol::topic::{Topic, Topics};

pub use report::{Check, Found, RISKS, Report, Severity};

use crate::failure::{Failure, of_tls};

/// The broker that is examined, and who is known there.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Where people and the orchestrator come in.
    pub broker: Endpoint,
    /// Where devices do.
    pub devices: Endpoint,
    /// The CA that the broker is believed by.
    pub trust: Trust,
    /// First level of every topic.
    pub namespace: Namespace,
    /// The tokens of the canaries; absent without the key of device tokens.
    pub canaries: Option<[Login; 2]>,
    /// A user.
    pub user: Option<Login>,
    /// The orchestrator.
    pub orchestrator: Option<Login>,
    /// The command that restarts the broker.
    pub restart: Option<String>,
    /// How much is tried.
    pub form: Form,
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// What takes less than a second.
    Quick,
    /// Everything.
    Whole,
}

/// A name and its token.
#[derive(Clone)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub token: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

impl Login {
    /// The canaries, by the function that makes a device's token.
    pub fn canaries(token: impl Fn(&DeviceId, u32) -> String) -> Option<[Self; 2]> {
        let login = |name: &str| {
            let device: DeviceId = name.parse().ok()?;
            let (user, token) = (name.to_owned(), token(&device, CANARY_ISSUE));
            Some(Self { user, token })
        };
        Some([login(CANARIES[0])?, login(CANARIES[1])?])
    }
}

/// Tries everything.
///
/// # Errors
/// `E_BROKER` and `E_TLS` with its siblings for a broker that cannot be reached.
pub async fn examine(subject: &Subject) -> Result<Report, Failure> {
    let mut report = Report::default();
    doors::encryption(subject, &mut report);
    doors::anonymous(subject, &mut report).await?;
    doors::passwords(subject, &mut report).await?;
    doors::takeover(subject, &mut report).await?;
    rights::examine(subject, &mut report).await?;
    delivery::examine(subject, &mut report).await?;
    Ok(report)
}

/// Nobody is there to examine.
fn unreachable(at: &Endpoint, ended: &Ended) -> Failure {
    match &ended.cause {
        Cause::Tls(error) if error.code() == Code::CertificateIssuer => {
            let what = format!("the certificate of {at} was made by no CA that is trusted here");
            Failure::new(error.code(), what).help("name the broker's own CA with --broker-ca")
        }
        Cause::Tls(error) => of_tls(error),
        _ => Failure::new(Code::Broker, format!("no broker answers at {at}: {ended}"))
            .help("start the broker, or name its address with --broker"),
    }
}

/// The topics that no fleet uses.
struct Places {
    topics: Topics,
    other: DeviceId,
}

impl Places {
    fn of(subject: &Subject) -> Option<Self> {
        Some(Self {
            topics: Topics::new(subject.namespace.clone()),
            other: CANARIES[1].parse().ok()?,
        })
    }

    fn format(&self, topic: &Topic) -> String {
        self.topics.format(topic)
    }

    /// Where only the other device writes.
    fn of_other(&self) -> Vec<String> {
        let other = || self.other.clone();
        let topics = [Topic::Status(other()), Topic::Presence(other())];
        topics.iter().map(|topic| self.format(topic)).collect()
    }

    /// Where only the server writes.
    fn of_server(&self) -> Vec<String> {
        let group = CANARIES[0].parse().map(Topic::GroupSpec).ok();
        let spec = Some(Topic::DeviceSpec(self.other.clone()));
        let root = Some(Topic::Root(u32::MAX));
        let topics = [group, spec, root, self.blocks_topic(0)];
        let named = topics.iter().flatten();
        named.map(|topic| self.format(topic)).collect()
    }

    /// Blocks of an artifact that nobody has: only the server writes there, and every device reads.
    fn blocks(&self, number: usize) -> Option<String> {
        self.blocks_topic(number).map(|topic| self.format(&topic))
    }

    fn blocks_topic(&self, number: usize) -> Option<Topic> {
        let id = format!("ca7a2700{number:024x}");
        id.parse().map(Topic::Blocks).ok()
    }

    /// Where the other device says what it needs, which nobody listens to.
    fn needs(&self) -> String {
        self.format(&Topic::Needs(self.other.clone()))
    }

    /// A command that changes nothing, and where it is answered.
    fn question(&self, user: &str, request: &str) -> Option<(String, String)> {
        let user: UserId = user.parse().ok()?;
        let request: RequestId = request.parse().ok()?;
        let command = Topic::Command {
            user: user.clone(),
            request: request.clone(),
            verb: "group-list".parse().ok()?,
        };
        let reply = Topic::Reply { user, request };
        Some((self.format(&command), self.format(&reply)))
    }
}

/// Who a login is by the rule table.
fn device(login: &Login) -> Option<Principal> {
    login.user.parse().map(Principal::Device).ok()
}
