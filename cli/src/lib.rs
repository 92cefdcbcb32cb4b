//! The `hoist` program: the server and the operator's commands.
//!
//! Commands speak MQTT like any other client; nothing here decides what a deployment may
//! do, and what a server is made of is in `hoist-server`.

// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod client;
mod commands;
mod context;
mod demo;
pub mod exit;
mod logging;
mod misused;
mod output;
mod random;
mod rate;
mod settings;
mod signals;
mod sim;

use std::ffi::OsString;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use hoist_device_client::agent::said;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;

use crate::args::{Cli, Command, Serve};
use crate::context::Context;
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
        Command::Broker(args::Broker::Render(render)) => render.doors(),
        _ => Serve::default(),
    };
    let variables = |name: &str| std::env::var_os(name);
    let settings = Settings::resolve(&cli.global, &serve_flags, &variables)?;
    let context = Context::new(settings);
    if keeps_data(&cli.command) {
        hoist_server::private_file::by_default();
    }
    match cli.command {
        Command::Completions { shell } => {
            // Into memory first: a reader that leaves early is no failure.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hoist", &mut script);
            context::print(&String::from_utf8_lossy(&script))?;
            Ok(exit::OK)
        }
        Command::Explain { word } => commands::explain::explain(&context, word.as_deref()),
        Command::Config(args::Config::Show { origin }) => context.show_settings(origin),
        Command::Keys(command) => commands::keys::run(&context, command),
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
            | Command::Broker(_)
            | Command::Keys(_)
            | Command::Demo(_)
    )
}

async fn operate(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Release(command) => commands::release::run(context, command).await,
        Command::Deploy(deploy) => commands::deployment::deploy(context, deploy).await,
        Command::Plan(wish) => commands::plan::plan(context, wish).await,
        Command::Status(status) => commands::status::status(context, &status).await,
        Command::Deployment(command) => commands::deployment::run(context, command).await,
        Command::Device(command) => commands::device::run(context, command).await,
        Command::Enroll(command) => commands::enroll::run(context, command).await,
        Command::Freeze(wish) => commands::freeze::freeze(context, wish).await,
        Command::Unfreeze(wish) => commands::freeze::unfreeze(context, wish).await,
        Command::Group(command) => commands::group::run(context, command).await,
        Command::Policy(command) => commands::policy::run(context, command).await,
        Command::User(command) => commands::user::run(context, command).await,
        Command::Events(wish) => commands::events::events(context, wish).await,
        Command::Audit(command) => commands::audit::run(context, command).await,
        Command::Serve(_) => commands::serve::serve(context).await,
        Command::Backup(wish) => commands::backup::backup(context, &wish).await,
        Command::Restore(wish) => commands::backup::restore(context, &wish).await,
        Command::Recover(wish) => commands::recover::recover(context, &wish).await,
        Command::Store(args::Store::Check) => commands::store_check::check(context).await,
        Command::Broker(command) => commands::broker::run(context, command).await,
        Command::Doctor(wish) => commands::doctor::doctor(context, &wish).await,
        Command::Check(wish) => commands::check::check(context, &wish).await,
        Command::Demo(demo) => demo::demo(context, &demo).await,
        Command::Sim(sim) => sim::sim(context, &sim).await,
        Command::Config(_)
        | Command::Keys(_)
        | Command::Explain { .. }
        | Command::Completions { .. } => Ok(exit::OK),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because(Code::System, "cannot start the async runtime", &error))
}
