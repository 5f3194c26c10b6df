//! One file per server that Flywheel speaks to; the only place that names their
//! protocols and libraries. An adapter turns every failure into a `PortError`
//! whose message says what to do, and decides nothing. Each one passes the
//! contract suite of its port (`tests/contract`) against the real server.

pub mod caddy;
pub mod clock;
pub mod connect;
pub mod git;
pub mod gitea;
pub mod http;
pub mod model;
pub mod probe;
pub mod provisioner;
pub mod rfc2136;
pub mod x402;
