//! A plain MQTT 3.1.1 client that remembers the last payload of every topic.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rumqttc::{Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};

use super::PATIENCE;

/// Name and password of a client.
#[derive(Clone, Debug)]
pub struct Login {
    /// User or device id.
    pub user: String,
    /// Its token.
    pub token: String,
}

impl Login {
    /// Reads `user` (or `device`) and `token` from a client.toml or agent.toml.
    pub fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let field = |name: &str| {
            let line = text
                .lines()
                .find(|line| line.split('=').next().unwrap().trim() == name);
            line.map(|line| {
                line.split_once('=')
                    .unwrap()
                    .1
                    .trim()
                    .trim_matches('"')
                    .to_owned()
            })
        };
        let user = field("user").or_else(|| field("device")).unwrap();
        Self {
            user,
            token: field("token").unwrap(),
        }
    }
}

/// One received message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    messages: Vec<Message>,
    last: BTreeMap<String, Vec<u8>>,
    subscribed: Vec<Vec<rumqttc::SubscribeReasonCode>>,
    acknowledged: u32,
    connected: u32,
    lost: u32,
}

/// A connected client.
pub struct Client {
    client: rumqttc::Client,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    user: String,
}

static REQUESTS: AtomicU64 = AtomicU64::new(0);

impl Client {
    /// Connects and waits for the CONNACK.
    pub fn connect(address: &str, id: &str, login: &Login) -> Self {
        let client = Self::open(address, id, login);
        client.wait("the CONNACK", |seen| (seen.connected > 0).then_some(()));
        client
    }

    /// Opens a connection that may be refused.
    pub fn open(address: &str, id: &str, login: &Login) -> Self {
        let (host, port) = address.rsplit_once(':').unwrap();
        let mut options = MqttOptions::new(id, host, port.parse().unwrap());
        options.set_credentials(&login.user, &login.token);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut connection) = rumqttc::Client::new(options, 100);
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for event in connection.iter() {
                let (state, changed) = &*shared;
                let mut state = state.lock().unwrap();
                let ended = event.is_err();
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => state.connected += 1,
                    Ok(Event::Incoming(Packet::PubAck(_))) => state.acknowledged += 1,
                    Ok(Event::Incoming(Packet::SubAck(ack))) => {
                        state.subscribed.push(ack.return_codes)
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let payload = publish.payload.to_vec();
                        state.last.insert(publish.topic.clone(), payload.clone());
                        state.messages.push(Message {
                            topic: publish.topic,
                            payload,
                        });
                    }
                    Ok(_) => {}
                    Err(_) => state.lost += 1,
                }
                changed.notify_all();
                if ended {
                    return;
                }
            }
        });
        Self {
            client,
            seen,
            user: login.user.clone(),
        }
    }

    fn wait<T>(&self, what: &str, mut condition: impl FnMut(&Seen) -> Option<T>) -> T {
        let (state, changed) = &*self.seen;
        let deadline = Instant::now() + PATIENCE;
        let mut state = state.lock().unwrap();
        loop {
            if let Some(value) = condition(&state) {
                return value;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {PATIENCE:?} in vain for {what}");
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until the server has closed the connection.
    pub fn wait_closed(&self) {
        self.wait("the connection to be closed", |seen| {
            (seen.lost > 0).then_some(())
        });
    }

    /// True if the connection is still up.
    pub fn is_open(&self) -> bool {
        self.seen.0.lock().unwrap().lost == 0
    }

    /// True if the server ever let it in.
    pub fn came_in(&self) -> bool {
        self.seen.0.lock().unwrap().connected > 0
    }

    /// Subscribes at QoS 1 and waits for the SUBACK; true when it was granted.
    pub fn subscribe(&self, filter: &str) -> bool {
        let before = self.seen.0.lock().unwrap().subscribed.len();
        self.client.subscribe(filter, QoS::AtLeastOnce).unwrap();
        let codes = self.wait("the SUBACK", |seen| seen.subscribed.get(before).cloned());
        codes
            .iter()
            .all(|code| matches!(code, rumqttc::SubscribeReasonCode::Success(_)))
    }

    /// Publishes at QoS 1.
    pub fn publish(&self, topic: &str, payload: &[u8], retain: bool) {
        self.client
            .publish(topic, QoS::AtLeastOnce, retain, payload)
            .unwrap();
    }

    /// Publishes, retained, and waits for the PUBACK; nothing else may be under way.
    pub fn publish_acknowledged(&self, topic: &str, payload: &[u8]) {
        let before = self.acknowledged();
        self.publish(topic, payload, true);
        self.wait("the PUBACK", |seen| {
            (seen.acknowledged > before).then_some(())
        });
    }

    /// The number of PUBACKs so far.
    pub fn acknowledged(&self) -> u32 {
        self.seen.0.lock().unwrap().acknowledged
    }

    /// Waits for a message on `topic` whose payload `condition` accepts.
    pub fn wait_for<T>(&self, topic: &str, mut condition: impl FnMut(&[u8]) -> Option<T>) -> T {
        self.wait(topic, |seen| condition(seen.last.get(topic)?))
    }

    /// Waits for a JSON message on `topic` that `condition` accepts.
    pub fn wait_json(&self, topic: &str, mut condition: impl FnMut(&Value) -> bool) -> Value {
        self.wait_for(topic, |payload| {
            let value: Value = serde_json::from_slice(payload).ok()?;
            condition(&value).then_some(value)
        })
    }

    /// The last payload seen on a topic.
    pub fn last(&self, topic: &str) -> Option<Vec<u8>> {
        self.seen.0.lock().unwrap().last.get(topic).cloned()
    }

    /// Everything received so far.
    pub fn messages(&self) -> Vec<Message> {
        self.seen.0.lock().unwrap().messages.clone()
    }

    /// Publishes a command under a fresh request id and waits for its reply.
    pub fn command(&self, verb: &str, body: &Value) -> Value {
        let request = format!("t{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
        self.command_as(&request, verb, body.to_string().as_bytes())
    }

    /// Publishes the raw bytes of a command under a request id and waits for a reply.
    pub fn command_as(&self, request: &str, verb: &str, body: &[u8]) -> Value {
        let user = &self.user;
        let reply = format!("hoist/reply/{user}/{request}");
        assert!(self.subscribe(&reply));
        let before = self
            .messages()
            .iter()
            .filter(|message| message.topic == reply)
            .count();
        self.publish(&format!("hoist/cmd/{user}/{request}/{verb}"), body, false);
        self.wait("the reply", |seen| {
            let mut replies = seen
                .messages
                .iter()
                .filter(|message| message.topic == reply);
            serde_json::from_slice(&replies.nth(before)?.payload).ok()
        })
    }

    /// The same, and it must succeed; returns `result`.
    pub fn command_ok(&self, verb: &str, body: &Value) -> Value {
        let reply = self.command(verb, body);
        assert_eq!(reply["ok"], json!(true), "{verb} {body}: {reply}");
        reply["result"].clone()
    }

    /// The same, and it must be refused; returns the code.
    pub fn command_refused(&self, verb: &str, body: &Value) -> String {
        let reply = self.command(verb, body);
        assert_eq!(reply["ok"], json!(false), "{verb} {body}: {reply}");
        let error = &reply["error"];
        assert!(!error["title"].as_str().unwrap().is_empty(), "{reply}");
        error["code"].as_str().unwrap().to_owned()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.client.try_disconnect();
    }
}
