//! A plan from anybody: it is read or refused, and if read, run to its end against
//! services that answer nonsense, in both modes.
#![no_main]

use std::collections::BTreeMap;

use flywheel_fuzz::suite::{Answer, Mode, Run, Secrets, Spent, Trouble, conclude, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for mode in [Mode::Ours, Mode::Primsh] {
        let Ok(plan) = read(text, mode) else { continue };
        let seeds = BTreeMap::from([("test_prefix".to_owned(), "gate-1".to_owned())]);
        let Ok(mut run) = Run::new(&plan, None, seeds, Secrets::default()) else { continue };
        let json = ("content-type".to_owned(), "application/json".to_owned());
        let answer =
            Answer { status: 200, headers: vec![json], body: br#"{"id":"1","items":[{"id":null}],"total":1}"#.to_vec(), cut: None };
        for turn in 0..200 {
            let Some(task) = run.next_task() else { break };
            let again = if turn % 3 == 2 {
                run.broke(task.ticket, &Trouble::Broken("no answer".into()), Spent::default())
            } else {
                run.answered(task.ticket, &answer, Spent::default())
            };
            if again.is_some() {
                run.again(task.ticket);
            }
        }
        run.stop("enough", &BTreeMap::new());
        assert!(run.is_done());
        let results = run.into_results();
        conclude(&plan, &results, None);
    }
});
