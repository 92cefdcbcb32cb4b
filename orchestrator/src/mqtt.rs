//! The connection to the broker: opened, subscribed and opened again for as long as the server
//! runs. Nothing is decided or remembered here.

mod traffic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hoist_net::backoff::Backoff;
use hoist_net::endpoint::Endpoint;
use hoist_net::mqtt::{
    self, Acks, Cause, Ended as Ending, Event, Message, Options, Refusal, Writer,
};
use hoist_net::tls::Trust;
use hoist_orchestrator_core::engine::event::Session;
use hoist_protocol::code::Code;
use hoist_protocol::limit::SERVICE_PACKET_BYTES_MAX;
use hoist_protocol::topic::Topics;
use tokio::sync::mpsc::error::TrySendError;

use crate::health::{Health, Stops};
use crate::metrics::Metrics;
use crate::transport::{
    Connection, Delivery, INCOMING_MAX, Incoming, IncomingReceiver, IncomingSender, Lost, Outgoing,
};

use traffic::Traffic;

/// Messages handed over but not yet written; the loop waits when it is faster.
const REQUESTS_MAX: usize = 1024;
/// Unacknowledged publishes: more is no faster, and bounds what is sent twice.
const INFLIGHT_MAX: u16 = 256;
/// Longest pause between two attempts; the shortest is a random part of the first bound.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// First bound of the pause: a broker that restarts is back within a moment.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The subject of a missing broker, for [`Health`].
pub(crate) const ABOUT: &str = "broker";
/// A reason that stays the same is told again so often.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// A silent broker is noticed within 1.5 times this.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Where and as whom to connect.
#[derive(Clone)]
pub struct MqttLogin {
    /// The broker.
    pub broker: Endpoint,
    /// The CA that it is believed by, for `mqtts`.
    pub trust: Trust,
    /// Fixed, so that the broker keeps one session (`clean_session = false`).
    pub client_id: String,
    /// User name.
    pub user: String,
    /// Token; never logged. A broker without passwords wants none.
    pub token: Option<String>,
    /// True if the broker gives commands a window of their own, so that their acknowledgments
    /// may overtake those of reports. MQTT 3.1.1 (4.6) wants them in the order of delivery.
    pub commands_apart: bool,
}

impl std::fmt::Debug for MqttLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MqttLogin({} at {})", self.user, self.broker)
    }
}

/// Connects, subscribes to `filters` and stays connected until the receiver is dropped. What goes
/// over the connections is counted.
#[must_use]
pub fn connect(
    login: MqttLogin,
    (topics, filters): (Topics, Vec<String>),
    (health, metrics): (Health, Metrics),
) -> IncomingReceiver {
    let (sender, receiver) = tokio::sync::mpsc::channel(INCOMING_MAX);
    let traffic = Traffic::new(topics, metrics);
    tokio::spawn(stay_connected(login, filters, sender, (health, traffic)));
    receiver
}

async fn stay_connected(
    login: MqttLogin,
    filters: Vec<String>,
    incoming: IncomingSender,
    (health, traffic): (Health, Traffic),
) {
    let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MAX);
    let mut told = Told::default();
    while !incoming.is_closed() {
        let ended = tokio::select! {
            // First: a connection that ends with the server was not lost.
            biased;
            () = incoming.closed() => return,
            ended = one_connection((&login, traffic.begin()), &filters, &incoming, &health) => ended,
        };
        traffic.connected(false);
        match ended {
            Ended::Closed => return,
            Ended::Never { reason } => {
                if told.is_news(&reason, Instant::now()) {
                    tracing::warn!(broker = %login.broker, user = login.user, reason, "cannot connect to the broker");
                }
                missing(&health, &login, &reason);
                backoff.lengthen();
            }
            Ended::Lost { reason, usable } => {
                tracing::warn!(broker = %login.broker, user = login.user, reason, "connection to the broker lost");
                told = Told::default();
                let reason = format!("it was lost ({reason}); the broker's log may say why");
                missing(&health, &login, &reason);
                match usable {
                    true => backoff.reset(),
                    false => backoff.lengthen(),
                }
                if incoming.send(Incoming::Disconnected).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(backoff.pause().mul_f64(random_part())).await;
    }
}

/// The reason that was logged last: while it stays the same, it is not logged at each attempt.
#[derive(Default)]
struct Told(Option<(String, Instant)>);

impl Told {
    fn is_news(&mut self, reason: &str, now: Instant) -> bool {
        let is_known = self
            .0
            .as_ref()
            .is_some_and(|(last, at)| last == reason && now < *at + TOLD_EVERY);
        if !is_known {
            self.0 = Some((reason.to_owned(), now));
        }
        !is_known
    }
}

/// There is no broker: nothing is told to devices, and nothing heard of them.
fn missing(health: &Health, login: &MqttLogin, reason: &str) {
    let at = login.broker.authority();
    let detail = format!("no connection to the broker at {at}: {reason}");
    health.begin(ABOUT, Code::Broker, &detail, Stops::Server);
}

/// A number from 0 to 1 for full jitter. Not secret: it only spreads reconnects.
fn random_part() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

/// The end of a connection.
enum Ended {
    /// There never was one.
    Never { reason: String },
    /// There was one; `usable` when every subscription was granted.
    Lost { reason: String, usable: bool },
    /// Nobody listens any more.
    Closed,
}

async fn one_connection(
    (login, traffic): (&MqttLogin, Traffic),
    filters: &[String],
    incoming: &IncomingSender,
    health: &Health,
) -> Ended {
    let (writer, events) = mqtt::open(Options {
        broker: login.broker.clone(),
        trust: login.trust.clone(),
        client_id: login.client_id.clone(),
        user: login.user.clone(),
        token: login.token.clone().unwrap_or_default(),
        keep_alive: KEEP_ALIVE,
        session: mqtt::Session::Kept,
        acks: Acks::Manual,
        inflight_max: Some(INFLIGHT_MAX),
        packet_bytes_max: SERVICE_PACKET_BYTES_MAX,
        requests_max: REQUESTS_MAX,
        will: None,
    });
    let link: Arc<dyn Connection> = Arc::new(Link {
        writer: writer.clone(),
        traffic: traffic.clone(),
    });
    let mut reader = Reader {
        writer,
        link,
        filters,
        granted: 0,
        incoming,
        health,
        traffic,
    };
    reader.read(events).await
}

struct Link {
    writer: Writer,
    traffic: Traffic,
}

#[async_trait]
impl Connection for Link {
    async fn publish(&self, message: Outgoing) -> Result<(), Lost> {
        let Outgoing {
            topic,
            payload,
            retain,
        } = message;
        self.traffic.goes(&topic);
        let message = Message {
            topic,
            payload,
            retain,
        };
        self.writer.publish(message).await.map_err(|_| Lost)
    }

    /// Only a subscription brings what is retained. It ends at once: the wildcard ones go
    /// on, and a broker delivers once or twice, as it likes.
    async fn read(&self, topic: String) -> Result<(), Lost> {
        let asked = self.writer.subscribe(&topic).await;
        asked.map_err(|_| Lost)?;
        self.writer.unsubscribe(&topic).await.map_err(|_| Lost)
    }

    async fn acknowledge(&self, packet: u16) -> Result<(), Lost> {
        self.traffic.acknowledged(packet);
        self.writer.acknowledge(packet).await.map_err(|_| Lost)
    }
}

/// Reads one connection until it ends.
struct Reader<'a> {
    writer: Writer,
    link: Arc<dyn Connection>,
    filters: &'a [String],
    /// Subscriptions granted so far.
    granted: usize,
    incoming: &'a IncomingSender,
    health: &'a Health,
    traffic: Traffic,
}

impl Reader<'_> {
    /// Reading is not cancel-safe: nothing but the end of everything may interrupt it.
    async fn read(&mut self, mut events: mqtt::Reader) -> Ended {
        let mut connected = false;
        loop {
            let event = match events.next().await {
                Ok(event) => event,
                Err(ending) if connected => return self.lost(&describe(&ending)),
                Err(ending) => {
                    let reason = describe(&ending);
                    return Ended::Never { reason };
                }
            };
            connected |= matches!(event, Event::Connected { .. });
            if let Err(ended) = self.event(event) {
                return ended;
            }
        }
    }

    fn event(&mut self, event: Event) -> Result<(), Ended> {
        match event {
            Event::Connected { resumed } => self.subscribe(match resumed {
                true => Session::Resumed,
                false => Session::Fresh,
            }),
            Event::Subscribed { granted: false } => Err(self.lost("a subscription was refused")),
            Event::Subscribed { granted: true } => {
                self.granted += 1;
                if self.granted == self.filters.len() {
                    self.health.end(ABOUT);
                    self.traffic.connected(true);
                    self.tell(Incoming::Subscribed)?;
                }
                Ok(())
            }
            Event::Delivered(delivered) => {
                let certain = delivered.packet.is_some();
                self.traffic.came(&delivered.topic, delivered.packet);
                let delivery = Incoming::Delivery(Delivery {
                    topic: delivered.topic,
                    payload: delivered.payload,
                    retained: delivered.retained,
                    again: delivered.again,
                    packet: delivered.packet,
                });
                match self.tell(delivery) {
                    // Only a flood at QoS 0 fills the channel; it may be lost by contract.
                    Err(_) if !certain && !self.incoming.is_closed() => Ok(()),
                    told => told,
                }
            }
            Event::Written(_) | Event::Acknowledged(_) | Event::Closed => Ok(()),
        }
    }

    /// Subscribes to everything, whatever the broker remembers of the session: that is always
    /// right.
    fn subscribe(&mut self, session: Session) -> Result<(), Ended> {
        self.tell(Incoming::Connected(Arc::clone(&self.link), session))?;
        for filter in self.filters {
            // The request channel is new and far larger than the number of filters.
            self.writer
                .try_subscribe(filter)
                .map_err(|_| self.lost("the request channel is full"))?;
        }
        Ok(())
    }

    fn lost(&self, reason: &str) -> Ended {
        Ended::Lost {
            reason: reason.to_owned(),
            // What is read once is subscribed to as well.
            usable: self.granted >= self.filters.len(),
        }
    }

    fn tell(&self, news: Incoming) -> Result<(), Ended> {
        self.incoming.try_send(news).map_err(|error| match error {
            TrySendError::Closed(_) => Ended::Closed,
            TrySendError::Full(_) => self.lost("the loop is too slow"),
        })
    }
}

fn describe(ending: &Ending) -> String {
    match ending.cause {
        Cause::Refused(Refusal::BadUserNamePassword | Refusal::NotAuthorized) => {
            "it refuses the orchestrator's name or password".to_owned()
        }
        Cause::Refused(code) => format!("refused: {code:?}"),
        // The sentence of a device, which has another file, is of no use here.
        Cause::Tls(ref error) if error.code() == Code::CertificateIssuer => {
            "its certificate was made by no CA in the file of --broker-ca: name the one of the broker's own CA".to_owned()
        }
        _ => ending.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_logged_when_it_is_another_one_and_once_a_minute() {
        let mut told = Told::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(told.is_news("nobody answers", at(0)));
        assert!(!told.is_news("nobody answers", at(5)));
        assert!(told.is_news("another CA", at(6)));
        assert!(told.is_news("nobody answers", at(7)));
        assert!(!told.is_news("nobody answers", at(66)));
        assert!(told.is_news("nobody answers", at(67)));
    }
}
