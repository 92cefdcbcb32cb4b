//! Takes the pictures of the pages in `docs/screenshots`, or in another folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use hoist_tests::browser::{pictures, programs};

/// Takes pictures of the pages: wide and narrow, light and dark
#[derive(Parser)]
struct Args {
    /// The folder for them
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    // It is the programs that it shows, too: nothing else has to be built.
    match words.nth(1) {
        Some(first) if first == pictures::HOIST => {
            return hoist_cli::run(std::iter::once(first).chain(words)).into();
        }
        Some(first) if first == pictures::AGENT => {
            let words = words.filter_map(|word| word.into_string().ok());
            return hoist_device_client::agent::run_cli(words).into();
        }
        _ => {}
    }
    let args = Args::parse();
    if programs().is_none() {
        eprintln!("chromium and chromedriver are needed: apt-get install chromium chromium-driver");
        return ExitCode::from(2);
    }
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/screenshots");
    match pictures::take(&args.out.unwrap_or_else(own)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
