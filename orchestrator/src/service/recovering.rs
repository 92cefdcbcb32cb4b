//! What the loop does otherwise in recovery mode: a head that a device kept is its membership
//! (W4).

use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::key::RecoveryKey;
use hoist_orchestrator_core::model::now::Mode;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_protocol::codec::decode;
use hoist_protocol::device::DeviceInfo;
use hoist_protocol::id::Generation;
use hoist_protocol::topic::Topic;

use super::{Service, ServiceError};
use crate::arrival::{Arrival, Content};
use crate::rows;
use crate::store::Store;
use crate::transport::Delivery;

/// The generation up to which the store knew of what was signed, when its recovery began.
pub(super) async fn known(store: &dyn Store) -> Result<Generation, ServiceError> {
    let mut txn = Txn::default();
    let row = rows::resolve(store, &mut txn, |txn| txn.read(&RecoveryKey)).await?;
    Ok(Generation(row.unwrap_or_default().known_ms))
}

impl Service {
    /// What a delivery brings back of a lost store, to be decided before what else it says.
    pub(super) fn brings_back(&mut self, delivery: &Delivery) -> Option<Arrival> {
        if self.config.mode != Mode::Recovering {
            return None;
        }
        let Ok(Topic::Info(device)) = self.topics.parse(&delivery.topic) else {
            return None;
        };
        let info = decode::<DeviceInfo>(&delivery.payload).ok()?;
        let stored = info.stored_head?;
        let (head, newer) = self.reconciler.kept_by(&device, &stored)?;
        let shown = info
            .public_key
            .filter(hoist_protocol::envelope::PublicKey::is_sound);
        Some(Arrival::of(Content::Input(Input::RecoverDevice {
            device,
            head: Box::new(head),
            newer,
            shown,
        })))
    }
}
