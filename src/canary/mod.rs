//! Gate layer 3: a language model is told what a service says of itself and what to
//! do, and uses it; whether the group's goals hold is then judged by what happened.
//! Nothing here believes the model or the service, and nothing but `drive.rs` and
//! the commands waits. Read `goals.rs` for what passes, then `session.rs` for what a
//! conversation may come to, `reach.rs` for whom it reaches, and `drive.rs`.

mod drive;
mod goals;
mod limits;
mod paid;
mod plan;
mod reach;
mod record;
mod report;
mod session;
mod task;
mod terms;
mod tools;

pub use drive::{Canary, Interrupted, Service, uninterrupted};
pub use goals::{Goals, Proof, Runner, origins as goals_origins, verdict};
pub use limits::{Limits, MOST_CLI_ROUNDS, MOST_ROUNDS};
pub use paid::Services;
pub use plan::{AgentPlan, ModelAt};
pub use reach::{Reach, Request};
pub use record::{Ended, Record, Step, Used};
pub use report::{Cost, GroupReport, Report, TokenPrice};
pub use session::{Fetched, Session, Todo};
pub use task::{Llms, Task};
pub use terms::{Terms, terms};
pub use tools::{Kind, Note, Severity};
