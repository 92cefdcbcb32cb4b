#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hoist_tests::fuzz::run("artifacts", input));
