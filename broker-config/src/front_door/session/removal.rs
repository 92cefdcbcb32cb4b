//! The end of a session whose client was removed or revoked.

use bytes::Bytes;
use hoist_protocol::access::Principal;
use hoist_protocol::id::DeviceId;
use hoist_protocol::topic::Topic;
use rumqttc::QoS;

use super::super::code::Code;
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

    /// A device that was removed or revoked leaves nothing behind: what it said until now would be taken
    /// for the word of its next life.
    pub(super) fn clear_reports(&mut self, device: &DeviceId) {
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
