//! The one door into the rules, the retained set that follows from rows, and the check that rows
//! fit together.

pub mod check;
pub mod decide;
pub mod desired;
pub mod input;
pub mod memory;
