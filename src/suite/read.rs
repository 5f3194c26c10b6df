//! From a text to a [`Plan`].

use super::{finding::Finding, plan::{Mode, Plan}};

/// Reads JSON, or YAML. All problems come at once. With [`Mode::Primsh`] whatever
/// prim.sh's runner stumbles over only while it runs is taken.
pub fn read(text: &str, mode: Mode) -> Result<Plan, Vec<Finding>> {
    let _ = (text, mode);
    todo!()
}
