//! `hoist policy …`

use hoist_orchestrator_core::api::command::rollout::Rollout;
use hoist_orchestrator_core::api::command::{PolicyPut, PolicyShow, Verb};
use hoist_orchestrator_core::reply::PolicyDetail;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use serde_json::Map;

use crate::args::Policy;
use crate::commands::wish::rollout::read;
use crate::context::{Context, print};
use crate::exit;
use crate::output::{self, Format, Shape, Show, column, printable};

const SHAPE: Shape = Shape {
    name: "policy",
    columns: &[
        column("POLICY", "/policy", Show::Plain),
        column("PUT", "/createdAt", Show::Ago),
        column("BY", "/by", Show::Plain),
    ],
};

/// Runs one of the policy commands.
pub(crate) async fn run(context: &Context, command: Policy) -> Result<u8, Failure> {
    match command {
        Policy::Put {
            name,
            file,
            dry_run,
        } => {
            let rollout = read(&file)?;
            let body = PolicyPut {
                name,
                rollout,
                dry_run,
            };
            let put = context.command(Verb::PolicyPut, &body).await?;
            let policy = put["policy"].as_str().unwrap_or_default();
            let sentence = match dry_run {
                false => format!("policy {policy} is there: hoist deploy … --policy {policy}"),
                true => format!("it would be policy {policy}; nothing was changed"),
            };
            context.print_change(&SHAPE, &put, &sentence)
        }
        Policy::List => {
            context
                .print_list(Verb::PolicyList, Map::new(), None, &SHAPE)
                .await
        }
        Policy::Show { policy } => {
            let shown = context
                .command(Verb::PolicyShow, &PolicyShow { policy })
                .await?;
            match context.format() {
                Format::Table | Format::Wide => {
                    let detail: PolicyDetail = serde_json::from_value(shown)
                        .map_err(|error| Failure::because(Code::Reply, "the policy", &error))?;
                    print(&printable(&toml_of(&detail)?))?;
                }
                format => print(&output::one(format, &SHAPE, &shown))?,
            }
            Ok(exit::OK)
        }
    }
}

/// As the file that `put` takes, below a comment.
fn toml_of(detail: &PolicyDetail) -> Result<String, Failure> {
    let rollout: Rollout = serde_json::from_value(detail.rollout.clone())
        .map_err(|error| Failure::because(Code::Reply, "the policy", &error))?;
    let text = toml::to_string(&rollout)
        .map_err(|error| Failure::because(Code::System, "the policy as TOML", &error))?;
    let policy = &detail.policy;
    Ok(format!(
        "# {}, put by {} at {}\n{text}",
        policy.policy, policy.by, policy.created_at
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_shown_can_be_put_again() {
        let detail: PolicyDetail = serde_json::from_value(json!({
            "policy": "careful@3", "name": "careful", "version": 3, "by": "al",
            "createdAt": "2027-01-01T00:00:00Z",
            "rollout": {"phases": [{"percent": 0.5, "gate": {"minEnded": 2}}], "order": "stable",
                "windows": {"timeZone": "UTC", "open": [{"days": "mon", "from": "02:00", "minutes": 9}]}},
        }))
        .unwrap();
        let text = toml_of(&detail).unwrap();
        assert!(text.starts_with("# careful@3, put by al at 2027-01-01T00:00:00Z\n"));
        let again: Rollout = toml::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(again).unwrap(), detail.rollout);
    }
}
