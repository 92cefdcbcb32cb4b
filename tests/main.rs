//! Promises to the user, each proved on real programs: one file per promise. Every test
//! has its own server, ports and folders, and waits on conditions, never on time.

mod harness;

mod agent_already;
mod agent_apply;
mod agent_download;
mod agent_kill;
mod agent_orders;
mod agent_reboot;
mod agent_rollback;
mod agent_scripts;
mod agent_service;
mod agent_trust;
mod agent_update;
mod agent_waits;
mod api;
mod arrows;
mod boundary;
mod codes;
mod commands;
mod demo;
mod deploy;
mod dry_run;
mod hints;
mod identity;
mod import;
mod operations;
mod other_language;
mod own_writes;
mod packing;
mod plan;
mod power_cut;
mod readme;
mod refusals;
mod releases;
mod removal;
mod restart;
mod rollout;
mod scenario;
mod serve;
mod server_log;
mod sim;
mod simulation;
mod tables;
mod why;
mod wire_budget;
