//! One socket: bytes in, packets out of them, and packets in, bytes out of them. Bounded
//! both ways; knows nothing of sessions.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hoist_net::tls::server::HANDSHAKE;
use rumqttc::mqttbytes::Error;
use rumqttc::mqttbytes::v4::{Connect, Packet};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::code::Code;
use super::connect::{self, Fault};
use super::frame::{self, Urgency};
use super::pace::Paced;

/// Above this many bytes waiting to be written, nothing more is queued for the socket.
const OUT_BYTES: usize = 64 * 1024;
/// Above this many, nothing more is read either: only answers to a client that sends and
/// never reads get so far. Well above the other bound, because a client may have to finish
/// writing before it reads.
const ANSWER_BYTES: usize = 256 * 1024;

/// The shortest time between two pings of a client that is to wait: its keep-alive is a second at
/// least.
const PING_PAUSE: Duration = Duration::from_millis(500);

/// When the packet at the start of the input is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Now,
    At(Instant),
    /// When [`Connection::park`] says so.
    Told,
}

/// A socket with its buffers.
pub(crate) struct Connection<S> {
    stream: S,
    input: BytesMut,
    output: BytesMut,
    packet_bytes: usize,
    write_patience: Duration,
    /// True if something was written that a stream with TLS may still hold.
    unflushed: bool,
    stuck_at: Option<Instant>,
    /// The amount that the client may send; while the client owes, work for others is not taken.
    paced: Option<Paced>,
    /// True while the last packet of the client waits for room.
    is_parked: bool,
    /// When the next ping is taken of a client that is to wait.
    ping_at: Instant,
    /// True if packets are checked as those of a client.
    checks: bool,
    /// Bytes read and written since they were last counted.
    pub(crate) passed: usize,
    /// The address at the other end, for the log.
    pub(crate) peer: Option<SocketAddr>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(stream: S, packet_bytes: usize, write_patience: Duration) -> Self {
        Self {
            stream,
            input: BytesMut::with_capacity(1_024),
            output: BytesMut::new(),
            packet_bytes,
            write_patience,
            unflushed: false,
            stuck_at: None,
            paced: None,
            is_parked: false,
            ping_at: Instant::now(),
            checks: false,
            passed: 0,
            peer: None,
        }
    }

    /// The same socket, of a client that speaks as MQTT 3.1.1 says.
    pub(crate) fn checked(self) -> Self {
        Self {
            checks: true,
            ..self
        }
    }

    /// The same socket, read as fast as its client may send.
    pub(crate) fn with_pace(self, paced: Option<Paced>) -> Self {
        Self { paced, ..self }
    }

    /// Takes nothing that is work for others until told otherwise; true if it did so before.
    pub(crate) fn park(&mut self, is_parked: bool) -> bool {
        std::mem::replace(&mut self.is_parked, is_parked)
    }

    /// Until when nothing that is work for others is taken, as far as that is known now.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        let owes = self.paced.as_ref().and_then(Paced::owes_until);
        match self.is_parked {
            true => owes.max(Some(Instant::now())),
            false => owes,
        }
    }

    /// True if the client is to wait now.
    pub(crate) fn is_held(&self) -> bool {
        self.held_until()
            .is_some_and(|until| self.is_parked || until > Instant::now())
    }

    /// When the packet at the start of the input is taken; without one there is nothing to
    /// wait with.
    fn turn(&self) -> Turn {
        let (Some(first), Some(until)) = (self.input.first(), self.held_until()) else {
            return Turn::Now;
        };
        if !self.is_held() {
            return Turn::Now;
        }
        let told = match self.is_parked {
            true => Turn::Told,
            false => Turn::At(until),
        };
        match frame::urgency(*first) {
            Urgency::Answer => Turn::Now,
            Urgency::Ping if self.ping_at <= Instant::now() => Turn::Now,
            Urgency::Ping => Turn::At(self.ping_at),
            Urgency::Goodbye if !self.is_parked => Turn::Now,
            Urgency::Goodbye | Urgency::Waits => told,
        }
    }

    /// The same socket, known to come from there.
    pub(crate) fn with_peer(self, peer: Option<SocketAddr>) -> Self {
        Self { peer, ..self }
    }

    /// The same socket with another packet limit.
    pub(crate) fn with_packet_bytes(self, packet_bytes: usize) -> Self {
        Self {
            packet_bytes,
            ..self
        }
    }

    /// True if more may be queued for writing.
    pub(crate) fn has_room(&self) -> bool {
        self.output.len() < OUT_BYTES
    }

    /// Queues a packet; it goes out as [`Connection::next`] is awaited.
    pub(crate) fn write(&mut self, packet: &Packet) {
        // Only a packet over usize::MAX is refused.
        if packet.write(&mut self.output, usize::MAX).is_err() {
            tracing::error!("a packet could not be encoded");
        }
    }

    /// Writes what is queued and waits for the next packet; `None` after a write made
    /// room. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Packet>, Code> {
        loop {
            let turn = self.turn();
            let may_read = self.output.len() < ANSWER_BYTES && turn == Turn::Now;
            if may_read && let Some(packet) = self.take()? {
                return Ok(Some(packet));
            }
            let wants_write = !self.output.is_empty() || self.unflushed;
            let patience = self.write_patience;
            let stuck = match (wants_write, self.stuck_at) {
                (true, Some(at)) => at,
                (true, None) => *self.stuck_at.insert(Instant::now() + patience),
                (false, _) => Instant::now() + patience,
            };
            let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
            tokio::select! {
                read = reader.read_buf(&mut self.input), if may_read => match read {
                    Ok(0) | Err(_) => return Err(Code::Gone),
                    Ok(count) => self.passed += count,
                },
                pushed = push(&mut writer, &self.output), if wants_write => {
                    let count = pushed.map_err(|_| Code::Gone)?;
                    self.stuck_at = None;
                    self.unflushed = count.is_some();
                    if let Some(count) = count {
                        self.output.advance(count);
                        self.passed += count;
                        return Ok(None);
                    }
                }
                () = tokio::time::sleep_until(stuck), if wants_write => return Err(Code::Gone),
                () = comes(turn), if turn != Turn::Now => {}
            }
        }
    }

    fn take(&mut self) -> Result<Option<Packet>, Code> {
        if self.checks {
            frame::check(&self.input)?;
        }
        match Packet::read(&mut self.input, self.packet_bytes) {
            Ok(packet) => {
                if packet == Packet::PingReq {
                    self.ping_at = Instant::now() + PING_PAUSE;
                }
                Ok(Some(packet))
            }
            Err(Error::InsufficientBytes(_)) => Ok(None),
            Err(Error::PayloadSizeLimitExceeded(_) | Error::MalformedRemainingLength) => {
                Err(Code::Size)
            }
            Err(_) => Err(Code::Packet),
        }
    }

    /// Reads until the protocol level of a CONNECT is known: the codec cannot read other
    /// versions than 4. Takes no byte away.
    pub(crate) async fn protocol_level(&mut self) -> Result<u8, Code> {
        loop {
            match self.input.first() {
                None | Some(0x10) => {}
                Some(&HANDSHAKE) => return Err(Code::Tls),
                Some(_) => return Err(Code::Packet),
            }
            let announced = frame::announced(&self.input)?;
            if announced.is_some_and(|body| body.bytes > self.packet_bytes) {
                return Err(Code::Size);
            }
            let level = announced.map(|body| protocol_level(&self.input, body.begins));
            if let Some(level) = level.transpose()?.flatten() {
                return Ok(level);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Err(Code::Gone),
                Ok(count) => self.passed += count,
            }
        }
    }

    /// Reads a CONNECT whose level was found to be 4, and so its length to be within the limit.
    pub(crate) async fn connect(&mut self) -> Result<Result<Connect, Fault>, Code> {
        loop {
            if let Some(body) = frame::connect_body(&self.input)? {
                let read = connect::read(body);
                self.skip()?;
                return Ok(read);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Err(Code::Gone),
                Ok(count) => self.passed += count,
            }
        }
    }

    /// Skips the packet at the start of the input.
    fn skip(&mut self) -> Result<(), Code> {
        if let Some(body) = frame::announced(&self.input)? {
            self.input.advance(body.begins + body.bytes);
        }
        Ok(())
    }

    /// Writes raw bytes and what is queued, best effort, before closing.
    pub(crate) async fn say_last(mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        let patience = self.write_patience;
        let last = async {
            self.stream.write_all(&self.output).await?;
            self.stream.shutdown().await
        };
        let _ = tokio::time::timeout(patience, last).await;
    }
}

#[cfg(test)]
impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Queues bytes that no encoder would write.
    pub(crate) fn write_raw(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Writes what is queued without reading.
    pub(crate) async fn flush(&mut self) {
        self.stream.write_all(&self.output).await.unwrap();
        self.output.clear();
    }

    /// The bare socket.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }
}

/// Writes some of the output: so many bytes. Without output, brings what was written on its way.
/// Cancel-safe.
async fn push(stream: &mut (impl AsyncWrite + Unpin), output: &[u8]) -> io::Result<Option<usize>> {
    if output.is_empty() {
        return stream.flush().await.map(|()| None);
    }
    match stream.write(output).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(Some(count)),
    }
}

/// Waits until it is a packet's turn.
async fn comes(turn: Turn) {
    match turn {
        Turn::Now => {}
        Turn::At(at) => tokio::time::sleep_until(at).await,
        Turn::Told => std::future::pending().await,
    }
}

/// The level in a CONNECT whose body begins there: it follows the protocol name.
fn protocol_level(input: &[u8], body: usize) -> Result<Option<u8>, Code> {
    let Some(length) = input.get(body..body + 2) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    // "MQTT", or "MQIsdp" of version 3.1.
    if length > 6 {
        return Err(Code::Packet);
    }
    Ok(input.get(body + 2 + length).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_that_a_stream_keeps_back_do_not_wait_for_the_next_packet() {
        let (near, mut far) = tokio::io::duplex(1_024);
        // As TLS does it when the socket is full.
        let keeps_back = tokio::io::BufWriter::new(near);
        let mut connection = Connection::new(keeps_back, 1_024, Duration::from_secs(5));
        connection.write(&Packet::PingResp);
        let serving = async {
            while let Ok(None) = connection.next().await {}
            panic!("nothing comes from the other side");
        };
        let mut heard = [0; 2];
        tokio::select! {
            read = far.read_exact(&mut heard) => read.map(drop).unwrap(),
            () = serving => {}
        }
        assert_eq!(heard, [0xd0, 0]);
    }
}
