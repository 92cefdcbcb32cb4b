//! `hoist freeze` and `hoist unfreeze`

use hoist_orchestrator_core::api::command::{Freeze, Unfreeze, Verb};
use hoist_server::failure::Failure;

use crate::args;
use crate::context::Context;
use crate::output::{Shape, Show, column};

const SHAPE: Shape = Shape {
    name: "group",
    columns: &[
        column("GROUP", "/group", Show::Plain),
        column("FROZEN", "/frozen", Show::Plain),
    ],
};

/// `hoist freeze`
pub(crate) async fn freeze(context: &Context, wish: args::Freeze) -> Result<u8, Failure> {
    let what = subject(wish.group.as_deref());
    let sentence = match wish.dry_run {
        false => {
            let lift = match &wish.group {
                Some(group) => format!("`hoist unfreeze {group}`"),
                None => "`hoist unfreeze`".to_owned(),
            };
            format!(
                "{what} is frozen: nobody starts anything, who has started finishes; lift it with {lift}"
            )
        }
        true => format!("{what} would be frozen; nothing was changed"),
    };
    let body = Freeze {
        group: wish.group,
        dry_run: wish.dry_run,
    };
    let result = context.command(Verb::Freeze, &body).await?;
    context.print_change(&SHAPE, &result, &sentence)
}

/// `hoist unfreeze`
pub(crate) async fn unfreeze(context: &Context, wish: args::Freeze) -> Result<u8, Failure> {
    let what = subject(wish.group.as_deref());
    let dry_run = wish.dry_run;
    let body = Unfreeze {
        group: wish.group,
        dry_run,
    };
    let result = context.command(Verb::Unfreeze, &body).await?;
    let sentence = match (dry_run, result["frozen"] == true) {
        (true, _) => format!("{what} would be let go; nothing was changed"),
        (false, true) => format!("{what} is frozen with everything else: `hoist unfreeze`"),
        (false, false) => format!("{what} is frozen no more: what waited begins"),
    };
    context.print_change(&SHAPE, &result, &sentence)
}

fn subject(group: Option<&str>) -> String {
    group.map_or_else(|| "everything".to_owned(), |group| format!("group {group}"))
}
