//! `hoist device …`

use serde_json::{Map, Value, json};

use crate::args::Device;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Shape, Show, column, wide};

const SHAPE: Shape = Shape {
    name: "device",
    columns: &[
        column("DEVICE", "/device", Show::Plain),
        column("GROUP", "/group", Show::Plain),
        column("PRESENCE", "/presence", Show::Plain),
        column("SEEN", "/lastSeen", Show::Ago),
        column("DEPLOYMENT", "/deployment", Show::Plain),
        column("STATUS", "/status", Show::Plain),
        column("STEP", "/step", Show::Plain),
        column("REASON", "/reason", Show::Plain),
        column("ROLLBACK", "/rollback", Show::Plain),
        wide("ATTEMPT", "/attempt", Show::Plain),
        wide("ROUND", "/round", Show::Plain),
        wide("PROVISIONAL", "/provisional", Show::Plain),
        wide("LATE", "/late", Show::Plain),
        wide("INSTALLED", "/installed", Show::Pairs),
    ],
};

/// Runs one of the device commands.
pub(crate) async fn run(context: &Context, command: Device) -> Result<u8, Failure> {
    match command {
        Device::Add {
            device,
            device_type,
            group,
            labels,
        } => {
            let mut body = Map::new();
            body.insert("device".into(), device.into());
            if let Some(device_type) = device_type {
                body.insert("type".into(), device_type.into());
            }
            if let Some(group) = group {
                body.insert("group".into(), group.into());
            }
            if !labels.is_empty() {
                let labels = labels.into_iter().map(|(name, value)| (name, value.into()));
                body.insert("labels".into(), Value::Object(labels.collect()));
            }
            add(context, &Value::Object(body)).await
        }
        Device::List {
            group,
            status,
            deployment,
            limit,
        } => {
            let mut filter = Map::new();
            let given = [
                ("group", group.map(Value::from)),
                ("status", status.map(Value::from)),
                ("deployment", deployment.map(Value::from)),
            ];
            for (name, value) in given {
                filter.extend(value.map(|value| (name.to_owned(), value)));
            }
            context
                .print_list("device-list", filter, limit, &SHAPE)
                .await
        }
        Device::Show { device } => {
            let shown = context
                .command("device-show", &json!({"device": device}))
                .await?;
            context.print_one(&SHAPE, &shown)
        }
    }
}

async fn add(context: &Context, body: &Value) -> Result<u8, Failure> {
    let added = context.command("device-add", body).await?;
    context.print_one(&SHAPE, &added)
}
