//! A gate's test plan: how it is read, in what order its tests are sent, how answers
//! are judged, what a run comes to and how it is reported. Pure: no socket, no file,
//! no clock and no environment; whoever runs a plan brings those. Read `plan.rs` for
//! what there is, `run.rs` for how a run goes, then `judge.rs`; `primsh.rs` has the
//! rules of prim.sh's own runner.

mod capture;
mod exchange;
mod finding;
mod graph;
pub mod hidden;
mod judge;
mod lint;
mod pattern;
mod plan;
mod primsh;
mod read;
pub mod report;
mod run;
mod schema;
mod secrets;
mod shape;
mod template;
mod validator;
mod verdict;

pub use exchange::{Answer, Receipt, Request, Shown, Spent, Task, Ticket, Trouble};
pub use finding::{Code, Finding, Severity};
pub use judge::{Judgement, judge};
pub use lint::{Known, SEEDS, lint};
pub use pattern::{Pattern, Range, Rule, Word};
pub use plan::{Capture, Expected, Group, Interface, Mode, Payment, Plan, Retry, Test, Until};
pub use read::{LARGEST, MOST_TESTS, from_value, parse, read};
pub use run::Run;
pub use schema::schema;
pub use secrets::{Secrets, reference};
pub use verdict::{Counts, Exit, Outcome, Phases, TestResult, Verdict, conclude};
