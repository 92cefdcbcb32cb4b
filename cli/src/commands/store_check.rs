//! `hoist store check`: reads everything in the store of a stopped server, and says whether
//! it is whole and fits together.

use hoist_orchestrator::store::StoreError;
use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator_core::engine::check::{Check, Extent, Findings};
use hoist_orchestrator_core::model::key::Key;
use hoist_protocol::code::Code;
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::lock::Lock;
use hoist_server::store_failure::store_failure;
use serde_json::json;

use crate::context::{Context, print};
use crate::exit;
use crate::output::plural::{count, either};
use crate::output::text::wrapped;
use crate::output::{self, Format, Shape, printable};

const SHAPE: Shape = Shape {
    name: "kind",
    columns: &[],
};

/// `hoist store check`
pub(crate) async fn check(context: &Context) -> Result<u8, Failure> {
    let data_dir = DataDir::new(&context.settings.data_dir.value);
    data_dir.must_be_one()?;
    if !data_dir.has_store() {
        let missing = StoreError::missing(&data_dir.store());
        return Err(store_failure(&missing, &data_dir));
    }
    let _lock = Lock::take(data_dir.root()).map_err(|failure| match failure.is(Code::Locked) {
        true => failure.help("stop that server first: it compares its rows at every start itself"),
        false => failure,
    })?;
    let store =
        SledStore::open(&data_dir.store()).map_err(|error| store_failure(&error, &data_dir))?;
    let checked = store
        .look(|rows| {
            let mut check = Check::default();
            for row in rows {
                let (key, value) = row?;
                check.row(&Key(key), &value);
            }
            Ok(check.finish())
        })
        .await;
    let (extent, findings) = checked.map_err(|error| store_failure(&error, &data_dir))?;
    match context.format() {
        Format::Table | Format::Wide => print(&told(&extent, &findings))?,
        format => print(&output::one(format, &SHAPE, &item(&extent, &findings)))?,
    }
    Ok(match findings.count {
        0 => exit::OK,
        _ => exit::ERROR,
    })
}

fn item(extent: &Extent, findings: &Findings) -> serde_json::Value {
    let found: Vec<_> = findings
        .listed
        .iter()
        .map(|finding| json!({"about": finding.about, "what": finding.what}))
        .collect();
    json!({
        "kind": "store-check", "ok": findings.count == 0, "rows": extent.rows,
        "groups": extent.groups, "devices": extent.devices, "releases": extent.releases,
        "deployments": extent.deployments, "records": extent.records,
        "findings": findings.count, "found": found,
    })
}

fn told(extent: &Extent, findings: &Findings) -> String {
    let mut text = format!(
        "{}: {}, {}, {}, {}, {}\n",
        count(extent.rows, "row"),
        count(extent.groups, "group"),
        count(extent.devices, "device"),
        count(extent.releases, "release"),
        count(extent.deployments, "deployment"),
        count(extent.records, "record"),
    );
    if findings.count == 0 {
        return text + "All of them are those of the last commit, and fit together.\n";
    }
    for finding in &findings.listed {
        let line = format!("{}: {}", finding.about, finding.what);
        text += &wrapped("  ", &printable(&line));
    }
    let listed = u64::try_from(findings.listed.len()).unwrap_or(u64::MAX);
    if findings.count > listed {
        text += &format!("  and {} more\n", findings.count - listed);
    }
    let are = either(findings.count, "is not as it", "are not as they");
    text + &format!("{} {are} must be.\n", count(findings.count, "thing"))
}
