//! `hoist audit …`: the audit trail, its copy in a file, and the proof that both are whole.

mod verdict;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use hoist_orchestrator_core::api::command::Verb;
use hoist_orchestrator_core::model::row::AuditHash;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use hoist_server::private_file;
use serde_json::{Map, Value, json};

use crate::args::Audit;
use crate::client::Client;
use crate::context::{Context, print};
use crate::exit;
use crate::output::plural::count;
use crate::output::text::fitted;
use crate::output::{self, Format, Shape, Show, column, narrow, printable, versioned, wide};
use verdict::Verdict;

/// Characters of a text that a narrow table has room for.
const FROM_CHARS: usize = 15;
const TARGET_CHARS: usize = 20;

const SHAPE: Shape = Shape {
    name: "request",
    columns: &[
        narrow("WHEN", "/at", Show::Ago),
        wide("AT", "/at", Show::Plain),
        column("USER", "/user", Show::Plain),
        narrow("FROM", "", Show::Made(short_from)),
        wide("FROM", "/from", Show::Plain),
        column("VERB", "/verb", Show::Plain),
        narrow("TARGET", "", Show::Made(short_target)),
        wide("TARGET", "/target", Show::Plain),
        column("RESULT", "/result", Show::Plain),
        wide("REQUEST", "/request", Show::Plain),
        wide("HASH", "/hash", Show::Short),
    ],
};

const VERDICT: Shape = Shape {
    name: "head",
    columns: &[],
};

const EXPORTED: Shape = Shape {
    name: "file",
    columns: &[],
};

fn short_from(item: &Value) -> String {
    short(&item["from"], FROM_CHARS)
}

fn short_target(item: &Value) -> String {
    short(&item["target"], TARGET_CHARS)
}

fn short(text: &Value, most: usize) -> String {
    let text = text.as_str().filter(|text| !text.is_empty());
    let text = text.unwrap_or("-");
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// Runs one of the commands about the audit trail.
pub(crate) async fn run(context: &Context, command: Audit) -> Result<u8, Failure> {
    match command {
        Audit::List { user, since } => {
            let filter = [("user", user), ("since", since)];
            let filter = filter.into_iter().filter_map(|(name, value)| {
                let value = Value::String(value?);
                Some((name.to_owned(), value))
            });
            let filter: Map<String, Value> = filter.collect();
            context
                .print_list(Verb::AuditList, filter, None, &SHAPE)
                .await
        }
        Audit::Verify { file, head } => verify(context, file.as_deref(), head).await,
        Audit::Export { out: None } => {
            let mut whole = Verdict::default();
            let mut print_page = |page: Vec<Value>| {
                let lines = page.iter().map(|item| line(&mut whole, item));
                print(&lines.collect::<String>())
            };
            each_page(context, &mut print_page).await?;
            Ok(exit::OK)
        }
        Audit::Export { out: Some(out) } => export(context, &out).await,
    }
}

/// Hands the whole trail over, page after page.
async fn each_page(
    context: &Context,
    take: &mut impl FnMut(Vec<Value>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut client = context.client().await?;
    let handed = pages(&mut client, take).await;
    client.close().await;
    handed
}

async fn pages(
    client: &mut Client,
    take: &mut impl FnMut(Vec<Value>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut body = Map::new();
    loop {
        let mut page = client.command(Verb::AuditList, &body).await?;
        let Value::Array(items) = page["items"].take() else {
            let what = "the answer to audit-list has no items";
            return Err(Failure::new(Code::Reply, what));
        };
        take(items)?;
        match page["next"].take() {
            Value::Null => return Ok(()),
            next => drop(body.insert("after".to_owned(), next)),
        }
    }
}

/// An item as a line of a file, looked at on the way.
fn line(verdict: &mut Verdict, item: &Value) -> String {
    verdict.take(item);
    format!("{}\n", versioned(item))
}

async fn export(context: &Context, out: &Path) -> Result<u8, Failure> {
    let unwritten = |error: &dyn std::error::Error| {
        let help = "name a new file, in a directory that is there";
        Failure::because(Code::File, format!("--out {}", out.display()), error).help(help)
    };
    let data_dir = &context.settings.data_dir.value;
    private_file::check_outside(out, data_dir).map_err(|error| unwritten(&error))?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(out);
    let mut file = BufWriter::new(file.map_err(|error| unwritten(&error))?);
    let mut verdict = Verdict::default();
    let mut write_page = |page: Vec<Value>| {
        let lines = page.iter().map(|item| line(&mut verdict, item));
        let lines: String = lines.collect();
        let written = file.write_all(lines.as_bytes());
        written.map_err(|error| unwritten(&error))
    };
    let handed = each_page(context, &mut write_page).await;
    let synced = handed.and_then(|()| synced(file).map_err(|error| unwritten(&error)));
    if let Err(failure) = synced {
        // A half would be taken for the whole.
        let _ = fs::remove_file(out);
        return Err(failure);
    }
    let (items, head) = (verdict.chain.items, HEXLOWER.encode(&verdict.chain.hash));
    let (path, items_are) = (out.display(), count(items, "item"));
    let sentence = format!("{items_are} written to {path}; head {head}");
    let item = json!({"file": out, "items": items, "head": head});
    let printed = context.print_change(&EXPORTED, &item, &sentence)?;
    match verdict.broken {
        Some(_) => judged(context, &verdict),
        None => Ok(printed),
    }
}

fn synced(file: BufWriter<File>) -> io::Result<()> {
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

async fn verify(
    context: &Context,
    file: Option<&Path>,
    head: Option<AuditHash>,
) -> Result<u8, Failure> {
    let mut verdict = Verdict::looking_for(head);
    match file {
        Some(file) => read(file, &mut verdict)?,
        None => {
            let mut take = |page: Vec<Value>| {
                page.iter().for_each(|item| verdict.take(item));
                Ok(())
            };
            each_page(context, &mut take).await?;
        }
    }
    judged(context, &verdict)
}

/// Reads an exported file.
fn read(path: &Path, verdict: &mut Verdict) -> Result<(), Failure> {
    let unread = |error: &dyn std::error::Error| {
        Failure::because(Code::File, path.display().to_string(), error)
            .help("name a file that `hoist audit export` wrote")
    };
    let file = File::open(path).map_err(|error| unread(&error))?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|error| unread(&error))?;
        // Of what is no JSON nothing fits.
        verdict.take(&serde_json::from_str(&line).unwrap_or_default());
    }
    Ok(())
}

fn judged(context: &Context, verdict: &Verdict) -> Result<u8, Failure> {
    match context.format() {
        Format::Table | Format::Wide => {
            let sentences = verdict.sentences();
            let shown = sentences.iter().map(|said| fitted(&printable(said)));
            print(&shown.collect::<String>())?;
        }
        format => print(&output::one(format, &VERDICT, &verdict.item()))?,
    }
    Ok(match verdict.is_whole() {
        true => exit::OK,
        false => exit::ERROR,
    })
}
