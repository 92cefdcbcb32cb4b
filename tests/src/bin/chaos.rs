//! Kills a real server again and again under a fleet whose lines break, and compares what it
//! has recorded with what the devices did.

use std::process::ExitCode;

use clap::Parser;
use hoist_tests::chaos::{self, Plan};

/// Kills a real server while a fleet works, and compares its records with the devices' own
#[derive(Parser)]
struct Args {
    /// How often the server is killed
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// Devices of the fleet
    #[arg(long, default_value_t = 200)]
    devices: u32,
    /// Decides what happens when, as far as this program decides it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One line of JSON on standard output
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os().peekable();
    // It is the program that it kills, too: nothing else has to be built.
    if words.nth(1).is_some_and(|first| first == chaos::HOIST) {
        let program = std::iter::once(chaos::HOIST.into());
        return hoist_cli::run(program.chain(words)).into();
    }
    let args = Args::parse();
    let plan = Plan {
        kills: args.kills,
        devices: args.devices,
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
