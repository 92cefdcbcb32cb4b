//! The operator's side of the commands: JSON over MQTT, as any stock client could do it.
//! A command is repeated under its request id until it is answered, because one that was
//! sent while nobody listened is gone.

pub(crate) mod agent_file;
mod connect;
pub(crate) mod found;
pub(crate) mod mqtt;
pub(crate) mod upload;

use std::time::Duration;

use bytes::Bytes;
use connect::connect;
use hoist_orchestrator_core::api::command::{Verb, VerbEffect};
use hoist_protocol::code::Code;
use hoist_protocol::id::RequestId;
use hoist_protocol::topic::{Topic, Topics};
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::client::mqtt::{Broker, Connection, Event, Lost, Message};

/// A command is sent again when its answer is not there after this time; executing it
/// once is the orchestrator's promise.
const REPEAT_EVERY: Duration = Duration::from_secs(2);
/// Pause before a query is sent again of which the server has too many.
const BUSY: Duration = Duration::from_secs(1);

/// The time to try before giving up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the first connection: zero tries once.
    pub(crate) connect: Duration,
    /// For an answer, lost connections included.
    pub(crate) answer: Duration,
}

impl Patience {
    /// A person at a terminal: learns at once that there is no server.
    pub(crate) const PERSON: Self = Self {
        connect: Duration::ZERO,
        answer: Duration::from_secs(30),
    };
    /// A long-running program: outlives restarts of the server.
    pub(crate) const PROGRAM: Self = Self {
        connect: Duration::from_secs(60),
        answer: Duration::from_secs(120),
    };
}

/// A connected operator.
pub(crate) struct Client {
    file: ClientFile,
    broker: Broker,
    topics: Topics,
    patience: Patience,
    connection: Connection,
    watched: Vec<String>,
    /// The messages on watched filters that came while an answer was waited for: the last of each
    /// topic.
    meanwhile: Vec<(String, Bytes)>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// `E_CONFIG`, `E_AUTH` or `E_BROKER`.
    pub(crate) async fn connect(file: ClientFile, patience: Patience) -> Result<Self, Failure> {
        let broker = Broker::of(&file)?;
        let until = Instant::now() + patience.connect;
        let connection = connect(&broker, &file, until).await?;
        Ok(Self {
            topics: Topics::new(file.namespace.clone()),
            file,
            broker,
            patience,
            connection,
            watched: Vec::new(),
            meanwhile: Vec::new(),
        })
    }

    /// The topics of its namespace.
    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Sends a command and returns its result.
    ///
    /// # Errors
    /// What the server answered, `E_WAIT` without an answer, `E_ROLE` if the broker lets nobody hear
    /// one, `E_BROKER` without a broker.
    pub(crate) async fn command(
        &mut self,
        verb: Verb,
        body: &impl Serialize,
    ) -> Result<Value, Failure> {
        let reads = verb.effect() == VerbEffect::Reads;
        let verb = verb.word();
        let body = serde_json::to_vec(body).map_err(|error| {
            Failure::because(Code::Command, format!("cannot encode {verb}"), &error)
        })?;
        let request = request_id()?;
        let user = self.file.user.clone();
        let reply = self.topics.format(&Topic::Reply {
            user: user.clone(),
            request: request.clone(),
        });
        let verb_level = verb
            .parse()
            .map_err(|error| Failure::because(Code::Command, format!("verb {verb}"), &error))?;
        let command = Message {
            topic: self.topics.format(&Topic::Command {
                user,
                request,
                verb: verb_level,
            }),
            payload: body,
            retain: false,
        };
        let until = Instant::now() + self.patience.answer;
        loop {
            match self.exchange(&reply, &command, until).await {
                Ok(Heard::Answer(payload)) => match read_reply(verb, &payload) {
                    // Whoever only reads does as it is told: it comes again.
                    Err(busy) if reads && is_busy(&busy) && Instant::now() + BUSY < until => {
                        tokio::time::sleep(BUSY).await;
                    }
                    read => return read,
                },
                Ok(Heard::Refused(filter)) => return Err(unheard(&filter)),
                Ok(Heard::Nothing) => {
                    return Err(Failure::new(Code::Wait, format!("no answer to {verb} in time"))
                        .help("the broker is there but the orchestrator does not answer; look at the server's log"));
                }
                Err(Lost) => self.resume(until).await?,
            }
        }
    }

    /// Sends a command and reads its result.
    ///
    /// # Errors
    /// As [`Client::command`], and `E_REPLY` for a result of another shape.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        verb: Verb,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let result = self.command(verb, body).await?;
        serde_json::from_value(result).map_err(|error| {
            Failure::because(
                Code::Reply,
                format!("the answer to {}", verb.word()),
                &error,
            )
        })
    }

    /// Asks on the current connection until answered or `until`.
    async fn exchange(
        &mut self,
        reply: &str,
        command: &Message,
        until: Instant,
    ) -> Result<Heard, Lost> {
        self.connection.subscribe(reply)?;
        let mut send_at = None;
        loop {
            let wake = send_at.unwrap_or(until).min(until);
            tokio::select! {
                event = self.connection.next() => match event? {
                    // Of a reply, or of what is watched: it would be waited for in vain.
                    Event::Subscribed { filter, granted: false } => {
                        return Ok(Heard::Refused(filter));
                    }
                    Event::Subscribed { filter, .. } if filter == reply => {
                        send_at = Some(Instant::now());
                    }
                    Event::Message { topic, payload } if topic == reply => {
                        self.connection.unsubscribe(reply)?;
                        return Ok(Heard::Answer(payload));
                    }
                    Event::Message { topic, payload } if !self.watched.is_empty() => {
                        self.meanwhile.retain(|(other, _)| *other != topic);
                        self.meanwhile.push((topic, payload));
                    }
                    Event::Message { .. } | Event::Subscribed { .. } | Event::Acknowledged => {}
                },
                () = tokio::time::sleep_until(wake) => {
                    if Instant::now() >= until {
                        return Ok(Heard::Nothing);
                    }
                    self.connection.publish(command.clone())?;
                    send_at = Some(Instant::now() + REPEAT_EVERY);
                }
            }
        }
    }

    /// Subscribes to a filter for [`Client::next_message`].
    ///
    /// # Errors
    /// `E_BROKER` without a broker.
    pub(crate) async fn watch(&mut self, filter: &str) -> Result<(), Failure> {
        self.watched.push(filter.to_owned());
        if self.connection.subscribe(filter).is_err() {
            self.resume(Instant::now() + self.patience.answer).await?;
        }
        Ok(())
    }

    /// The next message on a watched filter, over as many connections as it takes. On a
    /// new connection retained messages come again. Cancel-safe while connected.
    ///
    /// # Errors
    /// `E_BROKER` without a broker.
    pub(crate) async fn next_message(&mut self) -> Result<(String, Bytes), Failure> {
        if !self.meanwhile.is_empty() {
            return Ok(self.meanwhile.remove(0));
        }
        loop {
            match self.connection.next().await {
                Ok(Event::Message { topic, payload }) => return Ok((topic, payload)),
                Ok(Event::Subscribed {
                    filter,
                    granted: false,
                }) => return Err(unheard(&filter)),
                Ok(_) => {}
                Err(Lost) => self.resume(Instant::now() + self.patience.answer).await?,
            }
        }
    }

    /// Connects again, with everything that is watched.
    async fn resume(&mut self, until: Instant) -> Result<(), Failure> {
        'connections: loop {
            self.connection = connect(&self.broker, &self.file, until).await?;
            for filter in &self.watched {
                if self.connection.subscribe(filter).is_err() {
                    continue 'connections;
                }
            }
            return Ok(());
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

/// What came of a command that was sent.
enum Heard {
    Answer(Bytes),
    /// The broker refuses the subscription to this filter.
    Refused(String),
    Nothing,
}

/// The broker does not let this user hear what it has to hear.
pub(crate) fn unheard(filter: &str) -> Failure {
    let what = format!("the broker refuses the subscription to {filter}");
    Failure::new(Code::Role, what).help(
        "name the server's namespace in client.toml; another broker's rules must let this user read \
         that, as docs/operations.md says",
    )
}

/// A random request id.
fn request_id() -> Result<RequestId, Failure> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(Code::Random, format!("no random numbers: {error}")))?;
    data_encoding::HEXLOWER
        .encode(&random)
        .parse()
        .map_err(|error| Failure::because(Code::Name, "request id", &error))
}

/// Reads a view.
///
/// # Errors
/// `E_REPLY`.
pub(crate) fn read_view<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(payload)
        .map_err(|error| Failure::because(Code::Reply, "a view of the server", &error))
}

fn is_busy(failure: &Failure) -> bool {
    failure.code == Code::Busy.as_str()
}

fn read_reply(verb: &str, payload: &[u8]) -> Result<Value, Failure> {
    let mut reply: Value = serde_json::from_slice(payload)
        .map_err(|error| Failure::because(Code::Reply, format!("the answer to {verb}"), &error))?;
    if reply["ok"] == Value::Bool(true) {
        return Ok(reply["result"].take());
    }
    let field = |name: &str| {
        reply["error"][name]
            .as_str()
            .filter(|text| !text.is_empty())
    };
    // The detail is a whole sentence; the title only names its kind.
    let what = field("detail")
        .or(field("title"))
        .unwrap_or("the server refused without saying why");
    let mut failure = Failure::answered(field("code").unwrap_or(Code::Reply.as_str()), what);
    failure.field = field("field").map(str::to_owned);
    Err(match field("hint") {
        Some(hint) => failure.help(hint),
        None => failure,
    })
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
