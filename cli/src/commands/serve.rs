//! `hoist serve`: says where it listens on standard error, logs there, and ends within
//! five seconds of SIGTERM, SIGINT or SIGHUP. What runs is in [`hoist_server::server`].

pub(crate) mod broker;
pub(crate) mod doors;
#[cfg(test)]
mod server_tests;

use std::pin::pin;
use std::time::Duration;

use hoist_device_client::agent::said;
use hoist_orchestrator::artifacts::UploadLimits;
use hoist_orchestrator_core::model::now::{Keep, Mode};
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use hoist_server::server::{Server, ServerConfig};
use tracing_subscriber::filter::LevelFilter;

use crate::client::found;
use crate::context::Context;
use crate::settings::{Setting, Settings};
use crate::signals::Ends;
use crate::{exit, logging};

/// `hoist serve`
pub(crate) async fn serve(context: &Context) -> Result<u8, Failure> {
    let config = config(&context.settings)?;
    logging::start(&context.settings, LevelFilter::INFO)?;
    // Before anything is created, so that no signal is missed.
    let mut ends = Ends::listen()?;
    let mut asked = pin!(async {
        ends.requested().await;
        tracing::info!("stopping: a signal asks for it");
    });
    let mut server = match Server::start_until(config, &mut asked).await {
        Err(failure) if failure.is(Code::Canceled) => return Ok(stopped()),
        started => started?,
    };
    found::warn_if_exposed(&server.client_file());
    said::say(format_args!(
        "ready {} {} data {}",
        server.mqtt(),
        server.http(),
        server.data_dir().display()
    ));
    tokio::select! {
        failure = server.failed() => {
            server.stop().await;
            Err(failure)
        }
        () = asked => {
            server.stop().await;
            Ok(stopped())
        }
    }
}

fn stopped() -> u8 {
    tracing::info!("stopped");
    exit::OK
}

/// The configuration of the server by the settings.
pub(crate) fn config(settings: &Settings) -> Result<ServerConfig, Failure> {
    let doors = doors::doors(settings)?;
    Ok(ServerConfig {
        data_dir: settings.data_dir.value.clone(),
        broker: broker::broker(settings, doors.mqtt)?,
        accepted_risks: broker::accepted_risks(settings)?,
        http: doors.http,
        names: doors.names,
        encryption: doors.encryption,
        tls: doors.tls,
        namespace: settings.namespace.value.clone(),
        grace: settings.grace.value,
        settle: settings.settle.value,
        mode: Mode::Serving,
        whole_too: false,
        uploads: UploadLimits {
            reserve_bytes: mib(settings.space_reserve_mib.value),
            quota_bytes: mib(settings.upload_quota_mib.value),
            keep_unused: settings.keep_unused_artifacts.as_ref().map(|set| set.value),
        },
        keep: Keep {
            ended_deployments_ms: settings.keep_ended_deployments.as_ref().map(millis),
            silent_devices_ms: settings.keep_silent_devices.as_ref().map(millis),
        },
    })
}

fn millis(setting: &Setting<Duration>) -> u64 {
    u64::try_from(setting.value.as_millis()).unwrap_or(u64::MAX)
}

fn mib(mib: u64) -> u64 {
    mib.saturating_mul(1 << 20)
}
