//! `hoist demo`: a whole rollout on this machine. The server, the agents, the release and
//! its scripts are the real ones; only the trouble is arranged: one device's sensor is
//! broken, so its `verify` fails and its own scripts put the old firmware back, and one
//! device loses its network while it fetches, and tries again.

pub(crate) mod fixture;
mod lanes;
mod line;
mod report;
mod stage;
mod story;

use std::path::PathBuf;

use hoist_protocol::code::Code;
use tracing_subscriber::filter::LevelFilter;

use self::report::{NextSteps, Report};
use self::stage::Stage;
use self::story::Story;
use crate::args::Demo;
use crate::context::{Context, print};
use crate::exit;
use crate::failure::Failure;
use crate::logging;
use crate::random::Random;
use crate::serve::Ends;

/// Who has which trouble, by seed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Casting {
    /// All devices, in order.
    devices: Vec<String>,
    /// Index of the device with the broken sensor.
    broken: usize,
    /// Index of the device that loses its network.
    unlucky: usize,
}

impl Casting {
    fn new(count: u32, seed: u64) -> Self {
        let digits = count.to_string().len().max(2);
        let devices = (1..=count)
            .map(|number| format!("dev-{number:0digits$}"))
            .collect();
        let count = u64::from(count);
        let mut random = Random::new(seed);
        let broken = random.below(count);
        let unlucky = (broken + 1 + random.below(count.saturating_sub(1))) % count;
        let index = |number: u64| usize::try_from(number).unwrap_or(0);
        Self {
            devices,
            broken: index(broken),
            unlucky: index(unlucky),
        }
    }
}

/// `hoist demo`
pub(crate) async fn demo(context: &Context, demo: &Demo) -> Result<u8, Failure> {
    logging::start(&context.settings, LevelFilter::OFF)?;
    let mut ends = Ends::listen()?;
    let seed = match demo.seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    let casting = Casting::new(demo.devices, seed);
    let root = tempfile::Builder::new()
        .prefix("hoist-demo-")
        .tempdir()
        .map_err(|error| Failure::because(Code::DataDir, "no temporary directory", &error))?;
    let (path, _removed) = match demo.keep {
        true => (root.keep(), None),
        false => (PathBuf::from(root.path()), Some(root)),
    };
    let mut stage = Stage::new(demo.json);
    let mut story = Story::new(&path, &casting);
    let told = tokio::select! {
        told = story.tell(&mut stage) => told,
        () = ends.requested() => Err(Failure::new(Code::Canceled, "the demo was interrupted")),
    };
    stage.end();
    story.end().await;
    let mut report = Report::new(told?);
    let deviations = report.deviations(&casting);
    report.ok = deviations.is_empty();
    if demo.json {
        let line = serde_json::to_string(&report)
            .map_err(|error| Failure::because(Code::System, "cannot encode the report", &error))?;
        print(&format!("{line}\n"))?;
    } else {
        let next = if demo.keep {
            NextSteps::Kept
        } else {
            NextSteps::Fresh
        };
        print(&report.summary(next))?;
    }
    for deviation in &deviations {
        eprintln!("not as told: {deviation}");
    }
    Ok(if report.ok { exit::OK } else { exit::ERROR })
}

fn random_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Code::Random, format!("no random numbers: {error}")))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_who_has_trouble_and_never_the_same_device_twice() {
        assert_eq!(Casting::new(25, 7), Casting::new(25, 7));
        assert_ne!(Casting::new(25, 1).broken, Casting::new(25, 2).broken);
        for seed in 0..1_000 {
            let casting = Casting::new(3, seed);
            assert_ne!(casting.broken, casting.unlucky, "seed {seed}");
            assert!(casting.unlucky < 3 && casting.broken < 3);
        }
        assert_eq!(Casting::new(25, 7).devices[6], "dev-07");
    }
}
