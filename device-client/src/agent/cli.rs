//! The program `hoist-agent`: arguments, signals, exit codes. Parsed by hand: an argument
//! library would be a sixth of the agent.

use std::env;
use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::status::{FinalResult, Rollback, Success};
use tokio::signal::unix::{SignalKind, signal};

use super::apply::{self, Applied, ApplyError};
use super::config::{AgentConfig, ConfigError, HostConfig, ServerConfig};
use super::download::{Proxies, ProxyError};
use super::log::StderrLog;
use super::program::can_execute_below;
use super::{runner, said, show};

const OK: u8 = 0;
const ERROR: u8 = 1;
const USAGE: u8 = 2;
const FAILED: u8 = 3;
const INTERRUPTED: u8 = 130;

/// For whoever reads what was said last.
const SAID_PATIENCE: Duration = Duration::from_millis(400);

/// Names the configuration when `--config` does not.
const CONFIG_VARIABLE: &str = "HOIST_CONFIG";

const HELP: &str = "\
hoist-agent: installs what Hoist deploys to this device

  hoist-agent --config F                      run
  hoist-agent apply F.hoist|DIR [--config F]  install this now, without a server
  hoist-agent status [--config F]             what is installed, what runs,
                                              how the last deployments ended
  hoist-agent check-config [--config F]       whether the configuration is right
  hoist-agent --version | --help

Without --config, HOIST_CONFIG names the configuration. `apply DIR` and `status`
work without one: the device is then called local, with state in ./local.state.
`apply F.hoist` needs one, and on a device that was never connected root.bin
beside the file: it is in keys/ of the server's data directory.

Exit codes: 0 ok, 1 error, 2 usage, 3 the release failed and was rolled back,
130 interrupted
";

#[derive(Debug, PartialEq, Eq)]
enum Verb {
    Run,
    Apply(PathBuf),
    Status,
    CheckConfig,
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Help,
    Version,
    Do(Verb, Option<PathBuf>),
}

/// Runs the program with the arguments after its name; returns its exit code.
pub fn run_cli(args: impl Iterator<Item = String>) -> u8 {
    let exit = carry_out(args);
    said::end(SAID_PATIENCE);
    exit
}

fn carry_out(args: impl Iterator<Item = String>) -> u8 {
    let (verb, config) = match parse(args) {
        Err(problem) => return usage(&problem),
        Ok(Parsed::Help) => return print(HELP),
        Ok(Parsed::Version) => {
            return print(concat!("hoist-agent ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Ok(Parsed::Do(verb, config)) => (verb, config),
    };
    let named = config.or_else(|| env::var_os(CONFIG_VARIABLE).map(PathBuf::from));
    let config = match named.as_deref().map(AgentConfig::load).transpose() {
        Ok(config) => config,
        Err(error @ ConfigError::File { .. }) => return fail(error.code(), &error, ERROR),
        Err(error) => return fail(error.code(), &error, USAGE),
    };
    if let (Verb::Run | Verb::CheckConfig, Some(warning)) = (&verb, alone(std::process::id())) {
        said::say(format_args!("warning[{}]: {warning}", Code::System));
    }
    let proxies = Proxies::from_variables(|name| env::var(name).ok());
    match (verb, config) {
        (Verb::Run, Some(mut config)) => match proxies {
            Ok(proxies) => {
                config.server.proxies = proxies;
                run(config)
            }
            // A device that does not start can never be updated; without, it may reach all.
            Err(error @ ProxyError::Kind { .. }) => {
                said::say(format_args!("warning[{}]: {error}", Code::Config));
                run(config)
            }
            Err(error) => fail(Code::Config, &error, USAGE),
        },
        (Verb::CheckConfig, Some(config)) => match proxies {
            Ok(_) => check(&config.host, can_execute_below),
            Err(error) => fail(Code::Config, &error, USAGE),
        },
        (Verb::Run | Verb::CheckConfig, None) => usage("no --config given"),
        (Verb::Status, config) => match host_and_server(config) {
            Ok((host, _)) => status(&host),
            Err(error) => fail(error.code(), &error, ERROR),
        },
        (Verb::Apply(path), config) => match host_and_server(config) {
            Ok((host, server)) => apply(host, server, &path),
            Err(error) => fail(error.code(), &error, ERROR),
        },
    }
}

/// The warning about an agent with no process before it. A process that a script leaves behind
/// becomes its own when it ends, and an agent collects only what it started: else it could take the
/// result of a script from whoever waits for it.
fn alone(pid: u32) -> Option<&'static str> {
    (pid == 1).then_some(
        "the agent is the first process here, and what scripts leave behind is never collected \
         when it ends; start an init before it, in a container with `docker run --init`",
    )
}

/// Ok if the program understands these arguments.
///
/// # Errors
/// What the program would say.
pub fn check_arguments(args: impl Iterator<Item = String>) -> Result<(), String> {
    parse(args).map(|_| ())
}

fn host_and_server(
    config: Option<AgentConfig>,
) -> Result<(HostConfig, Option<ServerConfig>), ConfigError> {
    match config {
        Some(config) => Ok((config.host, Some(config.server))),
        None => Ok((HostConfig::local()?, None)),
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
            "status" if verb == Verb::Run => verb = Verb::Status,
            "check-config" if verb == Verb::Run => verb = Verb::CheckConfig,
            "apply" if verb == Verb::Run => {
                let path = args.next();
                if matches!(path.as_deref(), Some("--help" | "-h")) {
                    return Ok(Parsed::Help);
                }
                let path = path.filter(|path| !path.starts_with('-'));
                verb = Verb::Apply(
                    path.ok_or("apply needs a .hoist file or a directory")?
                        .into(),
                );
            }
            other => match other.strip_prefix("--config=") {
                Some(path) => config = Some(path.into()),
                None => return Err(format!("unknown argument {other:?}")),
            },
        }
    }
    Ok(Parsed::Do(verb, config))
}

fn usage(problem: &str) -> u8 {
    let code = Code::Usage;
    said::say(format_args!(
        "error[{code}]: {problem}\nhelp: see `hoist-agent --help`"
    ));
    USAGE
}

fn print(text: &str) -> u8 {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => OK,
        Err(_) => ERROR,
    }
}

fn fail(code: Code, error: &dyn Error, exit: u8) -> u8 {
    let mut line = format!("error[{code}]: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        line += &format!(": {cause}");
        source = cause.source();
    }
    said::say(line);
    exit
}

fn status(host: &HostConfig) -> u8 {
    match show::status(host) {
        Ok(text) => print(&text),
        Err(error) => fail(error.code(), &error, ERROR),
    }
}

/// Says of a configuration that can be read whether the device fits it.
fn check(host: &HostConfig, can_execute: impl Fn(&Path) -> bool) -> u8 {
    if can_execute(&host.state_dir) {
        return print(&format!("ok\nstate_dir {}\n", host.state_dir.display()));
    }
    let path = host.state_dir.clone();
    let error = ApplyError::CannotExecute { path };
    fail(error.code(), &error, USAGE)
}

fn run(config: AgentConfig) -> u8 {
    in_runtime(Box::pin(async {
        let shutdown = match stop_signal() {
            Ok(shutdown) => shutdown,
            Err(error) => return fail(Code::Agent, &error, ERROR),
        };
        match runner::run(config, shutdown).await {
            Ok(()) => OK,
            Err(error) => fail(error.code(), &error, ERROR),
        }
    }))
}

fn apply(host: HostConfig, server: Option<ServerConfig>, path: &Path) -> u8 {
    in_runtime(Box::pin(async {
        let shutdown = match stop_signal() {
            Ok(shutdown) => shutdown,
            Err(error) => return fail(Code::Agent, &error, ERROR),
        };
        match apply::apply(host, server, path, shutdown).await {
            Ok(applied) => say(&applied),
            Err(error) => fail(error.code(), &error, ERROR),
        }
    }))
}

fn say(applied: &Applied) -> u8 {
    let Applied::Ended { release, result } = applied else {
        said::say("interrupted: apply again, or start the agent, to finish or roll back");
        return INTERRUPTED;
    };
    let name = format!("{}@{}", release.name, release.version);
    match result {
        FinalResult::Successful(Success::Installed) => print(&format!("{name} installed\n")),
        FinalResult::Successful(Success::Already) => {
            print(&format!("{name} was installed already\n"))
        }
        FinalResult::Failed(failure) => {
            let code = failure.reason.code();
            let told = show::failure(failure, release.artifacts.len());
            said::say(format_args!("error[{code}]: {name} failed: {told}"));
            match failure.rollback {
                Rollback::NotNeeded | Rollback::Succeeded => FAILED,
                Rollback::Failed => ERROR,
            }
        }
    }
}

fn in_runtime(work: Pin<Box<dyn Future<Output = u8> + '_>>) -> u8 {
    // Somebody else's subscriber stays when there is one.
    let _installed = tracing::subscriber::set_global_default(StderrLog);
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => fail(Code::Agent, &error, ERROR),
    }
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_that_cannot_execute_is_no_right_configuration() {
        let host = HostConfig::local().unwrap();
        assert_eq!(check(&host, |_| false), USAGE);
        assert_eq!(check(&host, |_| true), OK);
    }

    #[test]
    fn an_agent_with_no_process_before_it_is_warned_of_what_scripts_leave_behind() {
        assert!(alone(1).unwrap().contains("docker run --init"));
        assert_eq!(alone(2), None);
    }

    #[test]
    fn no_line_of_help_is_wider_than_a_terminal() {
        let wide = HELP.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None);
    }

    fn parse_line(line: &str) -> Result<Parsed, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_in_any_order_and_typos_are_refused() {
        let config = Some(PathBuf::from("a.toml"));
        for line in [
            "apply x.hoist --config a.toml",
            "--config=a.toml apply x.hoist",
        ] {
            let verb = Verb::Apply("x.hoist".into());
            assert_eq!(parse_line(line), Ok(Parsed::Do(verb, config.clone())));
        }
        for line in ["apply --help", "apply -h", "apply x --help", "status -h"] {
            assert_eq!(parse_line(line), Ok(Parsed::Help), "{line}");
        }
        assert_eq!(parse_line("status"), Ok(Parsed::Do(Verb::Status, None)));
        for line in [
            "apply",
            "apply --config a",
            "status run",
            "--conf a",
            "apply a b",
        ] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }
}
