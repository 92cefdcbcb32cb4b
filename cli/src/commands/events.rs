//! `hoist events`: what happened, from the server's history, and what happens from now on.

mod sink;

use std::time::Duration;

use hoist_orchestrator_core::api::command::Verb;
use hoist_server::failure::Failure;
use serde_json::{Map, Value};

use crate::args::{Events, EventsCommand};
use crate::client::Client;
use crate::context::{Context, list, print};
use crate::exit;
use crate::output::{Format, Shape, Show, column, narrow, printable, versioned, wide};
use crate::signals::Ends;

/// Time between two questions whether there is more.
const PAUSE: Duration = Duration::from_secs(1);

const SHAPE: Shape = Shape {
    name: "id",
    columns: &[
        narrow("WHEN", "/time", Show::Ago),
        wide("TIME", "/time", Show::Plain),
        column("KIND", "/kind", Show::Plain),
        column("WHAT", "", Show::Made(what)),
        wide("ID", "/id", Show::Plain),
    ],
};

/// The fields of an event as `name=value`, in the order of their names.
fn what(item: &Value) -> String {
    let fields = item["data"].as_object();
    let fields = fields.into_iter().flatten();
    let said = fields
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={value}")
        });
    said.collect::<Vec<_>>().join(" ")
}

/// Runs it.
pub(crate) async fn events(context: &Context, wish: Events) -> Result<u8, Failure> {
    if let Some(EventsCommand::Sink(command)) = wish.command {
        return sink::run(context, command).await;
    }
    let mut filter = Map::new();
    filter.insert("since".to_owned(), Value::String(wish.since));
    filter.extend(
        wish.kind
            .map(|kind| ("kind".to_owned(), Value::String(kind))),
    );
    if !wish.follow {
        let items = context.print_list(Verb::EventList, filter, None, &SHAPE);
        return items.await;
    }
    let mut client = context.client().await?;
    let followed = follow(context.format(), &mut client, filter).await;
    client.close().await;
    followed
}

/// Prints what there is, and what is new, for ever: who follows ends it.
async fn follow(
    format: Format,
    client: &mut Client,
    mut filter: Map<String, Value>,
) -> Result<u8, Failure> {
    let mut ends = Ends::listen()?;
    loop {
        let items = list(client, Verb::EventList, filter.clone(), None).await?;
        print(&lines(format, &items))?;
        if let Some(last) = items.last() {
            filter.insert("afterEvent".to_owned(), last["id"].clone());
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = ends.requested() => return Ok(exit::OK),
        }
    }
}

/// A line for each, since a table has no end.
fn lines(format: Format, items: &[Value]) -> String {
    let line = |item: &Value| match format {
        Format::Json | Format::Ndjson => format!("{}\n", versioned(item)),
        Format::Name => format!("{}\n", item["id"].as_str().unwrap_or_default()),
        Format::Table | Format::Wide => {
            let text = |field: &str| printable(item[field].as_str().unwrap_or_default());
            let what = printable(&what(item)).replace('\n', " ");
            format!("{}  {:<20}  {what}\n", text("time"), text("kind"))
        }
    };
    items.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_with_its_fields() {
        let item = json!({
            "id": "1-2", "time": "2026-01-31T06:00:00Z", "kind": "device-failed",
            "data": {"device": "d1", "deployment": 7, "rollback": null, "reason": "a\nb"},
        });
        let line = lines(Format::Table, std::slice::from_ref(&item));
        assert!(
            line.starts_with("2026-01-31T06:00:00Z  device-failed "),
            "{line}"
        );
        assert!(line.contains("deployment=7 device=d1 reason=a"), "{line}");
        assert_eq!(line.lines().count(), 1);
        let line = lines(Format::Ndjson, &[item]);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["apiVersion"], "hoist/v1");
    }
}
