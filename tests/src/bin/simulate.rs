//! Simulated fleets by the thousand: `simulate --seeds 20000 --json`.

fn main() -> std::process::ExitCode {
    hoist_tests::simulation::program::main()
}
