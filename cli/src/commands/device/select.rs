//! `hoist device label`, `move` and `passes`: what is changed of one device, or of all that a selector
//! names.

use std::time::Duration;

use hoist_orchestrator_core::api::command::{DeviceLabel, DeviceMove, Verb};
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::SHAPE;
use crate::args;
use crate::context::{Context, list as items};
use crate::output::plural::{count, either};
use crate::output::{Shape, Show, column};

/// Time between two looks at how far a change of many devices is.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

const PASS: Shape = Shape {
    name: "pass",
    columns: &[
        column("PASS", "/pass", Show::Plain),
        column("WHAT", "/what", Show::Plain),
        column("SELECTOR", "/selector", Show::Plain),
        column("GROUP", "/group", Show::Plain),
        column("BY", "/by", Show::Plain),
        column("CHANGED", "/changed", Show::Plain),
        column("REFUSED", "/refused", Show::Plain),
        column("UP TO", "/upTo", Show::Plain),
        column("ENDED", "/endedAt", Show::Seen),
    ],
};

/// `hoist device passes`
pub(super) async fn list(context: &Context) -> Result<u8, Failure> {
    let filter = Map::new();
    context
        .print_list(Verb::PassList, filter, None, &PASS)
        .await
}

/// `hoist device label`
pub(super) async fn label(context: &Context, wish: args::DeviceLabel) -> Result<u8, Failure> {
    let (device, changes) = match (&wish.selector, wish.words.split_first()) {
        (None, Some((device, changes))) => (Some(device.clone()), changes),
        _ => (None, &wish.words[..]),
    };
    let mut body = DeviceLabel {
        device,
        selector: wish.selector,
        group: wish.group,
        dry_run: wish.dry_run,
        ..DeviceLabel::default()
    };
    for change in changes {
        read(change, &mut body)?;
    }
    let Some(device) = body.device.clone() else {
        return selected(context, Verb::DeviceLabel, &body, body.group.as_deref()).await;
    };
    let result = context.command(Verb::DeviceLabel, &body).await?;
    let labels = result["labels"].as_object().into_iter().flatten();
    let labels = labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("?")));
    let labels: Vec<String> = labels.collect();
    let labels = match labels.is_empty() {
        true => "no labels".to_owned(),
        false => labels.join(" "),
    };
    let sentence = match body.dry_run {
        false => format!("{device}: {labels}"),
        true => format!("{device} would have: {labels}; nothing was changed"),
    };
    context.print_change(&SHAPE, &result, &sentence)
}

/// Reads `name=value` or `name-`.
fn read(change: &str, body: &mut DeviceLabel) -> Result<(), Failure> {
    match (change.split_once('='), change.strip_suffix('-')) {
        (Some((name, value)), _) if !name.is_empty() => {
            body.set.insert(name.to_owned(), value.to_owned());
        }
        (None, Some(name)) if !name.is_empty() => body.remove.push(name.to_owned()),
        _ => {
            let why = format!("{change} is neither name=value nor name-");
            return Err(Failure::new(Code::Usage, why));
        }
    }
    Ok(())
}

/// `hoist device move`
pub(super) async fn move_to(context: &Context, wish: args::DeviceMove) -> Result<u8, Failure> {
    let body = DeviceMove {
        device: wish.device,
        selector: wish.selector,
        group: wish.group,
        dry_run: wish.dry_run,
    };
    let (Some(device), group) = (&body.device, &body.group) else {
        return selected(context, Verb::DeviceMove, &body, None).await;
    };
    let sentence = match body.dry_run {
        false => format!("{device} obeys {group} from now on; what runs it finishes"),
        true => format!("{device} would obey {group}; nothing was changed"),
    };
    let moved = context.command(Verb::DeviceMove, &body).await?;
    context.print_change(&SHAPE, &moved, &sentence)
}

/// Has all devices changed that a selector names, and waits until they are.
async fn selected<B: Serialize>(
    context: &Context,
    verb: Verb,
    body: &B,
    group: Option<&str>,
) -> Result<u8, Failure> {
    let begun = context.command(verb, body).await?;
    let Some(pass) = begun["pass"].as_u64() else {
        return would_select(context, &json!(body), group).await;
    };
    let done = ended(context, pass).await?;
    let number = |field: &str| done[field].as_u64().unwrap_or_default();
    let (changed, refused) = (number("changed"), number("refused"));
    let sentence = match refused {
        0 => format!("{} changed", count(changed, "device")),
        _ => format!(
            "{} changed; {} could not be: too many labels, or no such group any more",
            count(changed, "device"),
            count(refused, "device"),
        ),
    };
    context.print_change(&PASS, &done, &sentence)
}

/// The pass, once it has ended.
async fn ended(context: &Context, pass: u64) -> Result<Value, Failure> {
    let mut client = context.client().await?;
    loop {
        let passes = items(&mut client, Verb::PassList, Map::new(), None).await?;
        let Some(item) = passes.into_iter().find(|item| item["pass"] == pass) else {
            client.close().await;
            let why = format!("change {pass} of many devices is over and not listed any more");
            return Err(Failure::new(Code::Internal, why));
        };
        if !item["endedAt"].is_null() {
            client.close().await;
            return Ok(item);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Says which devices are selected, and changes nothing.
async fn would_select(context: &Context, body: &Value, group: Option<&str>) -> Result<u8, Failure> {
    let mut filter = Map::new();
    filter.insert("selector".to_owned(), body["selector"].clone());
    filter.extend(group.map(|group| ("group".to_owned(), group.into())));
    let mut client = context.client().await?;
    let found = items(&mut client, Verb::DeviceList, filter, None).await;
    client.close().await;
    let found = u64::try_from(found?.len()).unwrap_or(u64::MAX);
    let (devices, are) = (count(found, "device"), either(found, "is", "are"));
    let sentence = format!("{devices} {are} selected; nothing was changed");
    context.print_change(&PASS, &json!({ "selected": found }), &sentence)
}
