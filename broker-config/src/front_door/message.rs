//! A message on its way from a publisher to readers.

use std::sync::Arc;

use bytes::Bytes;
use rumqttc::QoS;
use tokio::sync::OwnedSemaphorePermit;

/// A message on its way to readers.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Of a command, its place in its sender's share of those that are not acknowledged.
    pub(crate) share: Option<Arc<OwnedSemaphorePermit>>,
    /// The number of a report, by which its sender is told what the orchestrator acknowledged.
    pub(crate) report: Option<u64>,
}

/// Reads what [`Hub::publish`] gave the router.
pub(crate) fn untag(topic: &[u8], mut tagged: Bytes) -> Option<Message> {
    let topic = String::from_utf8(topic.to_vec()).ok()?;
    let qos = match tagged.first()? {
        0 => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    };
    Some(Message {
        topic,
        payload: tagged.split_off(1),
        qos,
        retain: false,
        share: None,
        report: None,
    })
}
