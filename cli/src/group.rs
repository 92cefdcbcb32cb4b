//! `hoist group …`

use serde_json::{Map, json};

use crate::args::Group;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Shape, Show, column};

const SHAPE: Shape = Shape {
    name: "group",
    columns: &[
        column("GROUP", "/group", Show::Plain),
        column("MEMBERS", "/members", Show::Plain),
    ],
};

/// Runs one of the group commands.
pub(crate) async fn run(context: &Context, command: Group) -> Result<u8, Failure> {
    match command {
        Group::Create { group } => {
            context
                .command("group-create", &json!({"group": group}))
                .await?;
            let sentence = format!("group {group} created");
            context.print_change(&SHAPE, &json!({"group": group}), &sentence)
        }
        Group::List => {
            context
                .print_list("group-list", Map::new(), None, &SHAPE)
                .await
        }
    }
}
