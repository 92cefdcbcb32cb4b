//! The end of a session whose client was removed or revoked.

use bytes::Bytes;
use hoist_net::stream::Stream;
use hoist_protocol::access::Principal;
use hoist_protocol::id::DeviceId;
use hoist_protocol::topic::{Topic, matches};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, Publish};

use super::super::code::Code;
use super::super::connection::Connection;
use super::super::message::Message;
use super::{Closed, Session};

impl Session {
    /// Ok if the client would come in now. A device is asked about at every turn: the next life of
    /// one that was removed may begin at any moment, and is not its own. A person's rights are
    /// looked at now and then, because that reads a file.
    pub(super) fn may_stay(&self) -> Result<(), Closed> {
        if !matches!(self.principal, Principal::Device(_)) {
            return Ok(());
        }
        let stays = self.hub.credentials.review(&self.handle.pass);
        stays.map_err(|refusal| Code::from(refusal).into())
    }

    /// The last that a device hears which is turned out: its spec is no more, so that it need not
    /// come again to learn it. Nothing that waits for it is said after that.
    pub(super) fn last_word(&self, closed: &Closed) -> Option<Packet> {
        let (Closed::For(Code::Revoked), Principal::Device(device)) = (closed, &self.principal)
        else {
            return None;
        };
        let spec = self.hub.topics.format(&Topic::DeviceSpec(device.clone()));
        let is_heard = self.filters.iter().any(|read| matches(&read.filter, &spec));
        is_heard.then(|| Packet::Publish(Publish::new(spec, QoS::AtMostOnce, Vec::new())))
    }

    /// A device that was removed or revoked leaves nothing behind: what it said until now would be taken
    /// for the word of its next life.
    pub(super) fn turn_out(
        &mut self,
        device: &DeviceId,
        mut connection: Connection<Box<dyn Stream>>,
        last_word: Option<Packet>,
    ) {
        if let Some(word) = last_word {
            connection.write(&word);
            tokio::spawn(connection.say_last(&[]));
        }
        for report in [Topic::Status, Topic::Presence, Topic::Info] {
            let cleared = Message {
                topic: self.hub.topics.format(&report(device.clone())),
                payload: Bytes::new(),
                qos: QoS::AtLeastOnce,
                retain: true,
                share: None,
                report: None,
            };
            self.send_off(cleared);
        }
    }
}
