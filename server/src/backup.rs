//! The content of a backup, and the file that it is in.

pub mod archive;
pub mod contents;
