//! One deployment, with those who failed in it.

use hoist_protocol::id::DeploymentId;
use hoist_protocol::reason::Reason;

use crate::model::key::{DeploymentKey, Prefix};
use crate::model::row::{RecordRow, RecordState};
use crate::model::time::format_time;
use crate::query::walk::{End, Row, Rows, Way};
use crate::query::{
    Need, Queried, Reader, deployment_view, device, named, no_deployment, row, totals,
};
use crate::reply::{DeploymentDetail, FailedDevice, RollbackWord};

/// Failed devices named in `deployment-show`: the rest is in `device-list`.
const FAILED_DEVICES_MAX: usize = 20;
/// Records that are looked at for them: of more members the first failures show.
const RECORDS_MAX: usize = 100_000;
/// Records read at once.
const RECORDS: usize = 512;

/// `deployment-show`
pub(crate) fn deployment_show(reader: &mut Reader, id: DeploymentId) -> Queried<DeploymentDetail> {
    let (Some(view), Some(deployment)) = (
        deployment_view(reader, id)?,
        reader.read(&DeploymentKey(id))?,
    ) else {
        return Ok(Err(no_deployment(reader, id)?));
    };
    let (totals, _) = totals(reader, id)?;
    let time = |ms: Option<u64>| ms.map(format_time);
    let end = deployment.end.as_ref();
    let failed_devices = if view.counts.failed == 0 {
        Vec::new()
    } else {
        failed_devices(reader, id, view.counts.failed)?
    };
    Ok(Ok(DeploymentDetail {
        view,
        retried: totals.retried,
        rolled_back: totals.rolled_back,
        created_by: deployment.created_by.to_string(),
        start: time(deployment.start_ms),
        until: time(deployment.until_ms),
        ended_by: end.and_then(|end| end.by.as_ref()).map(ToString::to_string),
        ended_text: end.map(|end| end.text.clone()),
        failed_devices,
    }))
}

/// The first failed devices of a deployment.
fn failed_devices(
    reader: &mut Reader,
    id: DeploymentId,
    failed: u32,
) -> Result<Vec<FailedDevice>, Need> {
    let prefix = Prefix::Records(id);
    let way = Way {
        prefixes: vec![prefix.clone()],
        start: None,
        page: RECORDS,
        wanted: FAILED_DEVICES_MAX.min(usize::try_from(failed).unwrap_or(usize::MAX)),
        rows: RECORDS_MAX,
        end: End::Wanted,
    };
    let look = |_: &Reader, pages: &[Rows]| {
        let looked = pages.iter().copied().flatten().map(|(key, bytes)| {
            let record: RecordRow = row(key, bytes)?;
            let mark = named(&prefix, key)?;
            // So few fit always.
            let item = failed_device(mark.clone(), &record).map(|item| (item, 0));
            Ok(Row { mark, item })
        });
        looked.collect()
    };
    let mut walk = std::mem::take(&mut reader.walks.failed);
    let gone = walk.go(reader, &way, look);
    match gone {
        Ok(_) => Ok(walk.items),
        Err(need) => {
            reader.walks.failed = walk;
            Err(need)
        }
    }
}

fn failed_device(device: String, record: &RecordRow) -> Option<FailedDevice> {
    let (reason, rollback) = match &record.state {
        RecordState::InProgress(_) | RecordState::Successful(_) => return None,
        RecordState::Failed(failure) => (failure.reason, RollbackWord::Said(failure.rollback)),
        RecordState::TimedOut => (Reason::TimedOut, RollbackWord::Unknown),
    };
    let item = device::of_record(record);
    Some(FailedDevice {
        device,
        reason: reason.into(),
        script: item.script,
        script_end: item.script_end,
        exit: item.exit,
        rollback: rollback.into(),
    })
}
