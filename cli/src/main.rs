//! The `hoist` program: everything is in the library, so that tests run the same code.

fn main() -> std::process::ExitCode {
    hoist_cli::run(std::env::args_os()).into()
}
