//! `hoist demo`: a whole rollout on this machine. The server, the agents, the release and
//! its scripts are the real ones; only the trouble is arranged: one device's sensor is
//! broken, so its `verify` fails and its own scripts put the old firmware back, and one
//! device loses its network while it fetches, and tries again.

mod casting;
mod disks;
pub(crate) mod fixture;
mod frame;
mod lanes;
mod outcome;
mod report;
mod stage;
mod story;

use std::env;
use std::path::{Path, PathBuf};

use hoist_device_client::agent::said;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use tracing_subscriber::filter::LevelFilter;

use self::casting::Casting;
use self::report::{Left, NextSteps, Report};
use self::stage::Stage;
use self::story::Story;
use crate::args::Demo;
use crate::context::{Context, print};
use crate::settings::Origin;
use crate::signals::Ends;
use crate::{exit, logging};

/// The name of this program.
const NAME: &str = "hoist";
/// A release that whoever has the sources has.
const EXAMPLE: &str = "examples/hello";

/// `hoist demo`
pub(crate) async fn demo(context: &Context, demo: &Demo) -> Result<u8, Failure> {
    logging::start(&context.settings, LevelFilter::OFF)?;
    refuse_data_dir(context)?;
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
    story.end().await;
    let mut report = Report::new(told?);
    let deviations = report.deviations(&casting);
    report.ok = deviations.is_empty();
    if demo.json {
        let line = serde_json::to_string(&report)
            .map_err(|error| Failure::because(Code::System, "cannot encode the report", &error))?;
        print(&format!("{line}\n"))?;
    } else {
        let left = match demo.keep {
            true => Left::DataDir(shell_word(report.data_dir())),
            false => Left::Nothing {
                example: Path::new(EXAMPLE).is_dir().then_some(EXAMPLE),
            },
        };
        let program = program();
        print(&report.summary(&NextSteps { program, left }))?;
    }
    for deviation in &deviations {
        said::say(format_args!("not as told: {deviation}"));
    }
    Ok(if report.ok { exit::OK } else { exit::ERROR })
}

/// A demo never touches the data of a server, and says so to whoever names some.
fn refuse_data_dir(context: &Context) -> Result<(), Failure> {
    match context.settings.data_dir.origin {
        Origin::Flag(flag) => Err(Failure::new(
            Code::Config,
            format!("the demo makes a folder of its own, so {flag} has no meaning here"),
        )
        .help("leave it out; with `hoist demo --keep` the folder stays, and is named at the end")),
        _ => Ok(()),
    }
}

/// The words that start this program from this shell: its name where that finds it, else the words
/// by which it was started.
fn program() -> String {
    let this = env::current_exe().and_then(std::fs::canonicalize).ok();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = env::split_paths(&path).map(|dir| dir.join(NAME));
    if this.is_some() && found.find_map(|file| file.canonicalize().ok()) == this {
        return NAME.to_owned();
    }
    let started = env::args_os().next().map(PathBuf::from);
    let program = started.filter(|path| path.is_file()).or(this);
    program.map_or_else(
        || NAME.to_owned(),
        |path| shell_word(&path.to_string_lossy()),
    )
}

/// The text as one word of a shell.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    match text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
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
    fn a_path_is_one_word_of_a_shell_whatever_is_in_it() {
        assert_eq!(shell_word("target/debug/hoist"), "target/debug/hoist");
        assert_eq!(shell_word("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
