//! Why a device is in its group, when labels have to do with it.

use hoist_protocol::id::DeviceId;

use crate::model::row::DeviceRow;
use crate::query::{Need, Reader};
use crate::rules::dynamic;

/// Says it; none of a device whose labels fit no dynamic group.
pub(crate) fn placed(
    reader: &Reader,
    device: &DeviceId,
    row: &DeviceRow,
) -> Result<Option<String>, Need> {
    let groups = dynamic::all(reader.rows())?;
    let fitting: Vec<String> = groups
        .fitting(&row.labels)
        .map(ToString::to_string)
        .collect();
    let Some((first, others)) = fitting.split_first() else {
        return Ok(None);
    };
    if row.group.as_str() != first {
        let is_late = groups.home(&row.group, &row.labels) != row.group;
        return Ok(Some(match is_late {
            true => format!("its labels fit group {first}: it is put there in a moment"),
            false => format!(
                "an operator put it there; its labels fit group {first}, and decide after \
                 `hoist device move {device} --group unassigned`"
            ),
        }));
    }
    Ok(Some(match others {
        [] => "its labels fit the group".to_owned(),
        others => format!(
            "its labels fit the group, the first by name of those that they fit; the others: {}",
            others.join(", ")
        ),
    }))
}
