//! `hoist group …`

use hoist_orchestrator_core::api::command::{GroupCreate, GroupRemove, Verb};
use hoist_server::failure::Failure;
use serde_json::{Map, Value};

use crate::args::Group;
use crate::context::Context;
use crate::output::{Shape, Show, column};

const SHAPE: Shape = Shape {
    name: "group",
    columns: &[
        column("GROUP", "/group", Show::Plain),
        column("MEMBERS", "/members", Show::Plain),
        column("ONLINE", "/online", Show::Plain),
        column("ACTIVE DEPLOYMENTS", "/deployments", Show::Plain),
        column("FROZEN", "", Show::Made(frozen)),
        column("SELECTOR", "/selector", Show::Plain),
    ],
};

/// By whom it is frozen, if it is.
fn frozen(item: &Value) -> String {
    match item["frozen"]["by"].as_str() {
        Some(by) => format!("by {by}"),
        None => "-".to_owned(),
    }
}

/// Runs one of the group commands.
pub(crate) async fn run(context: &Context, command: Group) -> Result<u8, Failure> {
    match command {
        Group::Create {
            group,
            selector,
            dry_run,
        } => {
            let sentence = match dry_run {
                false => format!("group {group} created"),
                true => format!("group {group} would be created; nothing was changed"),
            };
            let body = GroupCreate {
                group,
                selector,
                dry_run,
            };
            let created = context.command(Verb::GroupCreate, &body).await?;
            context.print_change(&SHAPE, &created, &sentence)
        }
        Group::Remove { group, dry_run } => {
            let sentence = match dry_run {
                false => format!("group {group} removed"),
                true => format!("group {group} would be removed; nothing was changed"),
            };
            let body = GroupRemove { group, dry_run };
            let removed = context.command(Verb::GroupRemove, &body).await?;
            context.print_change(&SHAPE, &removed, &sentence)
        }
        Group::List => {
            context
                .print_list(Verb::GroupList, Map::new(), None, &SHAPE)
                .await
        }
    }
}
