//! Reads a fleet's CSV file: a header line, then one device a line. Everything wrong is
//! found, each with its line; nothing is sent from here.

use std::collections::{BTreeMap, HashMap};
use std::io::{Chain, Read};

use csv::{ByteRecord, ReaderBuilder, Trim};
use hoist_orchestrator_core::api::command::{ImportDevice, PUBLIC_KEY_IS, parse_public_key};
use hoist_protocol::code::Code;
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_server::closest::closest;

/// The columns there are, in the order in which they are documented.
const COLUMNS: [&str; 5] = ["id", "type", "group", "public_key", "labels"];

/// The mark that a spreadsheet may put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Follows the file, so that a quote that is still open at its end goes on over the end of a
/// line like every other; a line without content is none.
const LAST_LINE_END: &[u8] = b"\n";

/// A device and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Counted from 1, the header included.
    pub(super) line: u64,
    pub(super) device: ImportDevice,
}

/// The fault of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) what: String,
    /// The server's code for the fault; none for a fault that is seen here.
    pub(super) code: Option<Code>,
}

/// The devices of a file, and all that is wrong with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) faults: Vec<Fault>,
}

impl Table {
    fn refuse(&mut self, line: u64, what: impl Into<String>) {
        let what = what.into();
        let code = None;
        self.faults.push(Fault { line, what, code });
    }
}

/// Reads a file: UTF-8 with or without a byte order mark, `,` or `;` between the fields,
/// quotes where they are needed, any line end.
pub(super) fn read(content: &[u8]) -> Table {
    let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    let mut table = Table::default();
    let mut records = Records::new(content);
    let Some((line, header)) = records.next() else {
        table.refuse(
            1,
            format!("the file is empty; it begins with {}", example()),
        );
        return table;
    };
    let columns = match columns(&header) {
        Ok(columns) => columns,
        Err(what) => {
            table.refuse(line, what);
            return table;
        }
    };
    let mut first_lines: HashMap<String, u64> = HashMap::new();
    let mut keys: HashMap<String, u64> = HashMap::new();
    for (line, fields) in records {
        match device(&columns, &fields) {
            Ok(device) => match first_lines.insert(device.device.clone(), line) {
                None => {
                    let key = device.public_key.as_ref();
                    let key = key.map(|key| key.to_ascii_lowercase());
                    match key.and_then(|key| keys.insert(key, line)) {
                        None => table.rows.push(Row { line, device }),
                        Some(first) => {
                            table.refuse(line, format!("line {first} has this public_key too"));
                        }
                    }
                }
                Some(first) => {
                    table.refuse(line, format!("{} is on line {first} too", device.device));
                }
            },
            Err(what) => {
                // Whoever stands there once more is named for that, too.
                if let Some(id) = id(&columns, &fields) {
                    first_lines.entry(id.to_owned()).or_insert(line);
                }
                table.refuse(line, what);
            }
        }
    }
    if table.rows.is_empty() && table.faults.is_empty() {
        table.refuse(line, "no device follows the header");
    }
    table
}

fn example() -> String {
    COLUMNS[..4].join(",")
}

/// The records of a file with their lines. The reader of the format counts no lines where
/// they end in CR LF, so they are counted here.
struct Records<'a> {
    content: &'a [u8],
    reader: csv::Reader<Chain<&'a [u8], &'a [u8]>>,
    /// Bytes of which the line ends are counted.
    counted: usize,
    line: u64,
}

impl<'a> Records<'a> {
    fn new(content: &'a [u8]) -> Self {
        let first = content.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        let count = |wanted: u8| first.iter().filter(|byte| **byte == wanted).count();
        let delimiter = if count(b';') > count(b',') {
            b';'
        } else {
            b','
        };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::None)
            .delimiter(delimiter)
            .from_reader(content.chain(LAST_LINE_END));
        Self {
            content,
            reader,
            counted: 0,
            line: 1,
        }
    }

    /// The line on which a record that is read from `from` on begins.
    fn line_at(&mut self, from: usize) -> u64 {
        let is_end = |byte: &&u8| matches!(**byte, b'\r' | b'\n');
        let rest = self.content.get(from..).unwrap_or_default();
        let begin = from + rest.iter().take_while(is_end).count();
        let passed = self.content.get(self.counted..begin).unwrap_or_default();
        let ends = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line += u64::try_from(ends).unwrap_or(0);
        self.counted = begin;
        self.line
    }
}

impl Iterator for Records<'_> {
    type Item = (u64, Vec<Result<String, &'static str>>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = ByteRecord::new();
        let from = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        // Reading from memory does not fail, and records of any length are taken.
        if !self.reader.read_byte_record(&mut record).unwrap_or(false) {
            return None;
        }
        let line = self.line_at(from);
        Some((line, record.iter().map(field).collect()))
    }
}

fn field(bytes: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8; save the file as UTF-8")?;
    if text.contains(['\n', '\r']) {
        return Err("goes on over the end of the line; is a quote not closed?");
    }
    Ok(text.trim().to_owned())
}

/// Which column is at which place.
fn columns(header: &[Result<String, &'static str>]) -> Result<Vec<&'static str>, String> {
    let mut columns = Vec::new();
    for title in header {
        let title = title.as_ref().map_err(|why| format!("the header {why}"))?;
        let lower = title.to_ascii_lowercase();
        let Some(known) = COLUMNS.into_iter().find(|known| *known == lower) else {
            let meant = closest(&lower, &COLUMNS).map(|meant| format!(", did you mean {meant}?"));
            return Err(format!(
                "{title:?} is no column; the columns are {}{}",
                COLUMNS.join(", "),
                meant.unwrap_or_default()
            ));
        };
        if columns.contains(&known) {
            return Err(format!("the column {known} is there twice"));
        }
        columns.push(known);
    }
    if columns.contains(&"id") {
        Ok(columns)
    } else {
        Err(format!(
            "there is no column id; the file begins with {}",
            example()
        ))
    }
}

/// The id on a line that may be wrong otherwise.
fn id<'a>(columns: &[&str], fields: &'a [Result<String, &'static str>]) -> Option<&'a str> {
    let at = columns.iter().position(|column| *column == "id")?;
    let id = fields.get(at)?.as_deref().ok()?;
    Some(id).filter(|id| !id.is_empty())
}

/// The device of one line.
fn device(
    columns: &[&'static str],
    fields: &[Result<String, &'static str>],
) -> Result<ImportDevice, String> {
    let mut values = HashMap::new();
    for (column, field) in columns.iter().zip(fields) {
        let text = field.as_ref().map_err(|why| format!("{column} {why}"))?;
        values.insert(*column, text.as_str());
    }
    if fields.len() != columns.len() {
        let (has, wants) = (fields.len(), columns.len());
        return Err(format!("the line has {has} fields, the header {wants}"));
    }
    let given = |column: &str| {
        let text = values.get(column).copied().unwrap_or_default();
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    let device = ImportDevice {
        device: given("id").ok_or("there is no id")?,
        device_type: given("type"),
        group: given("group"),
        public_key: given("public_key"),
        labels: given("labels")
            .map(|text| labels(&text))
            .transpose()?
            .unwrap_or_default(),
    };
    check(&device)?;
    Ok(device)
}

/// `a=1 b=2`
fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    for pair in text.split_whitespace() {
        let label = pair.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = label.ok_or_else(|| {
            format!("{pair:?} is no label; labels are name=value, with spaces between them")
        })?;
        if labels.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(format!("the label {name:?} is there twice"));
        }
    }
    Ok(labels)
}

/// Checks everything that needs no server to be seen.
fn check(device: &ImportDevice) -> Result<(), String> {
    let id = &device.device;
    id.parse::<DeviceId>()
        .map_err(|error| format!("the id {id:?}: {error}"))?;
    if let Some(group) = &device.group {
        group
            .parse::<GroupId>()
            .map_err(|error| format!("the group {group:?}: {error}"))?;
    }
    match &device.public_key {
        Some(key) if parse_public_key(key).is_none() => {
            Err(format!("the public_key is not {PUBLIC_KEY_IS}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
