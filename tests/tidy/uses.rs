//! Which paths a Rust source names. Not a parser: comments and literals go,
//! `use` trees are unfolded, and every `a::b` of the rest counts.

/// Every path that `source`, a file of crate module `module`, names, with
/// `super::` and `self::` resolved.
pub fn paths(source: &str, module: &[&str]) -> Vec<String> {
    let code = without_comments_and_literals(source);
    let mut found = Vec::new();
    let mut rest = String::new();
    let mut statements = code.split_inclusive(';');
    for statement in &mut statements {
        match use_tree(statement) {
            Some((before, tree)) => {
                rest.push_str(before);
                unfold(tree, "", &mut found);
            }
            None => rest.push_str(statement),
        }
    }
    found.extend(inline(&rest));
    found.iter().map(|path| absolute(path, module)).collect()
}

/// The tree of a `use` that ends `statement`, and what stands before it.
fn use_tree(statement: &str) -> Option<(&str, &str)> {
    let at = statement.match_indices("use ").filter(|(i, _)| {
        let before = statement[..*i].trim_end_matches("pub ").trim_end_matches("pub(super) ").trim_end_matches("pub(crate) ");
        before.trim_end_matches([' ', '\t']).is_empty() || before.trim_end_matches([' ', '\t']).ends_with(['\n', '}', '{', ']'])
    });
    let (at, _) = at.last()?;
    let tree = statement[at + 4..].trim_end_matches(';').trim();
    // A `use` inside a block may be followed by more only after its `;`.
    Some((&statement[..at], tree))
}

fn unfold(tree: &str, prefix: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.find('{') {
        Some(open) => {
            let prefix = format!("{prefix}{}", tree[..open].trim());
            let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
            for part in split_top(inner) {
                unfold(part, &prefix, found);
            }
        }
        None if tree.is_empty() => {}
        None => {
            let name = tree.split(" as ").next().unwrap_or(tree).trim();
            found.push(if name == "self" { prefix.trim_end_matches(':').to_owned() } else { format!("{prefix}{name}") });
        }
    }
}

fn split_top(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (i, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

fn inline(code: &str) -> Vec<String> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.contains("::"))
        .map(|word| word.trim_start_matches("::").trim_end_matches(':').to_owned())
        .filter(|word| word.contains("::"))
        .collect()
}

fn absolute(path: &str, module: &[&str]) -> String {
    let mut here: Vec<&str> = module.to_vec();
    let mut parts: Vec<&str> = path.split("::").map(str::trim).collect();
    if !matches!(parts.first(), Some(&"super" | &"self")) {
        return parts.join("::");
    }
    while let Some(first) = parts.first() {
        match *first {
            "super" => here.truncate(here.len().saturating_sub(1)),
            "self" => {}
            _ => break,
        }
        parts.remove(0);
    }
    here.extend(parts);
    format!("crate::{}", here.join("::"))
}

fn without_comments_and_literals(source: &str) -> String {
    let mut code = String::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => {
                for c in chars.by_ref() {
                    if c == '\n' {
                        break;
                    }
                }
                code.push('\n');
            }
            '"' => {
                let mut escaped = false;
                for c in chars.by_ref() {
                    match c {
                        _ if escaped => escaped = false,
                        '\\' => escaped = true,
                        '"' => break,
                        _ => {}
                    }
                }
                code.push_str("\"\"");
            }
            // A character, unless it is a lifetime.
            '\'' => {
                let mut ahead = chars.clone();
                let first = ahead.next();
                let literal = match first {
                    Some('\\') => true,
                    Some(_) => ahead.next() == Some('\''),
                    None => false,
                };
                if literal {
                    let mut escaped = false;
                    for c in chars.by_ref() {
                        match c {
                            _ if escaped => escaped = false,
                            '\\' => escaped = true,
                            '\'' => break,
                            _ => {}
                        }
                    }
                }
                code.push(' ');
            }
            c => code.push(c),
        }
    }
    code
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let source = r#"
        //! use crate::comment;
        pub use super::a::B;
        use crate::{c::{self, D as E}, ports::{forge::Forge, dns}};
        use super::super::adapters::gitea;
        #[cfg(test)]
        mod tests { use super::*; }
        fn f<'a>(x: &'a str) -> crate::g::H { let q = '"'; std::fs::read("crate::string::X"); tokio::spawn(q) }
    "#;
    let found = paths(source, &["decide", "factory"]);
    for path in [
        "crate::decide::a::B",
        "crate::c",
        "crate::c::D",
        "crate::ports::forge::Forge",
        "crate::ports::dns",
        "crate::adapters::gitea",
        "crate::g::H",
        "std::fs::read",
        "tokio::spawn",
    ] {
        assert!(found.iter().any(|p| p == path), "{path} is not in {found:?}");
    }
    assert!(!found.iter().any(|p| p.contains("comment") || p.contains("string")), "{found:?}");
}
