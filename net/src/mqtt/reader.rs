//! The loop of a connection: what comes is read, what is handed over is written, and a silent
//! broker is asked whether it is there.

use std::future::pending;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::Error;
use rumqttc::{
    Connect, ConnectReturnCode, LastWill, MqttState, Outgoing, Packet, PingReq, QoS, Request,
    SubscribeReasonCode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Acks, Cause, Delivered, Ended, Event, Options, Session};
use crate::stream::{Stream, connect};
use crate::tls::TlsError;

/// The time for a connection to come about, up to the answer to its CONNECT.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// The same with TLS: a poor link has two more ways to go, and a small device much to compute.
const ENCRYPTED_PATIENCE: Duration = Duration::from_secs(15);
/// For the broker to take what is written.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// Unacknowledged publishes where nobody says how many.
const INFLIGHT_MAX: u16 = 100;
/// Room for what is read at once.
const READ_BYTES: usize = 8 * 1024;
/// Written together at most; more requests wait.
const WRITE_BYTES: usize = 16 * 1024;

/// The side of a connection that hears something, and drives it.
pub struct Reader {
    options: Options,
    requests: mpsc::Receiver<Request>,
    state: MqttState,
    inflight_max: u16,
    /// True once nobody is there who could have something to say.
    is_mute: bool,
    line: Option<Line>,
}

/// The socket, and when it is asked whether somebody is there.
struct Line {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    ping_at: Option<Instant>,
}

impl Reader {
    pub(super) fn new(options: Options, requests: mpsc::Receiver<Request>) -> Self {
        let inflight_max = options.inflight_max.unwrap_or(INFLIGHT_MAX);
        Self {
            state: MqttState::new(inflight_max, options.acks == Acks::Manual),
            inflight_max,
            options,
            requests,
            is_mute: false,
            line: None,
        }
    }

    /// The next event. Not cancel-safe: only the end of the connection may interrupt it.
    ///
    /// # Errors
    /// [`Ended`], after which there is nothing more.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            while let Some(event) = self.state.events.pop_front() {
                if let Some(event) = told(event) {
                    return Ok(event);
                }
            }
            if self.line.is_none() {
                return self.begin().await;
            }
            self.step().await?;
        }
    }

    /// Connects and waits for the CONNACK.
    async fn begin(&mut self) -> Result<Event, Ended> {
        let patience = match self.options.broker.scheme().is_encrypted() {
            true => ENCRYPTED_PATIENCE,
            false => CONNECT_PATIENCE,
        };
        let connected = timeout(patience, greet(&self.options)).await;
        let silent = |_| Ended::new(Cause::Silent, "no answer in time");
        let (mut line, resumed) = connected.map_err(silent)??;
        line.ping_at = after(self.options.keep_alive);
        self.line = Some(line);
        // Messages may have come together with the answer.
        self.take_in()?;
        self.flush().await?;
        Ok(Event::Connected { resumed })
    }

    /// Waits until something is to do, and does it.
    async fn step(&mut self) -> Result<(), Ended> {
        let Some(line) = &mut self.line else {
            return Ok(());
        };
        let may_send = has_room(&self.state, self.inflight_max) && !self.is_mute;
        let ping_at = line.ping_at;
        line.input.reserve(READ_BYTES);
        tokio::select! {
            read = line.stream.read_buf(&mut line.input) => {
                if read? == 0 {
                    return Err(Ended::closed());
                }
                self.take_in()?;
            }
            request = self.requests.recv(), if may_send => match request {
                Some(request) => self.hand_out(request)?,
                // What comes is still read.
                None => self.is_mute = true,
            },
            () = until(ping_at) => {
                line.ping_at = after(self.options.keep_alive);
                let ping = self.state.handle_outgoing_packet(Request::PingReq(PingReq))?;
                line.queue(ping, self.options.packet_bytes_max)?;
            }
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        match &mut self.line {
            Some(line) => line.flush().await,
            None => Ok(()),
        }
    }

    /// Takes in what was read.
    fn take_in(&mut self) -> Result<(), Ended> {
        let Some(line) = &mut self.line else {
            return Ok(());
        };
        let most = self.options.packet_bytes_max;
        while let Some(packet) = line.packet(most)? {
            let answer = self.state.handle_incoming_packet(packet)?;
            line.queue(answer, most)?;
        }
        Ok(())
    }

    /// Writes what is handed over, as much as there is and fits.
    fn hand_out(&mut self, first: Request) -> Result<(), Ended> {
        let Some(line) = &mut self.line else {
            return Ok(());
        };
        let mut next = Some(first);
        while let Some(request) = next.take() {
            let packet = self.state.handle_outgoing_packet(request)?;
            line.queue(packet, self.options.packet_bytes_max)?;
            if line.output.len() < WRITE_BYTES && has_room(&self.state, self.inflight_max) {
                next = self.requests.try_recv().ok();
            }
        }
        Ok(())
    }
}

impl Line {
    /// The packet at the start of what was read, once it is whole.
    fn packet(&mut self, bytes_max: usize) -> Result<Option<Packet>, Ended> {
        match Packet::read(&mut self.input, bytes_max) {
            Ok(packet) => Ok(Some(packet)),
            Err(Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(Ended::protocol(&error)),
        }
    }

    fn queue(&mut self, packet: Option<Packet>, bytes_max: usize) -> Result<(), Ended> {
        if let Some(packet) = packet {
            let written = packet.write(&mut self.output, bytes_max);
            written.map_err(|error| Ended::protocol(&error))?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if self.output.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let silent = |_| Ended::new(Cause::Silent, "it takes nothing more");
        timeout(WRITE_PATIENCE, write).await.map_err(silent)??;
        self.output.clear();
        Ok(())
    }
}

/// Connects, says who is there, and hears whether the broker lets it in.
async fn greet(options: &Options) -> Result<(Line, bool), Ended> {
    let stream = connect(&options.broker, &options.trust).await?;
    let mut line = Line {
        stream,
        input: BytesMut::with_capacity(READ_BYTES),
        output: BytesMut::new(),
        ping_at: None,
    };
    line.queue(Some(hello(options)), options.packet_bytes_max)?;
    line.flush().await?;
    loop {
        if TlsError::is_alert(&line.input) {
            return Err(Ended::tls(TlsError::only_encrypted(&options.broker)));
        }
        match line.packet(options.packet_bytes_max)? {
            Some(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => {
                return Ok((line, ack.session_present));
            }
            Some(Packet::ConnAck(ack)) => return Err(Ended::refused(ack.code)),
            Some(_) => return Err(Ended::new(Cause::Protocol, "it did not answer CONNECT")),
            None => {}
        }
        if line.stream.read_buf(&mut line.input).await? == 0 {
            return Err(Ended::closed());
        }
    }
}

fn hello(options: &Options) -> Packet {
    let mut connect = Connect::new(&options.client_id);
    connect.keep_alive = u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX);
    connect.clean_session = options.session == Session::Clean;
    connect.last_will = options
        .will
        .clone()
        .map(|will| LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, will.retain));
    connect.set_login(&options.user, &options.token);
    Packet::Connect(connect)
}

/// True if one more publish may wait for its acknowledgment.
fn has_room(state: &MqttState, inflight_max: u16) -> bool {
    state.inflight() < inflight_max && state.collision.is_none()
}

/// The moment after a keep-alive; none means never.
fn after(keep_alive: Duration) -> Option<Instant> {
    (!keep_alive.is_zero()).then(|| Instant::now() + keep_alive)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

fn told(event: rumqttc::Event) -> Option<Event> {
    match event {
        rumqttc::Event::Incoming(packet) => incoming(packet),
        rumqttc::Event::Outgoing(Outgoing::Publish(packet)) => Some(Event::Written(packet)),
        rumqttc::Event::Outgoing(Outgoing::Disconnect) => Some(Event::Closed),
        rumqttc::Event::Outgoing(_) => None,
    }
}

fn incoming(packet: Packet) -> Option<Event> {
    Some(match packet {
        Packet::ConnAck(ack) => Event::Connected {
            resumed: ack.session_present,
        },
        Packet::Publish(publish) => Event::Delivered(Delivered {
            packet: (publish.qos != QoS::AtMostOnce).then_some(publish.pkid),
            topic: publish.topic,
            payload: publish.payload,
            retained: publish.retain,
            again: publish.dup,
        }),
        Packet::SubAck(ack) => {
            let granted =
                |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Event::Subscribed {
                granted: ack.return_codes.iter().all(granted),
            }
        }
        Packet::PubAck(ack) => Event::Acknowledged(ack.pkid),
        _ => return None,
    })
}
