//! Sizes, introductions, and words that must not be in the checkout.

use regex::Regex;

use super::{files, none, read, root};

/// Lines after which a file should be split, and must be.
const LINES: (usize, usize) = (300, 600);

fn sources() -> Vec<String> {
    let mut all = files("src", "rs");
    all.extend(files("tests", "rs"));
    all.extend(files("e2e", "rs"));
    all.extend(files("e2e", "go"));
    all
}

#[test]
fn no_file_is_too_long() {
    let lengths: Vec<_> = sources().into_iter().map(|file| (read(&file).lines().count(), file)).collect();
    for (lines, file) in lengths.iter().filter(|(lines, _)| *lines > LINES.0) {
        eprintln!("{file} has {lines} lines: it reads better in files of {} at most", LINES.0);
    }
    let problems: Vec<_> =
        lengths.iter().filter(|(lines, _)| *lines > LINES.1).map(|(lines, file)| format!("{file}: {lines} lines")).collect();
    none(&problems, &format!("files of more than {} lines: split them along what they are about", LINES.1));
}

/// The `//!` lines that open a file, as one text.
fn introduction(source: &str) -> String {
    source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect::<Vec<_>>().join(" ")
}

fn sentences(text: &str) -> usize {
    let end = Regex::new(r"[.!?:](\s|$)").unwrap();
    end.find_iter(text).count()
}

#[test]
fn every_folder_introduces_itself() {
    let problems: Vec<_> =
        sources().into_iter().filter(|file| file.ends_with("/mod.rs")).filter(|file| sentences(&introduction(&read(file))) < 2).collect();
    none(&problems, "begin these with a `//!` of two sentences or more: what the folder is, what it may not do, where to read next");
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|file| file.ends_with(".rs") && !file.ends_with("/mod.rs") && introduction(&read(file)).is_empty())
        .collect();
    none(&silent, "begin these with a `//!` that says what the file holds");
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // Put together, so that this file does not find itself.
    let words = [["todo", "!("], ["unimplemented", "!("], ["#[", "ignore"], ["TO", "DO"], ["FIX", "ME"]].map(|w| w.concat());
    let mut problems = Vec::new();
    for file in sources() {
        for (number, line) in read(&file).lines().enumerate() {
            // A test that needs more than every run has says by which target it is run.
            let has_a_target = line.trim_start().starts_with(&format!("{} = \"", words[2])) && line.contains("make ");
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str()) && !has_a_target) {
                problems.push(format!("{file}:{}: {word}", number + 1));
            }
        }
    }
    none(&problems, "finish these, or take them out; what is not done yet belongs into an issue");
}

#[test]
fn tests_wait_on_conditions() {
    let sleep = Regex::new(&["\\bsle", "ep(_until|_ms)?\\s*\\("].concat()).unwrap();
    let mut problems = Vec::new();
    for file in files("tests", "rs").into_iter().chain(files("e2e/scenarios", "rs")) {
        for (number, line) in read(&file).lines().enumerate() {
            if sleep.is_match(line) && !line.trim_start().starts_with("//") {
                problems.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(
        &problems,
        "a test that naps is slow on a good day and wrong on a bad one: wait for the condition itself (a watch, `kube::runtime::wait`, an interval that asks), or turn tokio's clock",
    );
}

#[test]
fn no_path_of_a_machine_is_tracked() {
    let homes = ["wo", "rk|ro", "ot|fa", "rm"].concat();
    let path = Regex::new(&format!(r"(^|[^A-Za-z0-9_.\-/}}$*])/({homes})(/|[^A-Za-z0-9_\-./]|$)")).unwrap();
    let mut problems = Vec::new();
    for file in &super::tracked(".") {
        // Deleted and not committed yet, or not text.
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if path.is_match(line) {
                problems.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(&problems, "these name folders of somebody's machine: use a path from the checkout, $HOME or a setting");
}

#[test]
fn the_architecture_page_mentions_every_folder() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md"))
        .expect("docs/architecture.md is missing: write it; it must say what every folder of src is for");
    let mut problems = Vec::new();
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() && !page.contains(&format!("`src/{name}`")) {
            problems.push(format!("src/{name}/"));
        }
    }
    none(&problems, "docs/architecture.md does not mention these folders: say there what each is for, as `src/NAME`");
}
