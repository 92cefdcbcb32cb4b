//! Kills a real server again and again under a fleet whose lines break, and compares what it
//! has recorded with what the devices did.

use std::process::ExitCode;

use clap::Parser;
use hoist_tests::chaos::{self, Plan};

/// Kills a real server while a fleet works, and compares its records with the devices' own
#[derive(Parser)]
struct Args {
    /// Number of times that the server is killed
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// Number of times that it is ended in order besides, and started again with an empty broker,
    /// as it is after every kill
    #[arg(long, default_value_t = 0)]
    broker_restarts: u32,
    /// Simulated devices of the fleet
    #[arg(long, default_value_t = 200)]
    devices: u32,
    /// Real agents beside them
    #[arg(long, default_value_t = 4)]
    agents: u32,
    /// Decides what happens when, as far as this program decides it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One line of JSON on standard output
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    // It is the programs that it kills, too: nothing else has to be built.
    match words.nth(1) {
        Some(first) if first == chaos::HOIST => {
            return hoist_cli::run(std::iter::once(first).chain(words)).into();
        }
        Some(first) if first == chaos::AGENT => {
            let words = words.filter_map(|word| word.into_string().ok());
            return hoist_device_client::agent::run_cli(words).into();
        }
        _ => {}
    }
    let args = Args::parse();
    let plan = Plan {
        kills: args.kills,
        broker_restarts: args.broker_restarts,
        devices: args.devices,
        agents: args.agents,
        seed: args.seed,
    };
    match chaos::run(plan) {
        Ok(found) => {
            if args.json {
                println!("{}", found.json());
            } else {
                println!("{found}");
            }
            ExitCode::from(u8::from(!found.is_clean()))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
