//! The index of unwinding tables, 23 kB, is left out of the small agent. Only the profile `agent`
//! optimizes for size, and a panic aborts in it: nothing ever unwinds.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("OPT_LEVEL", "z") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
    // Equal functions are kept once, 11 kB, where Rust links with its own lld.
    let has_lld = is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if is("OPT_LEVEL", "z") && has_lld {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}
