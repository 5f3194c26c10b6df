//! Whether generated files are as their generators write them now. The digests
//! come with the plan: what made them ran outside, on the document alone.

use crate::gate::{
    bundle::{SourceFile, digest},
    plan::Generated,
    report::Step,
};

/// The step.
pub fn step(generated: &[Generated], files: &[SourceFile]) -> Step {
    let stale = generated.iter().filter_map(|wanted| match files.iter().find(|f| f.path == wanted.path) {
        None => Some(format!("{} is missing", wanted.path)),
        Some(file) if digest(file.content.as_bytes()) != wanted.digest => Some(format!("{} is not as generated", wanted.path)),
        Some(_) => None,
    });
    let stale = stale.collect::<Vec<_>>().join("; ");
    Step::of(
        "generated",
        if stale.is_empty() { Ok(()) } else { Err(format!("{stale}: generate again, and change the document instead of these files")) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gate_run::Verdict;

    #[test]
    fn an_edited_or_missing_file_is_named() {
        let file = SourceFile::new("packages/a/src/routes.generated.ts", "x");
        let fresh = Generated { path: file.path.clone(), digest: digest(b"x") };
        assert_eq!(step(std::slice::from_ref(&fresh), std::slice::from_ref(&file)).verdict, Verdict::Passed);
        let edited = SourceFile { content: "y".into(), ..file };
        assert!(step(std::slice::from_ref(&fresh), &[edited]).message.unwrap().contains("not as generated"));
        assert!(step(&[fresh], &[]).message.unwrap().contains("missing"));
    }
}
