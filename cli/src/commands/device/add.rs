//! `hoist device add`, and the agent.toml of a device, which holds its token.

use std::path::PathBuf;

use hoist_orchestrator_core::api::command::{DeviceAdd, Verb};
use hoist_orchestrator_core::reply::DeviceAddResult;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use serde_json::Value;

use super::SHAPE;
use crate::args;
use crate::client::agent_file::{self, Written, agent_toml};
use crate::context::Context;
use crate::exit;
use crate::output::{self, Format, secret_output};

/// Registers a device; prints its agent.toml, which holds the token this once, or writes it.
pub(super) async fn run(context: &Context, wish: args::DeviceAdd) -> Result<u8, Failure> {
    let out = wish.out;
    if let Some(path) = &out {
        agent_file::check(path, &wish.device, &context.settings.data_dir.value)?;
    }
    let body = DeviceAdd {
        device: wish.device,
        device_type: wish.device_type,
        group: wish.group,
        labels: wish.labels.into_iter().collect(),
        dry_run: wish.dry_run,
    };
    let added = context.command(Verb::DeviceAdd, &body).await?;
    if body.dry_run {
        let (device, group) = (&body.device, added["group"].as_str().unwrap_or("?"));
        let sentence = format!("{device} would be in group {group}; nothing was changed");
        return context.print_change(&SHAPE, &added, &sentence);
    }
    let device = &body.device;
    let told = Told {
        what: format!("{device} is registered"),
        again: "the same command again prints the same".to_owned(),
    };
    let device_type = body.device_type.as_deref();
    hand_over(context, (out, device_type), &added, &told)
}

/// The words about a token beside it.
pub(super) struct Told {
    /// What became of the device.
    pub(super) what: String,
    /// How to see the token again.
    pub(super) again: String,
}

/// Prints the agent.toml of a device, as the server has answered, or writes it.
pub(super) fn hand_over(
    context: &Context,
    (out, device_type): (Option<PathBuf>, Option<&str>),
    answer: &Value,
    told: &Told,
) -> Result<u8, Failure> {
    let result: DeviceAddResult = serde_json::from_value(answer.clone())
        .map_err(|error| Failure::because(Code::Reply, "the answer with a token", &error))?;
    let text = agent_toml(&context.client_file()?, device_type, &result)?;
    let Told { what, again } = told;
    if let Some(path) = out {
        let kept = match agent_file::write(&path, &text)? {
            Written::New => "for its owner only",
            Written::Changed => "where settings of its own stayed",
            Written::Unchanged => "which said the same already",
        };
        let sentence = format!("{what}; its agent.toml is {}, {kept}", path.display());
        return context.print_change(&SHAPE, answer, &sentence);
    }
    let shown = match context.format() {
        Format::Table | Format::Wide => text,
        format => output::one(format, &SHAPE, answer),
    };
    secret_output::print(&shown, &format!("{what}; {again}"))?;
    Ok(exit::OK)
}
