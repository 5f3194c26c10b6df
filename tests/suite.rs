//! A gate's plan: its form, its rules and what a run of it comes to, without a socket.

mod plan;
mod script;
mod vectors;
