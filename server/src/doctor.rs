//! What must be impossible at a broker is tried: by two devices that no fleet has, a user and, where
//! its password is known, the orchestrator. Only topics that no fleet uses are written, and nothing
//! stays behind.

mod delivery;
mod doors;
mod peer;
mod report;
mod restart;
mod rights;

use std::fmt;
use std::time::Duration;

use hoist_broker_config::render::{CANARIES, CANARY_ISSUE};
use hoist_net::endpoint::Endpoint;
use hoist_net::mqtt::{Cause, Ended};
use hoist_net::tls::Trust;
use hoist_protocol::access::Principal;
use hoist_protocol::code::Code;
use hoist_protocol::id::{DeviceId, Namespace, RequestId, UserId};
use hoist_protocol::topic::{Topic, Topics};
use tokio::time::timeout;

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

impl Form {
    /// A healthy broker takes a tenth of it.
    fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Self::Quick => 30,
            Self::Whole => 120,
        })
    }
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

/// Tries everything, as far as a slow or silent broker lets it come in the time of the form.
///
/// # Errors
/// `E_BROKER` and `E_TLS` with its siblings for a broker that cannot be reached.
pub async fn examine(subject: &Subject) -> Result<Report, Failure> {
    examine_within(subject, subject.form.patience()).await
}

async fn examine_within(subject: &Subject, patience: Duration) -> Result<Report, Failure> {
    let mut report = Report::default();
    let ended = timeout(patience, try_all(subject, &mut report)).await;
    if report.has_retained {
        report.is_left_behind = !delivery::clear(subject).await;
    }
    match ended {
        Ok(ended) => ended?,
        Err(_) => report.cut_off(format!(
            "the broker is too slow, or silent: not everything was tried within {patience:?}"
        )),
    }
    Ok(report)
}

async fn try_all(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    doors::encryption(subject, report);
    doors::anonymous(subject, report).await?;
    if report.cut_off.is_some() {
        return Ok(());
    }
    doors::passwords(subject, report).await?;
    doors::takeover(subject, report).await?;
    rights::examine(subject, report).await?;
    delivery::examine(subject, report).await
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hoist_net::endpoint::Scheme;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A broker that lets everybody in and says nothing more.
    async fn silent_broker() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut input = [0; 1_024];
                    let _hello = stream.read(&mut input).await;
                    let _answer = stream.write_all(&[0x20, 2, 0, 0]).await;
                    while stream.read(&mut input).await.is_ok_and(|read| read > 0) {}
                });
            }
        });
        address
    }

    /// A broker that lets in who has a token, and ends a connection once anything else is said on it.
    async fn curt_broker() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut input = [0; 1_024];
                    let read = stream.read(&mut input).await.unwrap_or_default();
                    let mut said = input[..read].windows(7);
                    let code = if said.any(|text| text == b"a token") {
                        0
                    } else {
                        5
                    };
                    let _answer = stream.write_all(&[0x20, 2, 0, code]).await;
                    let _more = stream.read(&mut input).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_broker_at_which_serious_things_cannot_be_tried_is_not_called_safe() {
        let report = examine(&subject(curt_broker().await)).await.unwrap();
        assert_eq!(report.serious().count(), 0, "{report:?}");
        let forged = report.checks.iter().find(|it| it.id == "foreign-status");
        assert!(
            matches!(forged.unwrap().found, Found::Untried(_)),
            "{report:?}"
        );
        assert!(report.cut_off.is_some() && !report.is_ok(), "{report:?}");
    }

    #[test]
    fn what_is_lost_counts_where_it_is_serious_and_the_canaries_are_known() {
        let report = |canary: Option<String>, probe| {
            let mut report = Report::default();
            report.judge(report::CANARY, canary);
            report.lost(&[probe], "it ended");
            report.is_ok()
        };
        assert!(!report(None, report::FORGED));
        assert!(report(None, report::SYS));
        assert!(report(Some("not let in".to_owned()), report::FORGED));
    }

    fn subject(address: SocketAddr) -> Subject {
        let broker = Endpoint::of(Scheme::Mqtt, "127.0.0.1", address.port());
        let login = |user: &str| Login {
            user: user.to_owned(),
            token: "a token".to_owned(),
        };
        Subject {
            devices: broker.clone(),
            broker,
            trust: Trust::default(),
            namespace: "hoist".parse().unwrap(),
            canaries: Some(CANARIES.map(login)),
            user: Some(login("admin")),
            orchestrator: Some(login("orchestrator")),
            restart: None,
            form: Form::Quick,
        }
    }

    #[tokio::test]
    async fn a_broker_that_says_nothing_more_is_not_waited_for_and_not_called_safe() {
        let subject = subject(silent_broker().await);
        let patience = Duration::from_millis(500);
        let report = examine_within(&subject, patience).await.unwrap();
        assert!(report.cut_off.is_some() && !report.is_ok(), "{report:?}");
        let untried = |check: &Check| matches!(check.found, Found::Untried(_));
        assert!(report.checks.iter().any(untried));
        assert_eq!(report.checks.len(), 20, "each is told of: {report:?}");
    }
}
