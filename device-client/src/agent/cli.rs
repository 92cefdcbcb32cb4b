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
use super::text_source::TextSource;
use super::{check, runner, said, show};

mod arguments;

use arguments::{Parsed, Verb, parse};

const OK: u8 = 0;
const ERROR: u8 = 1;
const USAGE: u8 = 2;
const FAILED: u8 = 3;
#[cfg(feature = "tls")]
const REFUSED: u8 = 4;
const INTERRUPTED: u8 = 130;

/// For whoever reads what was said last.
const SAID_PATIENCE: Duration = Duration::from_millis(400);

/// Names the configuration when `--config` does not.
const CONFIG_VARIABLE: &str = "HOIST_CONFIG";

const HELP: &str = "\
hoist-agent: installs what Hoist deploys to this device

  hoist-agent --config F                      run
  hoist-agent apply F.hoist|DIR [--config F]  install this now, without a server
  hoist-agent enroll --file F|-|TEXT [--device ID] [--config F]
                                              set this device up by a text of
                                              `hoist enroll create`
  hoist-agent status [--config F]             what is installed, what runs,
                                              how the last deployments ended
  hoist-agent check-config [--config F]       whether the configuration is right
  hoist-agent --version | --help

Without --config, HOIST_CONFIG names the configuration. `apply DIR` and `status`
work without one: the device is then called local, with state in ./local.state.
`apply F.hoist` needs one, and on a device that was never connected root.bin
beside the file: it is in keys/ of the server's data directory.

`enroll` reads the text from a file, from standard input (-), or takes it as it
is: then others on this machine can see its secret while the program runs. It
names the device after the host unless --device does, and writes ID.toml here
unless --config names another file; no file is ever replaced.

Exit codes: 0 ok, 1 error, 2 usage, 3 the release failed and was rolled back,
4 the server refuses to enroll the device, 130 interrupted
";

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
    let verb = match verb {
        Verb::Enroll(text, device) => return enroll(text, device.as_deref(), config),
        verb => verb,
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
        // It needs no configuration: it was carried out before.
        (Verb::Enroll(..), _) => usage("enroll stands alone"),
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

/// Says of a configuration that can be read whether the device fits it, and the agent would start.
fn check(host: &HostConfig, can_execute: impl Fn(&Path) -> bool) -> u8 {
    if let Err(error) = check::start(host) {
        return fail(error.code(), &error, ERROR);
    }
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

#[cfg(feature = "tls")]
fn enroll(text: TextSource, device: Option<&str>, config: Option<PathBuf>) -> u8 {
    let text = match text.read() {
        Ok(text) => text,
        Err(error) => return fail(Code::File, &error, ERROR),
    };
    in_runtime(Box::pin(async {
        let shutdown = match stop_signal() {
            Ok(shutdown) => shutdown,
            Err(error) => return fail(Code::Agent, &error, ERROR),
        };
        let enrolled = tokio::select! {
            enrolled = super::enroll::enroll(&text, device, config) => enrolled,
            () = shutdown => {
                said::say("interrupted: the same command again goes on");
                return INTERRUPTED;
            }
        };
        match enrolled {
            Ok(set_up) => print(&format!(
                "{} is enrolled: run `hoist-agent --config {}`\n",
                set_up.device,
                set_up.config.display()
            )),
            Err(error) if error.is_refused() => fail(error.code(), &error, REFUSED),
            Err(error) if matches!(error.code(), Code::Usage | Code::Name) => {
                fail(error.code(), &error, USAGE)
            }
            Err(error) => fail(error.code(), &error, ERROR),
        }
    }))
}

#[cfg(not(feature = "tls"))]
fn enroll(_text: TextSource, _device: Option<&str>, _config: Option<PathBuf>) -> u8 {
    usage("this agent was built without TLS, by which certificates are shown")
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
#[path = "cli_tests.rs"]
mod tests;
