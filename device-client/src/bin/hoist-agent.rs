//! The device agent: installs what Hoist deploys to this device.

fn main() -> std::process::ExitCode {
    hoist_device_client::agent::run_cli(std::env::args().skip(1)).into()
}
