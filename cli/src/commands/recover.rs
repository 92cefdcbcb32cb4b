//! `hoist recover`: the server in recovery mode, until the fleet has answered or the wait is
//! over; then what came back, and what only a backup would have held.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hoist_device_client::agent::said;
use hoist_orchestrator::recovery::{Answered, Recovered};
use hoist_orchestrator_core::model::now::Mode;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use hoist_server::server::{Fleet, Server};
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use crate::args::Recover;
use crate::client::found;
use crate::commands::serve;
use crate::context::{Context, print};
use crate::output::plural::count;
use crate::output::text::wrapped;
use crate::output::{self, Format};
use crate::signals::Ends;
use crate::{exit, logging};

/// The time between two looks for answers.
const LOOK: Duration = Duration::from_secs(1);
/// When everybody has answered and nothing new came for so long, it is over: a device that is
/// switched on has tried to connect at least once by then.
const QUIET: Duration = Duration::from_secs(40);
/// Names listed in a sentence for people; JSON has them all.
const NAMES_MAX: usize = 10;
/// The facts that no device and no signed spec can tell.
const ONLY_A_BACKUP: [&str; 10] = [
    "limits, start and end times of deployments, and who created them",
    "deployments that no device reports and no signed spec lists",
    "groups without a device whose signed spec is gone",
    "which devices were removed: a removed one that did not hear of it is back; remove it again",
    "which devices were revoked: tokens and certificates of theirs are good again; \
     `hoist device revoke ID` again",
    "which tokens were replaced: those before them are good again; \
     `hoist device token rotate ID --overlap 0s`",
    "which boards were replaced: their certificates are good again; `hoist device revoke ID`, then \
     enroll the board in use and `hoist device approve ID --fingerprint F`",
    "claims: the texts of before are good for nobody; `hoist enroll create` makes others",
    "releases whose artifacts are gone: create them again, from the same content",
    "which requests were answered: one that is repeated is carried out again",
];

/// `hoist recover`
pub(crate) async fn recover(context: &Context, wish: &Recover) -> Result<u8, Failure> {
    let mut config = serve::config(&context.settings)?;
    config.mode = Mode::Recovering;
    config.whole_too = wish.yes;
    logging::start(&context.settings, LevelFilter::WARN)?;
    // Before anything is created, so that no signal is missed.
    let mut ends = Ends::listen()?;
    let since_ms = unix_ms();
    let mut server = match Server::start_until(config, ends.requested()).await {
        Err(failure) if failure.is(Code::Canceled) => return Err(canceled()),
        started => started?,
    };
    let time = humantime::format_duration(wish.wait);
    found::warn_if_exposed(&server.client_file());
    said::say(format_args!(
        "recovering {} for up to {time}: {} {}",
        server.data_dir().display(),
        server.mqtt(),
        server.http()
    ));
    let fleet = server.fleet();
    let waited = tokio::select! {
        failure = server.failed() => Err(failure),
        waited = wait(&fleet, since_ms, wish.wait) => waited,
        () = ends.requested() => Err(canceled()),
    };
    // A straggler that is heard after the end would begin something again.
    let mqtt = server.mqtt().to_owned();
    let quiet = server.quiet().await;
    waited?;
    let recovered = quiet.recovered(since_ms).await?;
    if answered(&recovered) == 0 {
        said::say(format_args!(
            "warning: no device answered within {time}: what only devices know has not come back; \
             look whether they reach {mqtt}, and ask them again with `hoist recover --yes` before \
             anything is deployed"
        ));
    }
    let found = quiet.found();
    let aside = found.aside.as_ref().map(|path| path.display().to_string());
    let root = quiet.data_dir().display().to_string();
    report(
        context,
        &recovered,
        &found.unusable,
        aside.as_deref(),
        &root,
    )
}

fn canceled() -> Failure {
    Failure::new(Code::Canceled, "the recovery was ended before it was over")
        .help("type `hoist recover` again; until it is over no server starts here")
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Waits until everybody has answered and nothing new comes, or for so long.
async fn wait(fleet: &Fleet, since_ms: u64, at_most: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut last = (Answered::default(), Instant::now());
    while begun.elapsed() < at_most {
        let answered = fleet.answered(since_ms).await?;
        if answered != last.0 {
            said::say(format_args!(
                "{} of {} answered",
                answered.heard,
                number(answered.devices, "device")
            ));
            last = (answered, Instant::now());
        }
        let all = answered.devices > 0 && answered.heard == answered.devices;
        if all && answered.missing == 0 && last.1.elapsed() >= QUIET {
            break;
        }
        let left = at_most.saturating_sub(begun.elapsed());
        tokio::time::sleep(LOOK.min(left)).await;
    }
    Ok(())
}

fn report(
    context: &Context,
    recovered: &Recovered,
    lost: &[String],
    aside: Option<&str>,
    root: &str,
) -> Result<u8, Failure> {
    match context.format() {
        Format::Table | Format::Wide => print(&told(recovered, lost, aside, root))?,
        _ => {
            let mut item = json!({"kind": "recovered", "recovered": recovered,
                "answered": answered(recovered), "unusable": lost,
                "onlyInBackup": ONLY_A_BACKUP, "movedAside": aside});
            item["dataDir"] = root.into();
            print(&format!("{}\n", output::versioned(&item)))?;
        }
    }
    Ok(exit::OK)
}

fn told(recovered: &Recovered, lost: &[String], aside: Option<&str>, root: &str) -> String {
    let mut text = format!(
        "{}, {}, {} and {} came back.\n",
        number(recovered.groups.len(), "group"),
        number(recovered.devices, "device"),
        number(recovered.releases.len(), "release"),
        number(recovered.deployments.len(), "deployment")
    );
    for one in &recovered.deployments {
        let line = format!(
            "{} {} to {}: {} successful, {} failed, {} in progress",
            one.deployment, one.release, one.group, one.successful, one.failed, one.in_progress
        );
        text += &wrapped("  deployment ", &line);
    }
    text += &format!(
        "{} of {} answered.\n",
        answered(recovered),
        number(recovered.devices, "device")
    );
    if !recovered.silent.is_empty() {
        let names = some(&recovered.silent);
        text += &wrapped("Not heard of: ", &names);
    }
    for one in lost {
        text += &wrapped("Lost: ", one);
    }
    text += "Only a backup holds:\n";
    for one in ONLY_A_BACKUP {
        text += &wrapped("  - ", one);
    }
    if let Some(aside) = aside {
        text += &wrapped("The store that was there is in ", aside);
    }
    let next = format!(
        "`hoist serve --data-dir {root}`, and deploy again what is to go on: whoever has it \
         answers that it is there already"
    );
    text + &wrapped("Next: ", &next)
}

/// The number of devices that were heard since it began.
fn answered(recovered: &Recovered) -> usize {
    recovered.devices.saturating_sub(recovered.silent.len())
}

fn number(of: usize, noun: &str) -> String {
    count(u64::try_from(of).unwrap_or(u64::MAX), noun)
}

/// The first of many names.
fn some(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
