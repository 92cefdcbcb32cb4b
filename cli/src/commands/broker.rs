//! `hoist broker render`: the files of a broker that somebody runs beside the server.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use hoist_device_client::agent::said;
use hoist_orchestrator::store::snapshot::{SnapshotError, SnapshotReader};
use hoist_protocol::code::Code;
use hoist_protocol::id::Namespace;
use hoist_server::broker_files::{Folder, Terms, Written};
use hoist_server::client_file::ClientFile;
use hoist_server::data_dir::DataDir;
use hoist_server::failure::{Failure, chain};
use hoist_server::logins::Devices;
use hoist_server::private_file;
use serde_json::json;

use super::backup;
use super::serve::doors::doors;
use crate::args::{Broker, Render};
use crate::context::Context;
use crate::output::{Shape, Show, column};
use crate::settings::Origin;

const SHAPE: Shape = Shape {
    name: "folder",
    columns: &[
        column("FOLDER", "/folder", Show::Plain),
        column("BROKER", "/broker", Show::Plain),
        column("DEVICES", "/deviceBroker", Show::Plain),
    ],
};

/// Runs one of the broker commands.
pub(crate) async fn run(context: &Context, command: Broker) -> Result<u8, Failure> {
    let Broker::Render(wish) = command;
    render(context, &wish).await
}

async fn render(context: &Context, wish: &Render) -> Result<u8, Failure> {
    let data_dir = DataDir::new(&context.settings.data_dir.value);
    data_dir.must_be_one()?;
    let doors = doors(&context.settings)?;
    let listen = context.settings.doors.listen.as_ref();
    let terms = Terms {
        kind: wish.broker.into(),
        folder: wish.folder.clone(),
        namespace: namespace(context, &data_dir),
        host: listen.map_or_else(|| "127.0.0.1".to_owned(), |set| set.value.clone()),
        port: wish.port,
        encryption: &doors.encryption,
        names: &doors.names,
        // As checked: without TLS nobody shows a certificate.
        client_ca: doors.tls.client_ca.as_deref(),
        users: &wish.logins,
    };
    let folder = Folder::open(&wish.out, &data_dir)?;
    let devices = devices(context, &data_dir, folder.path()).await?;
    let written = folder.write(&data_dir, &devices, &terms)?;
    tell(context, folder.path(), &written)
}

/// Every device of the server, running or not.
async fn devices(context: &Context, data_dir: &DataDir, out: &Path) -> Result<Devices, Failure> {
    let rows = out.join(".rows");
    let made = private_file::write(&rows, b"");
    made.map_err(|error| Failure::because(Code::File, "--out", &error))?;
    let written = backup::snapshot(context, data_dir, &rows).await;
    let devices = written.and_then(|_| read(&rows));
    // They are of no use to a broker.
    let _gone = std::fs::remove_file(&rows);
    devices
}

fn read(rows: &Path) -> Result<Devices, Failure> {
    let unreadable = |why: String| Failure::new(Code::Store, format!("rows of devices: {why}"));
    let file = File::open(rows).map_err(|error| unreadable(error.to_string()))?;
    let damaged = |error: SnapshotError| unreadable(chain(&error));
    let mut reader = SnapshotReader::new(BufReader::new(file)).map_err(damaged)?;
    let mut devices = Devices::default();
    while let Some((key, value)) = reader.next_row().map_err(damaged)? {
        let taken = devices.row(&key, &value);
        taken.map_err(|error| unreadable(chain(&error)))?;
    }
    Ok(devices)
}

/// The namespace that is set, or that of the data directory.
fn namespace(context: &Context, data_dir: &DataDir) -> Namespace {
    let set = &context.settings.namespace;
    match ClientFile::read(&data_dir.client()) {
        Ok(file) if set.origin == Origin::Default => file.namespace,
        _ => set.value.clone(),
    }
}

/// Says what was written, and how a server works with that broker.
fn tell(context: &Context, folder: &Path, written: &Written) -> Result<u8, Failure> {
    let without = &written.without_password;
    if !without.is_empty() {
        said::say(format_args!(
            "no password for {}: only they know their tokens; name their client.toml with --login",
            without.join(", ")
        ));
    }
    let ca = written.ca.as_ref();
    let ca = ca.map_or_else(String::new, |ca| format!(" --broker-ca {}", ca.display()));
    let devices = match written.device_broker == written.broker {
        true => String::new(),
        false => format!(" --device-broker {}", written.device_broker),
    };
    said::say(format_args!(
        "a server works with that broker by\n  HOIST_TOKEN_FILE={} hoist serve --broker {}{devices}{ca}",
        written.orchestrator_token.display(),
        written.broker,
    ));
    let shown = folder.display();
    let sentence = format!("{} logins and their rules are in {shown}", written.logins);
    let item = json!({
        "folder": folder, "broker": written.broker, "deviceBroker": written.device_broker,
        "files": written.files, "withoutPassword": without,
    });
    context.print_change(&SHAPE, &item, &sentence)
}
