//! Scenarios on real parts. `control_plane` needs an API server alone, `no_node` a
//! control plane with forge, DNS server and edge (`make test-control-plane`),
//! `cluster` the whole test bed (`make test-e2e`). All find their servers in the
//! environment that `make env` prints.

mod cluster;
mod control_plane;
mod controller;
mod no_node;
mod support;
