//! Cuts the power of a device wherever it hurts: `power_cut --json`.

fn main() -> std::process::ExitCode {
    hoist_tests::power_cut::program::main()
}
