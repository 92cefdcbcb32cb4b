//! Hoist's proving programs and, in `main.rs`, its one integration test binary. This
//! crate holds no product code.

pub mod browser;
pub mod chaos;
pub mod faults;
pub mod fuzz;
pub mod mutants;
pub mod power_cut;
pub mod simulation;
