//! The `hoist` program, built by this package so that its tests can run it.

fn main() -> std::process::ExitCode {
    hoist_cli::run(std::env::args_os()).into()
}
