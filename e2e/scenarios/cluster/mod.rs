//! The whole test bed: what the controller, the doctor and the policies do on
//! real parts. One at a time: each leaves the bed as it found it.

mod actions;
pub(crate) mod bed;
pub(crate) mod contract;
mod doctor;
mod external_dns;
mod factory;
mod gates;
pub(crate) mod journey;
mod network;
mod rooms;
