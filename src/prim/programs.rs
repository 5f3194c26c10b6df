//! Programs that a value of a request can make run another one. A command line has
//! no shell, and names none that a caller could write to.

/// They run what their arguments say, whichever argument that is.
const LAUNCHERS: &[&str] = &[
    "ash", "bash", "busybox", "chroot", "command", "csh", "dash", "doas", "env", "eval", "exec", "expect", "find", "fish", "flock",
    "ionice", "ksh", "mksh", "nice", "nohup", "nsenter", "parallel", "pwsh", "rbash", "runuser", "script", "setpriv", "setsid", "sh",
    "ssh", "stdbuf", "strace", "su", "sudo", "taskset", "tcsh", "time", "timeout", "toybox", "unshare", "watch", "xargs", "yash", "zsh",
];
/// They run a file, or code that stands in its place.
const INTERPRETERS: &[&str] = &[
    "awk",
    "bun",
    "bunx",
    "deno",
    "gawk",
    "lua",
    "luajit",
    "mawk",
    "nawk",
    "node",
    "nodejs",
    "npx",
    "osascript",
    "perl",
    "php",
    "pypy",
    "python",
    "pythonw",
    "rscript",
    "ruby",
    "sed",
    "tclsh",
    "ts-node",
    "tsx",
    "uvx",
];

/// Where a command lets a request say what is run: the position of the first word
/// with a value of the request, where its program is such a one.
pub(super) fn launched(command: &[String]) -> Option<usize> {
    let (program, arguments) = command.split_first()?;
    let open = arguments.iter().position(|word| holds_value(word))? + 1;
    let name = program.trim().rsplit(['/', '\\']).next()?.to_ascii_lowercase();
    // `python3.12` is one too.
    let plain = name.trim_end_matches(".exe").trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    let is = |names: &[&str]| names.contains(&plain);
    (is(LAUNCHERS) || is(INTERPRETERS) && !runs_file(arguments)).then_some(open)
}

/// Whether an interpreter's first argument is a file that no request names: then what
/// comes after is that program's.
fn runs_file(arguments: &[String]) -> bool {
    let fixed = |word: &String| !word.trim().is_empty() && !word.trim_start().starts_with('-') && !holds_value(word);
    match arguments {
        [verb, file, ..] if verb == "run" => fixed(file),
        [first, ..] => fixed(first) && first != "eval" && first != "x" && first != "exec",
        [] => false,
    }
}

fn holds_value(word: &str) -> bool {
    word.split_once('{').is_some_and(|(_, rest)| rest.contains('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &str) -> Option<usize> {
        launched(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_request_says_nothing_that_a_shell_or_launcher_runs() {
        for command in [
            "sh -c {q}",
            "/bin/bash script.sh {q}",
            "../SH -c x{body.a}y",
            "env {q}",
            "xargs -n 1 {q}",
            "timeout 5 convert {q}",
            "busybox sh {q}",
            "sudo convert {q}",
            "python3 -c {q}",
            "python3.12 -u {q}",
            "/usr/bin/perl5.36 -ne {q}",
            "node --eval={q}",
            "ruby {q}",
            "bun run {q}",
            "bun x {q}",
            "deno eval code {q}",
            "awk {q}",
            "sed -e {q}",
            "npx {q}",
            "node.exe -p {q}",
        ] {
            assert!(of(command).is_some(), "{command}");
        }
        assert_eq!(of("timeout 5 convert {q} {a}"), Some(3));
    }

    #[test]
    fn programs_of_ones_own_and_fixed_lines_stay() {
        for command in [
            "sh -c date",
            "env",
            "python3 -c 1",
            "python3 sort.py {q}",
            "bun run sort.ts {q}",
            "convert --id={id}! {q}",
            "shfmt {q}",
            "a {",
            "sh }{",
        ] {
            assert_eq!(of(command), None, "{command}");
        }
    }
}
