//! `hoist device …`

use hoist_orchestrator_core::command::{DeviceAdd, DeviceRef, Verb};
use serde_json::{Map, Value};

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
            let labels = labels.into_iter().collect();
            add(
                context,
                &DeviceAdd {
                    device,
                    device_type,
                    group,
                    labels,
                },
            )
            .await
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
                .print_list(Verb::DeviceList, filter, limit, &SHAPE)
                .await
        }
        Device::Show { device } => {
            let shown = context
                .command(Verb::DeviceShow, &DeviceRef { device })
                .await?;
            context.print_one(&SHAPE, &shown)
        }
    }
}

async fn add(context: &Context, body: &DeviceAdd) -> Result<u8, Failure> {
    let added = context.command(Verb::DeviceAdd, body).await?;
    context.print_one(&SHAPE, &added)
}
