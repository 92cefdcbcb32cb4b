//! The `hoist` program: the server and the operator's commands.
//!
//! Commands speak MQTT like any other client; nothing here decides what a deployment may
//! do. This crate joins broker, orchestrator and files into `hoist serve`, and only it
//! knows the data directory.

// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod agent_file;
mod archive;
mod args;
mod backup;
mod broker;
mod broker_settings;
mod client;
mod client_file;
mod closest;
mod color;
mod confirm;
mod context;
mod data_dir;
mod demo;
mod denied;
mod deployment;
mod device;
pub mod exit;
mod explain;
mod failure;
mod group;
mod import;
mod keys;
mod lock;
mod logging;
mod misused;
mod mqtt;
mod open_files;
mod output;
mod people;
mod plan;
mod plural;
mod private_file;
mod random;
mod rate;
mod recover;
mod release;
mod secret_output;
mod serve;
mod server;
mod settings;
mod signals;
mod sim;
mod status;
mod store_check;
mod store_failure;
mod token;
mod told;
mod toml_file;
mod upload;
mod user;
mod users;
mod why;
mod wish;

use std::ffi::OsString;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use hoist_device_client::agent::said;
use hoist_protocol::code::Code;

use crate::args::{Cli, Command, Serve};
use crate::context::Context;
use crate::failure::Failure;
use crate::misused::{asked_format, misused};
use crate::settings::Settings;

/// For whoever reads what was said last: a server that is told to stop waits no longer.
const SAID_PATIENCE: Duration = Duration::from_millis(400);

/// Runs one command line, program name first, and returns the exit code: see [`exit`].
/// Results go to standard output, everything else to standard error.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let exit = carry_out(&args);
    said::end(SAID_PATIENCE);
    exit
}

fn carry_out(args: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, asked_format(args)),
    };
    let variables = |name: &str| std::env::var_os(name);
    let settings = Settings::resolve(&cli.global, &Serve::default(), &variables);
    let format = settings.map_or_else(|_| asked_format(args), |known| known.output.value);
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            output::failure::print(&failure, format);
            exit::of(&failure)
        }
    }
}

/// The command line as data, for what checks or documents it.
#[must_use]
pub fn command_line() -> clap::Command {
    Cli::command()
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    let serve_flags = match &cli.command {
        Command::Serve(serve) => serve.clone(),
        Command::Recover(recover) => recover.serve.clone(),
        _ => Serve::default(),
    };
    let variables = |name: &str| std::env::var_os(name);
    let settings = Settings::resolve(&cli.global, &serve_flags, &variables)?;
    let context = Context::new(settings);
    if keeps_data(&cli.command) {
        private_file::by_default();
    }
    match cli.command {
        Command::Completions { shell } => {
            // Into memory first: a reader that leaves early is no failure.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hoist", &mut script);
            context::print(&String::from_utf8_lossy(&script))?;
            Ok(exit::OK)
        }
        Command::Explain { word } => explain::explain(&context, word.as_deref()),
        Command::Config(args::Config::Show { origin }) => context.show_settings(origin),
        command => runtime()?.block_on(operate(&context, command)),
    }
}

/// True if a command writes below a data directory.
fn keeps_data(command: &Command) -> bool {
    matches!(
        command,
        Command::Serve(_)
            | Command::Backup(_)
            | Command::Restore(_)
            | Command::Recover(_)
            | Command::Store(_)
            | Command::Demo(_)
    )
}

async fn operate(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Release(command) => release::run(context, command).await,
        Command::Deploy(deploy) => deployment::deploy(context, deploy).await,
        Command::Plan(wish) => plan::plan(context, wish).await,
        Command::Status(status) => status::status(context, &status).await,
        Command::Deployment(command) => deployment::run(context, command).await,
        Command::Device(command) => device::run(context, command).await,
        Command::Group(command) => group::run(context, command).await,
        Command::User(command) => user::run(context, command).await,
        Command::Serve(_) => serve::serve(context).await,
        Command::Backup(wish) => backup::backup(context, &wish).await,
        Command::Restore(wish) => backup::restore(context, &wish).await,
        Command::Recover(wish) => recover::recover(context, &wish).await,
        Command::Store(args::Store::Check) => store_check::check(context).await,
        Command::Demo(demo) => demo::demo(context, &demo).await,
        Command::Sim(sim) => sim::sim(context, &sim).await,
        Command::Config(_) | Command::Explain { .. } | Command::Completions { .. } => Ok(exit::OK),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because(Code::System, "cannot start the async runtime", &error))
}
