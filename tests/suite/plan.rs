//! prim.sh's own plan, where it is at hand.

use std::{fs, path::PathBuf};

use flywheel::suite::{Mode, Plan, read};

/// The plan's text; none, said loudly, where the folder is not there.
pub fn text() -> Option<String> {
    let folder = std::env::var_os("FLYWHEEL_SPECS").map_or_else(|| PathBuf::from("../shared/data/prim.sh"), PathBuf::from);
    let path = folder.join("smoke-test-plan.json");
    let text = fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("SKIPPED: {} is not there: prim.sh's plan was not looked at", path.display());
    }
    text
}

pub fn real(mode: Mode) -> Option<Plan> {
    Some(read(&text()?, mode).unwrap_or_else(|findings| panic!("{findings:?}")))
}

#[test]
fn prim_shs_plan_is_read_whole() {
    for mode in [Mode::Ours, Mode::Primsh] {
        let Some(plan) = real(mode) else { return };
        assert_eq!((plan.tests.len(), plan.groups.len()), (76, 12));
        assert_eq!(plan.groups.iter().map(|group| group.tests.len()).sum::<usize>(), 76);
        assert!(plan.tests.iter().any(|test| test.skip), "W-6");
    }
}
