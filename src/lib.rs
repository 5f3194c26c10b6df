//! Flywheel turns a declared HTTP service into a running one: spec → code →
//! branch → pull request → gates → merge → deployment → DNS → credentials.
//!
//! One object's path, in reading order:
//!
//! 1. [`api`]: what a user declares and what Flywheel reports back.
//! 2. [`controller::driver`]: the one pass every kind goes through: observe →
//!    decide → apply → status.
//! 3. [`decide`]: pure decisions, one file per kind, and the invariants over
//!    every decision.
//! 4. [`ports`]: the outside world as traits; [`adapters`]: its real servers.
//!
//! `docs/architecture.md` says why, `tests/tidy.rs` keeps the layers apart.

pub mod api;
pub mod decide;
pub mod outputs;
pub mod ports;
pub mod prim;
pub mod scaffold;
pub mod suite;

pub mod adapters;
pub mod controller;
pub mod runner;

pub mod author;
pub mod bank;
pub mod call_args;
pub mod canary;
pub mod canary_cli;
pub mod check;
pub mod cli;
pub mod config;
pub mod contract_cli;
pub mod create;
pub mod doctor;
pub mod gate;
pub mod gate_cli;
pub mod generate;
pub mod mcp;
pub mod package;
pub mod probe;
pub mod report_files;
pub mod room;
pub mod room_cli;
pub mod spawn;
pub mod spawn_cli;
pub mod telemetry;
