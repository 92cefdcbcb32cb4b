//! The `hoist-agent` program, built by this package so that its tests can run it.

fn main() -> std::process::ExitCode {
    hoist_device_client::agent::run_cli(std::env::args().skip(1)).into()
}
