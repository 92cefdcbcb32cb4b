//! `hoist device …`

use std::time::SystemTime;

use hoist_orchestrator_core::api::command::{
    DeviceApprove, DeviceHold, DeviceRemove, DeviceShow, Verb,
};
use hoist_orchestrator_core::reply::{DeviceDetail, StatusWord};
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use serde_json::{Map, Value, json};

use crate::args::{self, Device, DeviceToken};
use crate::commands::confirm::may_remove;
use crate::commands::{import, why};
use crate::context::{Context, print};
use crate::exit;
use crate::output::{Format, Shape, Show, column, narrow, printable, wide};

mod access;
mod add;
mod select;
mod shown;

const SHAPE: Shape = Shape {
    name: "device",
    columns: &[
        column("DEVICE", "/device", Show::Plain),
        column("GROUP", "/group", Show::Plain),
        column("PRESENCE", "", Show::Made(presence)),
        column("STATUS", "", Show::Made(status)),
        column("REASON", "", Show::Made(reason)),
        narrow("INSTALLED", "/installed", Show::FewPairs),
        wide("INSTALLED", "/installed", Show::Pairs),
        wide("SEEN", "/lastSeen", Show::Seen),
        wide("DEPLOYMENT", "/deployment", Show::Plain),
        wide("ROLLBACK", "/rollback", Show::Plain),
        wide("REFUSED", "/refused/code", Show::Plain),
        wide("HELD", "/held", Show::Plain),
        wide("ATTEMPT", "/attempt", Show::Plain),
        wide("ROUND", "/round", Show::Plain),
        wide("PROVISIONAL", "/provisional", Show::Plain),
        wide("LATE", "/late", Show::Plain),
    ],
};

/// The presence in a word; of a device that was revoked, that.
fn presence(item: &Value) -> String {
    let word = match item["revoked"].is_null() {
        true => item["presence"].as_str().unwrap_or("-"),
        false => "revoked",
    };
    word.to_owned()
}

/// The status in a word: of a device at work, what it does.
fn status(item: &Value) -> String {
    let word = |field: &str| item[field].as_str();
    let said = match word("status") {
        Some("inProgress") if item["retrying"] == true => "retrying",
        Some("inProgress") => word("step").unwrap_or("in progress"),
        status => status.unwrap_or("-"),
    };
    match (said, item["progressPercent"].as_u64()) {
        ("downloading", Some(percent)) => format!("{said} {percent}%"),
        _ => said.to_owned(),
    }
}

/// Why it failed, and what it says is wrong with itself.
fn reason(item: &Value) -> String {
    let words = ["reason", "trouble"].map(|field| item[field].as_str());
    let words: Vec<&str> = words.into_iter().flatten().collect();
    match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(", "),
    }
}

/// Runs one of the device commands.
pub(crate) async fn run(context: &Context, command: Device) -> Result<u8, Failure> {
    match command {
        Device::Add(wish) => add::run(context, wish).await,
        Device::Import(wish) => import::run(context, &wish).await,
        Device::List {
            group,
            selector,
            status,
            deployment,
            limit,
        } => {
            let filter = given([
                ("group", group.map(Value::from)),
                ("selector", selector.map(Value::from)),
                (
                    "status",
                    status.map(|status| json!(StatusWord::from(status))),
                ),
                ("deployment", deployment.map(Value::from)),
            ]);
            let verb = Verb::DeviceList;
            context.print_list(verb, filter, limit, &SHAPE).await
        }
        Device::Show { device } => show(context, device).await,
        Device::Why(wish) => why::device(context, wish).await,
        Device::Label(wish) => select::label(context, wish).await,
        Device::Move(wish) => select::move_to(context, wish).await,
        Device::Passes => select::list(context).await,
        Device::Hold {
            device,
            lift,
            dry_run,
        } => {
            let body = DeviceHold {
                device,
                held: !lift,
                dry_run,
            };
            hold(context, &body).await
        }
        Device::Approve(wish) => approve(context, wish).await,
        Device::Revoke(wish) => access::revoke(context, wish).await,
        Device::Token(DeviceToken::Rotate(wish)) => access::rotate(context, wish).await,
        Device::Remove {
            device,
            waiting,
            yes: _,
            dry_run,
        } if waiting => send_away(context, device, dry_run).await,
        Device::Remove {
            device,
            yes,
            dry_run,
            ..
        } => remove(context, device, yes, dry_run).await,
    }
}

/// The fields that were given.
fn given(fields: [(&str, Option<Value>); 4]) -> Map<String, Value> {
    let fields = fields.into_iter();
    fields
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

async fn show(context: &Context, device: String) -> Result<u8, Failure> {
    let shown = shown_of(context, device).await?;
    if !matches!(context.format(), Format::Table | Format::Wide) {
        return context.print_one(&SHAPE, &shown);
    }
    let detail = detail_of(shown)?;
    print(&printable(&shown::block(&detail, SystemTime::now())))?;
    Ok(exit::OK)
}

/// Everything that the server knows of a device.
async fn shown_of(context: &Context, device: String) -> Result<Value, Failure> {
    let asked = DeviceShow { device };
    context.command(Verb::DeviceShow, &asked).await
}

fn detail_of(shown: Value) -> Result<DeviceDetail, Failure> {
    serde_json::from_value(shown)
        .map_err(|error| Failure::because(Code::Reply, "the answer to device-show", &error))
}

async fn hold(context: &Context, body: &DeviceHold) -> Result<u8, Failure> {
    let device = &body.device;
    let sentence = match (body.held, body.dry_run) {
        (true, false) => {
            format!("{device} starts nothing until `hoist device hold {device} --lift`")
        }
        (false, false) => format!("{device} may start what is deployed to its group"),
        (true, true) => format!("{device} would start nothing; nothing was changed"),
        (false, true) => format!("{device} would be let go; nothing was changed"),
    };
    let result = context.command(Verb::DeviceHold, body).await?;
    context.print_change(&SHAPE, &result, &sentence)
}

/// Pins the key that a device shows.
async fn approve(context: &Context, wish: args::DeviceApprove) -> Result<u8, Failure> {
    let body = DeviceApprove {
        device: wish.device,
        fingerprint: wish.fingerprint,
        dry_run: wish.dry_run,
    };
    let approved = context.command(Verb::DeviceApprove, &body).await?;
    let (device, key) = (
        &body.device,
        approved["fingerprint"].as_str().unwrap_or("?"),
    );
    let sentence = match body.dry_run {
        false => {
            format!("{device} is believed by its key {key} from now on; its records stay its own")
        }
        true => format!("{device} would be believed by its key {key}; nothing was changed"),
    };
    context.print_change(&SHAPE, &approved, &sentence)
}

/// Sends away who waits under an id, and removes no device.
async fn send_away(context: &Context, device: String, dry_run: bool) -> Result<u8, Failure> {
    let sentence = match dry_run {
        false => format!("who waited under {device} is sent away; nothing else was changed"),
        true => format!("who waits under {device} would be sent away; nothing was changed"),
    };
    let body = DeviceRemove {
        device,
        waiting_only: true,
        dry_run,
    };
    let sent_away = context.command(Verb::DeviceRemove, &body).await?;
    context.print_change(&SHAPE, &sent_away, &sentence)
}

/// Removes a device, once somebody has said yes.
async fn remove(
    context: &Context,
    device: String,
    yes: bool,
    dry_run: bool,
) -> Result<u8, Failure> {
    if !yes && !dry_run && !may_remove(&device)? {
        return Ok(exit::ERROR);
    }
    let sentence = match dry_run {
        false => format!(
            "{device} removed: its session ends and its token is worth nothing; its records stay \
             with their deployments, and `hoist device add {device}` begins it afresh with \
             another token"
        ),
        true => format!("{device} would be removed; nothing was changed"),
    };
    let body = DeviceRemove {
        device,
        waiting_only: false,
        dry_run,
    };
    let removed = context.command(Verb::DeviceRemove, &body).await?;
    context.print_change(&SHAPE, &removed, &sentence)
}
