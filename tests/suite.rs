//! A gate's plan: its form, its rules and what a run of it comes to, without a socket.

mod lint;
pub mod plan;
mod random;
mod runs;
mod schema;
mod script;
mod vectors;
