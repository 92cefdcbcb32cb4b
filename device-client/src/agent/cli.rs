//! The program `hoist-agent`: arguments, signals, exit codes. Parsed by hand: an argument
//! library would be a sixth of the agent.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::config::{AgentConfig, ConfigError};
use super::files::SystemFiles;
use super::inventory::Inventory;
use super::journal::{Found, TwoSlots};
use super::log::StderrLog;
use super::runner;
use crate::record::{RING_BYTES_MAX, Ring};

const OK: u8 = 0;
const ERROR: u8 = 1;
const USAGE: u8 = 2;

const HELP: &str = "\
hoist-agent: installs what Hoist deploys to this device

  hoist-agent --config F                 run
  hoist-agent status --config F          what is installed, and how the last deployments ended
  hoist-agent check-config --config F    say whether the configuration is right
  hoist-agent --version | --help

Exit codes: 0 ok, 1 error, 2 usage
";

enum Verb {
    Run,
    Status,
    CheckConfig,
}

enum Parsed {
    Help,
    Version,
    Do(Verb, PathBuf),
}

/// Runs the program with the arguments after its name; returns its exit code.
pub fn run_cli(args: impl Iterator<Item = String>) -> u8 {
    match parse(args) {
        Err(problem) => {
            eprintln!("error[E_USAGE]: {problem}\nhelp: see `hoist-agent --help`");
            USAGE
        }
        Ok(Parsed::Help) => print(HELP),
        Ok(Parsed::Version) => print(concat!("hoist-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Parsed::Do(verb, path)) => match AgentConfig::load(&path) {
            Err(error @ ConfigError::File { .. }) => fail(&error, ERROR),
            Err(error) => fail(&error, USAGE),
            Ok(config) => match verb {
                Verb::CheckConfig => print("ok\n"),
                Verb::Status => status(&config),
                Verb::Run => run(config),
            },
        },
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Parsed, String> {
    let mut verb = Verb::Run;
    let mut config = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--help" | "-h" => return Ok(Parsed::Help),
            "--version" | "-V" => return Ok(Parsed::Version),
            "--config" => config = Some(args.next().ok_or("--config needs a file")?.into()),
            "status" => verb = Verb::Status,
            "check-config" => verb = Verb::CheckConfig,
            other => match other.strip_prefix("--config=") {
                Some(path) => config = Some(path.into()),
                None => return Err(format!("unknown argument {other:?}")),
            },
        }
    }
    let config = config.ok_or("no --config given")?;
    Ok(Parsed::Do(verb, config))
}

fn print(text: &str) -> u8 {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => OK,
        Err(_) => ERROR,
    }
}

fn fail(error: &dyn Error, code: u8) -> u8 {
    eprint!("error[E_AGENT]: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprint!(": {cause}");
        source = cause.source();
    }
    eprintln!();
    code
}

fn status(config: &AgentConfig) -> u8 {
    let inventory = match Inventory::load(&SystemFiles, &config.state_dir) {
        Ok(inventory) => inventory,
        Err(error) => return fail(&error, ERROR),
    };
    let ring = TwoSlots::<Ring>::open(
        Arc::new(SystemFiles),
        &config.state_dir,
        "outcomes",
        RING_BYTES_MAX,
    );
    let ring = match ring {
        Ok((_, Found::Content(ring))) => ring,
        Ok((_, Found::Nothing | Found::Lost)) => Ring::default(),
        Err(error) => return fail(&error, ERROR),
    };
    let mut text = format!("device {}\n", config.device);
    for installed in &inventory.installed {
        text.push_str(&format!(
            "installed {} {}\n",
            installed.name, installed.version
        ));
    }
    for outcome in &ring.outcomes {
        use hoist_protocol::status::FinalResult;
        let result = match &outcome.result {
            FinalResult::Successful(_) => "successful".to_owned(),
            FinalResult::Failed(failure) => {
                format!(
                    "failed {} (rollback {})",
                    failure.reason.word(),
                    failure.rollback.word()
                )
            }
        };
        text.push_str(&format!("deployment {} {result}\n", outcome.deployment));
    }
    print(&text)
}

fn run(config: AgentConfig) -> u8 {
    // Somebody else's subscriber stays when there is one.
    let _installed = tracing::subscriber::set_global_default(StderrLog);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, ERROR),
    };
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = match (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => return fail(&error, ERROR),
        };
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        match runner::run(config, shutdown).await {
            Ok(()) => OK,
            Err(error) => fail(&error, ERROR),
        }
    })
}
