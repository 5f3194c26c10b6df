//! The one integration binary. Nothing in it needs a cluster, a network or a
//! credential; what does is in `e2e/scenarios`.
//!
//! - `tidy`, `drift`: what holds of the checkout itself.
//! - `api`: the resources' shapes and rules, as the API server would check them.
//! - `decide`: what a Factory's checks come to, for every reason and at random.
//! - `fakes`, with `world` and `contract`: the outside world in memory, and the
//!   suites that keep it honest.
//! - `adapters`: each adapter against a server that misbehaves.
//! - `document`: the format of documents, its checker, its schema, and the
//!   commands for those who write them.
//! - `scaffold`: from documents to packages that pass the factory's own checks.
//! - `outputs`: what is derived from documents, and the command for it.
//! - `gate`: the Job of a gate, and what is read back of its pod.
//! - `runner`: the runner of test plans, against good servers and hostile ones.
//! - `canary`: models that are scripted against services that are real, hostile or not there.
//! - `room`: command lines in a sandbox, against services that are real or hostile.
//! - `change`: changes from files to merge.
//! - `primitive`: primitives from document to answer and back.
//! - `workload`: what runs a package, and what is read back of it.
//! - `money`: what a clean room is given to pay with, and what comes back.
//! - `payments`: a wallet against a chain and services, where there is a chain.
//! - `spawn`: clean rooms from a terminal, on provisioners in memory.
//! - `suite`: a gate's plan, its rules and its reports.
//! - `folder`, `address`: where commands are run, and where nobody listens.
//! - `driver`, `webhook`, `lease`, with `apiserver`: the controller around all that.

mod adapters;
mod address;
mod api;
mod apiserver;
mod canary;
mod change;
mod contract;
mod decide;
mod document;
mod drift;
mod driver;
mod fakes;
mod fixtures;
mod folder;
mod gate;
mod lease;
mod money;
mod outputs;
mod payments;
mod primitive;
mod room;
mod runner;
mod scaffold;
mod spawn;
mod suite;
mod tidy;
mod tls;
mod webhook;
mod workload;
mod world;
