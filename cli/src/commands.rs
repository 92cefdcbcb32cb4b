//! One file for each command: what it asks, and what it says about the answer.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod broker;
pub(crate) mod check;
mod confirm;
pub(crate) mod deployment;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod enroll;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod freeze;
pub(crate) mod group;
mod import;
pub(crate) mod keys;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod recover;
pub(crate) mod release;
pub(crate) mod serve;
pub(crate) mod signing;
pub(crate) mod status;
pub(crate) mod store_check;
pub(crate) mod user;
mod why;
mod wish;
