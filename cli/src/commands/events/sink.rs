//! `hoist events sink …`: whom a server tells of events. It works on the files of the server, and not
//! over the network: a sink makes the server run programs and speak to machines that it reaches.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hoist_protocol::code::Code;
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::sinks::{self, Sink, Standing, deliver, standing, test_event};
use serde_json::{Value, json};

use crate::args::{SinkAdd, SinkCommand, SinkTerms};
use crate::context::{Context, print};
use crate::exit;
use crate::output::{self, Shape, Show, column, versioned, wide};

const SHAPE: Shape = Shape {
    name: "id",
    columns: &[
        column("ID", "/id", Show::Plain),
        column("KIND", "/kind", Show::Plain),
        column("TO", "/to", Show::Plain),
        column("BEHIND", "/behind", Show::Plain),
        column("NOT TAKEN", "/dead", Show::Plain),
        column("WHY", "/why", Show::Plain),
        wide("FAILING SINCE", "/failingSince", Show::Ago),
        wide("KINDS", "/kinds", Show::Plain),
    ],
};

/// Runs one of the commands about sinks.
pub(super) async fn run(context: &Context, command: SinkCommand) -> Result<u8, Failure> {
    let data_dir = DataDir::new(&context.settings.data_dir.value);
    data_dir.must_be_one()?;
    let root = data_dir.root();
    match command {
        SinkCommand::Add(add) => {
            let sink = added(root, add)?;
            let said = format!("sink {} is told what happens from now on\n", sink.id);
            context.print_change(&SHAPE, &item(&sink, &Standing::default()), &said)
        }
        SinkCommand::List => {
            let sinks = sinks::read(root)?.into_iter();
            let items = sinks.map(|sink| item(&sink, &standing(root, &sink.id)));
            let items: Vec<Value> = items.collect();
            let now = SystemTime::now();
            print(&output::list(context.format(), &SHAPE, &items, now))?;
            Ok(exit::OK)
        }
        SinkCommand::Remove { id } => {
            let (sink, others) = found(root, &id)?;
            sinks::write(root, others)?;
            let said = format!("sink {id} is told nothing more\n");
            context.print_change(&SHAPE, &item(&sink, &Standing::default()), &said)
        }
        SinkCommand::Test { id } => {
            let (sink, _) = found(root, &id)?;
            test(context, &sink).await
        }
        SinkCommand::Dead { id } => {
            let (sink, _) = found(root, &id)?;
            let dead = standing(root, &sink.id).dead;
            let lines = dead.iter().map(|it| format!("{}\n", versioned(it)));
            print(&lines.collect::<String>())?;
            Ok(exit::OK)
        }
    }
}

/// Writes a new sink, once it is known to be usable.
fn added(root: &Path, add: SinkAdd) -> Result<Sink, Failure> {
    let mut all = sinks::read(root)?;
    let (kind, terms) = match &add {
        SinkAdd::Webhook { terms, .. } => ("webhook", terms.clone()),
        SinkAdd::Exec { terms, .. } => ("exec", terms.clone()),
    };
    let SinkTerms {
        id,
        kinds,
        timeout,
        give_up,
    } = terms;
    let free = |number: &usize| {
        !all.iter()
            .any(|it| it.id.as_str() == format!("{kind}{number}"))
    };
    let next = (1..=sinks::SINKS_MAX).find(free).unwrap_or_default();
    let id = id.unwrap_or_else(|| format!("{kind}{next}"));
    if all.iter().any(|sink| sink.id.as_str() == id) {
        let what = format!("there is a sink {id}");
        return Err(Failure::new(Code::Config, what)
            .help("remove it first, or give the new one another name with --id"));
    }
    let named = |error| Failure::because(Code::Name, format!("{id:?} is no name"), &error);
    let mut sink = Sink::new(&id).map_err(named)?;
    sink.kinds = kinds;
    sink.timeout_secs = timeout.as_secs();
    sink.give_up_secs = give_up.as_secs();
    match add {
        SinkAdd::Webhook {
            url, secret, ca, ..
        } => {
            sink.webhook = Some(url);
            sink.secret_file = Some(whole(&secret)?);
            sink.ca = ca.as_deref().map(whole).transpose()?;
        }
        SinkAdd::Exec { command, .. } => sink.exec = command,
    }
    let _usable = sink.target()?;
    if all.len() >= sinks::SINKS_MAX {
        let what = format!("there are {} sinks", sinks::SINKS_MAX);
        return Err(Failure::new(Code::Config, what).help("remove one first"));
    }
    all.push(sink.clone());
    sinks::write(root, all)?;
    Ok(sink)
}

/// The whole name of a file: the server works in another folder.
fn whole(path: &Path) -> Result<PathBuf, Failure> {
    std::fs::canonicalize(path).map_err(|error| {
        Failure::because(
            Code::Config,
            format!("cannot read {}", path.display()),
            &error,
        )
    })
}

/// A sink, and all others.
fn found(root: &Path, id: &str) -> Result<(Sink, Vec<Sink>), Failure> {
    let mut all = sinks::read(root)?;
    match all.iter().position(|sink| sink.id.as_str() == id) {
        Some(at) => Ok((all.remove(at), all)),
        None => {
            let what = format!("there is no sink {id}");
            Err(Failure::new(Code::Config, what).help("`hoist events sink list` shows them"))
        }
    }
}

async fn test(context: &Context, sink: &Sink) -> Result<u8, Failure> {
    let event = test_event(context.settings.namespace.value.as_str(), SystemTime::now());
    match deliver(sink, &event).await {
        Ok(()) => {
            let said = format!("sink {} took event {}\n", sink.id, event.id);
            context.print_change(&SHAPE, &item(sink, &Standing::default()), &said)
        }
        Err(why) => {
            let what = format!("sink {} did not take the event: {why}", sink.id);
            Err(Failure::new(Code::Http, what).help("look at the other side, and try again"))
        }
    }
}

fn item(sink: &Sink, standing: &Standing) -> Value {
    let (kind, to) = match &sink.webhook {
        Some(url) => ("webhook", url.clone()),
        None => ("exec", sink.exec.join(" ")),
    };
    let progress = standing.progress.as_ref();
    let since = progress.and_then(|progress| progress.failing_since);
    let since = since.map(|since_s| {
        hoist_orchestrator_core::model::time::format_time(since_s.saturating_mul(1_000))
    });
    json!({
        "id": sink.id.as_str(), "kind": kind, "to": to, "kinds": sink.kinds.join(","),
        "behind": progress.map(|progress| &progress.behind),
        "failingSince": since,
        "why": progress.and_then(|progress| progress.why.as_ref()),
        "dead": standing.dead.len(),
    })
}
