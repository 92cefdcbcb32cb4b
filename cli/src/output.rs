//! The output of results on standard output: tables for people, JSON for programs. A
//! state is never shown by color alone; there is no color.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use hoist_orchestrator_core::reply::API_VERSION;
use hoist_server::closest::closest;
use serde::Deserialize;
use serde_json::{Map, Value};

pub(crate) mod color;
pub(crate) mod failure;
pub(crate) mod new_file;
pub(crate) mod plural;
pub(crate) mod secret_output;
pub(crate) mod text;
pub(crate) mod told;

/// The form in which results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// A table for people
    Table,
    /// A table with every column
    Wide,
    /// JSON: an object, or a list of objects
    Json,
    /// One JSON object per line
    Ndjson,
    /// Names only, one per line
    Name,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Name => "name",
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false).map_err(|_| {
            let all = ["table", "wide", "json", "ndjson", "name"];
            let meant = closest(text, &all).map(|meant| format!(", did you mean {meant}?"));
            format!(
                "{text:?} is none of {}{}",
                all.join(", "),
                meant.unwrap_or_default()
            )
        })
    }
}

/// Pairs that a narrow table shows.
const PAIRS_FEW: usize = 1;

/// One column of a table.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) width: Width,
    /// Where the cell is: a JSON pointer into the item.
    pub(crate) pointer: &'static str,
    pub(crate) show: Show,
}

/// In which tables a column is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// Always.
    Always,
    /// Without `-o wide`, where another column says more.
    Narrow,
    /// With `-o wide`.
    Wide,
}

/// The form in which a cell is written.
#[derive(Clone, Copy)]
pub(crate) enum Show {
    /// As it is.
    Plain,
    /// The first digits of a long id.
    Short,
    /// An RFC 3339 time, relative to now.
    Ago,
    /// The same of something that may be happening now.
    Seen,
    /// A map as `a=1 b=2`.
    Pairs,
    /// As much of such a map as a narrow table has room for.
    FewPairs,
    /// The text that this function makes of the whole item.
    Made(fn(&Value) -> String),
}

/// The shape of items of one kind.
pub(crate) struct Shape {
    /// The field that names an item.
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
}

/// A column that is always shown.
pub(crate) const fn column(title: &'static str, pointer: &'static str, show: Show) -> Column {
    Column {
        title,
        width: Width::Always,
        pointer,
        show,
    }
}

/// A column that `-o wide` shows otherwise.
pub(crate) const fn narrow(title: &'static str, pointer: &'static str, show: Show) -> Column {
    Column {
        title,
        width: Width::Narrow,
        pointer,
        show,
    }
}

/// A column of `-o wide`.
pub(crate) const fn wide(title: &'static str, pointer: &'static str, show: Show) -> Column {
    Column {
        title,
        width: Width::Wide,
        pointer,
        show,
    }
}

/// Prints many items.
pub(crate) fn list(format: Format, shape: &Shape, items: &[Value], now: SystemTime) -> String {
    match format {
        Format::Table | Format::Wide => table(format, shape, items, now),
        Format::Json => pretty(&Value::Array(items.iter().map(versioned).collect())),
        Format::Ndjson => lines(items.iter().map(|item| versioned(item).to_string())),
        Format::Name => lines(items.iter().map(|item| text(item.get(shape.name)))),
    }
}

/// Prints one item: for people, every field on its own line.
pub(crate) fn one(format: Format, shape: &Shape, item: &Value) -> String {
    match format {
        Format::Table | Format::Wide => {
            let mut rows = Vec::new();
            flatten("", item, &mut rows);
            let widths = rows.iter().map(|(name, _)| name.chars().count());
            let width = widths.max().unwrap_or(0);
            let indent = format!("\n{:width$}  ", "");
            lines(rows.iter().map(|(name, value)| {
                let value = value.trim_end().replace('\n', &indent);
                format!("{name:width$}  {value}")
            }))
        }
        Format::Json => pretty(&versioned(item)),
        Format::Ndjson => lines([versioned(item).to_string()]),
        Format::Name => lines([text(item.get(shape.name))]),
    }
}

fn table(format: Format, shape: &Shape, items: &[Value], now: SystemTime) -> String {
    if items.is_empty() {
        return "(none)\n".to_owned();
    }
    let columns: Vec<&Column> = shape
        .columns
        .iter()
        .filter(|column| match column.width {
            Width::Always => true,
            Width::Narrow => format != Format::Wide,
            Width::Wide => format == Format::Wide,
        })
        .collect();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.iter().map(|column| column.title));
    for item in items {
        table.add_row(columns.iter().map(|column| cell(column, item, now)));
    }
    lines(table.lines().map(|line| line.trim().to_owned()))
}

fn cell(column: &Column, item: &Value, now: SystemTime) -> String {
    let value = item.pointer(column.pointer);
    match (column.show, value) {
        (Show::Short, Some(Value::String(id))) => id.chars().take(12).collect(),
        (Show::Ago, Some(Value::String(time))) => ago(time, now),
        (Show::Seen, _) if item["presence"] == "online" => "now".to_owned(),
        (Show::Seen, Some(Value::String(time))) => ago(time, now),
        (Show::Made(make), _) => printable(&make(item)),
        (Show::Pairs, Some(Value::Object(map))) => pairs(map, usize::MAX),
        (Show::FewPairs, Some(Value::Object(map))) => pairs(map, PAIRS_FEW),
        (_, value) => text(value),
    }
}

fn pairs(map: &Map<String, Value>, most: usize) -> String {
    let shown = map.iter().take(most);
    let mut shown: Vec<String> = shown
        .map(|(name, value)| format!("{}={}", printable(name), text(Some(value))))
        .collect();
    match map.len().saturating_sub(most) {
        0 if shown.is_empty() => return "-".to_owned(),
        0 => {}
        more => shown.push(format!("+{more}")),
    }
    shown.join(" ")
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| text(Some(item))).collect();
            if items.is_empty() {
                "-".to_owned()
            } else {
                items.join(",")
            }
        }
        Some(Value::Object(fields)) if fields.is_empty() => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// Text that may come from a device: nothing in it commands the terminal, or turns round the
/// order in which what stands beside it is shown.
pub(crate) fn printable(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let harmless = |c: char| {
        if c.is_control() && c != '\n' || turns(c) {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(harmless).collect()
}

/// The time that has passed since then, in its largest unit.
pub(crate) fn ago(time: &str, now: SystemTime) -> String {
    let Ok(then) = humantime::parse_rfc3339(time) else {
        return time.to_owned();
    };
    match now.duration_since(then) {
        Ok(past) => format!("{} ago", largest_unit(past)),
        Err(future) => format!("in {}", largest_unit(future.duration())),
    }
}

fn largest_unit(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != "apiVersion") {
                let name = printable(name).replace('\n', " ");
                let name = if prefix.is_empty() {
                    name
                } else {
                    format!("{prefix}.{name}")
                };
                flatten(&name, value, rows);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{prefix}.{}", index + 1), item, rows);
            }
        }
        other => rows.push((prefix.to_owned(), text(Some(other)))),
    }
}

/// The item with the version of its format.
pub(crate) fn versioned(item: &Value) -> Value {
    let mut fields = Map::new();
    fields.insert("apiVersion".to_owned(), API_VERSION.into());
    match item {
        Value::Object(own) => fields.extend(own.clone()),
        other => drop(fields.insert("value".to_owned(), other.clone())),
    }
    Value::Object(fields)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests;
