//! Scenarios on real parts. `control_plane` needs an API server alone
//! (`make test-control-plane`), `cluster` the whole test bed (`make test-e2e`).
//! Both find their servers in the environment that `make env` prints.

mod cluster;
mod control_plane;
mod support;
