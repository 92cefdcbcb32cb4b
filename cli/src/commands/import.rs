//! `hoist device import`: a whole fleet from one file. First every device is checked, by
//! dry runs of the command that will register it; only when nothing is wrong anywhere are
//! they registered, some at a time. What is registered already stays, so a run that broke
//! off is completed by another.

use std::path::{Path, PathBuf};

use hoist_device_client::agent::said;
use hoist_orchestrator_core::api::command::{DeviceImport, IMPORT_DEVICES_MAX, ImportDevice, Verb};
use hoist_orchestrator_core::reply::{DeviceAddResult, ImportResult};
use hoist_protocol::code::Code;
use serde_json::{Value, json};

mod refusal;
mod table;

use refusal::refusal;
use table::{Fault, Row, Table};

use crate::args::Import;
use crate::client::agent_file::{self, agent_toml};
use crate::client::{Client, Patience};
use crate::context::{Context, print};
use crate::exit;
use crate::output::plural::{count, either};
use crate::output::secret_output;
use crate::output::{self, Format, Shape, Show, column};
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use hoist_server::private_file::{self, PrivateFileError};

/// Bytes of one command's devices: a command has at most 16 KiB.
const BATCH_BYTES_MAX: usize = 14_000;

/// The advice when something cannot be written.
const GOES_ON: &str = "what is registered stays so; mend that and run the same command again: \
                       it goes on where this one stopped";

const SHAPE: Shape = Shape {
    name: "device",
    columns: &[column("DEVICE", "/device", Show::Plain)],
};

/// Imports a file.
pub(crate) async fn run(context: &Context, wish: &Import) -> Result<u8, Failure> {
    let content = std::fs::read(&wish.file).map_err(|error| {
        let what = format!("cannot read {}", wish.file.display());
        Failure::because(Code::Csv, what, &error)
    })?;
    let Table { rows, mut faults } = table::read(&content);
    let file = context.client_file()?;
    let mut client = Client::connect(file.clone(), Patience::PERSON).await?;
    let batches = batches(&rows);
    let (planned, more) = check(&mut client, &batches, wish).await?;
    faults.extend(more);
    if !faults.is_empty() {
        faults.sort();
        return Err(refusal(&wish.file, &faults));
    }
    check_files(wish, &rows, &context.settings.data_dir.value)?;
    if wish.dry_run {
        client.close().await;
        let would = format!("{}; nothing was changed", would(&planned));
        return context.print_change(&SHAPE, &json!(planned), &would);
    }
    let mut sink = Sink::new(context, wish.out.as_deref(), file);
    let done = register(&mut client, &batches, wish, &mut sink).await?;
    client.close().await;
    sink.end(&done)
}

/// A dry run of every batch: what would be done, and what is wrong with which line.
async fn check(
    client: &mut Client,
    batches: &[&[Row]],
    wish: &Import,
) -> Result<(ImportResult, Vec<Fault>), Failure> {
    let (mut sum, mut faults) = (ImportResult::default(), Vec::new());
    for batch in batches {
        let planned: ImportResult = client
            .ask(Verb::DeviceImport, &body(batch, wish.skip_existing, true))
            .await?;
        add(&mut sum, &planned);
        for fault in planned.faults {
            let row = usize::try_from(fault.index)
                .ok()
                .and_then(|at| batch.get(at));
            faults.push(Fault {
                line: row.map_or(0, |row| row.line),
                what: fault.detail,
                code: Code::parse(&fault.code),
            });
        }
    }
    Ok((sum, faults))
}

/// Ok if every file could be written, as long as nothing is registered yet.
fn check_files(wish: &Import, rows: &[Row], data_dir: &Path) -> Result<(), Failure> {
    let Some(dir) = &wish.out else { return Ok(()) };
    if !wish.dry_run {
        private_file::create_dir(dir).map_err(|error| unusable(&error))?;
    }
    if !dir.exists() {
        return Ok(());
    }
    for row in rows {
        let path = file_of(dir, &row.device.device);
        private_file::check_outside(&path, data_dir).map_err(|error| unusable(&error))?;
    }
    Ok(())
}

/// Where a device's configuration goes.
fn file_of(dir: &Path, device: &str) -> PathBuf {
    dir.join(format!("{device}.toml"))
}

fn unusable(error: &PrivateFileError) -> Failure {
    let what = "nothing was imported, --out cannot be used";
    Failure::because(Code::System, what, error)
        .help("mend that, or name another folder, and run the same command again")
}

fn unwritten(error: &PrivateFileError) -> Failure {
    Failure::because(Code::System, "cannot write to --out", error).help(GOES_ON)
}

/// Registers batch after batch; each is one change of the server, all or nothing.
async fn register(
    client: &mut Client,
    batches: &[&[Row]],
    wish: &Import,
    sink: &mut Sink<'_>,
) -> Result<ImportResult, Failure> {
    let mut sum = ImportResult::default();
    for batch in batches {
        let body = body(batch, wish.skip_existing, false);
        let done: ImportResult = match client.ask(Verb::DeviceImport, &body).await {
            Ok(done) => done,
            Err(failure) => return Err(broken_off(failure, batch, &sum)),
        };
        add(&mut sum, &done);
        sink.take(batch, done)?;
    }
    Ok(sum)
}

/// Why not everything was registered, and what is to be done about it.
fn broken_off(failure: Failure, batch: &[Row], before: &ImportResult) -> Failure {
    let line = batch.first().map_or(0, |row| row.line);
    let devices = before.added + before.unchanged + before.skipped;
    Failure {
        what: format!(
            "{}; the import stopped at line {line}, {} before it {} registered",
            failure.what,
            count(devices, "device"),
            either(devices, "is", "are"),
        ),
        ..failure
    }
    .help("run the same command again: it goes on where this one stopped")
}

fn body(batch: &[Row], skip_existing: bool, dry_run: bool) -> DeviceImport {
    DeviceImport {
        devices: batch.iter().map(|row| row.device.clone()).collect(),
        skip_existing,
        dry_run,
    }
}

fn add(sum: &mut ImportResult, more: &ImportResult) {
    sum.added += more.added;
    sum.unchanged += more.unchanged;
    sum.skipped += more.skipped;
}

/// As many devices together as one command may name.
fn batches(rows: &[Row]) -> Vec<&[Row]> {
    let bytes = |device: &ImportDevice| serde_json::to_vec(device).map_or(0, |json| json.len() + 1);
    let mut batches = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        let more = bytes(&row.device);
        if at > from && (at - from == IMPORT_DEVICES_MAX || size + more > BATCH_BYTES_MAX) {
            batches.extend(rows.get(from..at));
            (from, size) = (at, 0);
        }
        size += more;
    }
    batches.extend(rows.get(from..).filter(|rest| !rest.is_empty()));
    batches
}

fn would(planned: &ImportResult) -> String {
    format!(
        "{} would be added{}",
        count(planned.added, "device"),
        left(planned)
    )
}

/// The devices that were left as they are.
fn left(result: &ImportResult) -> String {
    let mut text = String::new();
    if result.unchanged > 0 {
        text.push_str(&format!(", {} as the file says already", result.unchanged));
    }
    if result.skipped > 0 {
        text.push_str(&format!(
            ", {} skipped (registered otherwise)",
            result.skipped
        ));
    }
    text
}

/// Where the configurations go: files, or standard output.
struct Sink<'a> {
    context: &'a Context,
    out: Option<&'a Path>,
    server: ClientFile,
    /// For programs: every device.
    items: Vec<Value>,
    written: u32,
}

impl<'a> Sink<'a> {
    fn new(context: &'a Context, out: Option<&'a Path>, server: ClientFile) -> Self {
        Self {
            context,
            out,
            server,
            items: Vec::new(),
            written: 0,
        }
    }

    /// Takes the devices of one batch, which are registered.
    fn take(&mut self, batch: &[Row], done: ImportResult) -> Result<(), Failure> {
        let root = done.root_sha256.unwrap_or_default();
        let root_number = done.root_number.unwrap_or(1);
        for device in done.devices {
            let row = batch.iter().find(|row| row.device.device == device.device);
            let device_type = row.and_then(|row| row.device.device_type.as_deref());
            let added = DeviceAddResult {
                device: device.device,
                token: device.token,
                root_sha256: root.clone(),
                root_number,
            };
            let text = agent_toml(&self.server, device_type, &added)?;
            let mut item = json!({"device": added.device, "state": device.state});
            match self.out {
                Some(dir) => self.write(dir, &added.device, &text)?,
                None if self.for_people() => {
                    let text = format!("# ---- {}.toml\n{text}\n", added.device);
                    secret_output::print(&text, GOES_ON)?;
                }
                None => {
                    item["token"] = json!(added.token);
                    item["rootSha256"] = json!(added.root_sha256);
                    item["rootNumber"] = json!(added.root_number);
                }
            }
            self.items.push(item);
        }
        Ok(())
    }

    fn for_people(&self) -> bool {
        matches!(self.context.format(), Format::Table | Format::Wide)
    }

    fn write(&mut self, dir: &Path, device: &str, text: &str) -> Result<(), Failure> {
        let path = file_of(dir, device);
        if let Some(text) = agent_file::wanted(&path, text) {
            private_file::write_unsynced(&path, text.as_bytes())
                .map_err(|error| unwritten(&error))?;
            self.written += 1;
        }
        Ok(())
    }

    /// Says what was done.
    fn end(self, done: &ImportResult) -> Result<u8, Failure> {
        if let Some(dir) = self.out {
            private_file::sync_dir(dir).map_err(|error| unwritten(&error))?;
        }
        if !self.for_people() {
            let items = &self.items;
            let now = std::time::SystemTime::now();
            let items = output::list(self.context.format(), &SHAPE, items, now);
            match self.out {
                Some(_) => print(&items)?,
                None => secret_output::print(&items, GOES_ON)?,
            }
            return Ok(exit::OK);
        }
        let mut said = if done.added == 0 {
            "nothing to add: ".to_owned()
        } else {
            format!("{} added, ", count(done.added, "device"))
        };
        said.push_str(left(done).trim_start_matches(", "));
        let said = said.trim_end_matches([',', ' ']);
        let files = match self.out {
            Some(dir) => format!(
                "; {} written to {}",
                count(self.written, "file"),
                dir.display()
            ),
            None => String::new(),
        };
        match self.out {
            Some(_) => print(&format!("{said}{files}\n"))?,
            // Standard output has the configurations.
            None => said::say(said),
        }
        Ok(exit::OK)
    }
}
