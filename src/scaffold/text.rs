//! TypeScript as the formatter would write it. Only a few constructs hold texts
//! of unknown length; how the formatter breaks those is written down here, and
//! templates are laid out so that nothing else can grow too wide.

/// The formatter's line width.
const WIDTH: usize = 100;
/// The formatter breaks no line after a key shorter than this.
const SHORT_KEY: usize = 5;

/// Characters outside ASCII that stand in code as they are: each is one column
/// wide and none changes how the line is read.
fn plain(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{17f}' | '–' | '—' | '‘' | '’' | '“' | '”' | '•' | '…' | '€' | '→' | '←' | '↔' | '≤' | '≥')
}

/// A string literal, in the quotes that need fewer escapes.
pub(super) fn string(text: &str) -> String {
    let count = |quote: char| text.bytes().filter(|b| char::from(*b) == quote).count();
    let quote = if count('"') > count('\'') { '\'' } else { '"' };
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push(quote);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // Harmless here, but linters take it for a forgotten template.
            '$' if chars.peek() == Some(&'{') => literal.push_str("\\u{24}"),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c == quote => literal.extend(['\\', c]),
            c if plain(c) => literal.push(c),
            c => literal.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    literal.push(quote);
    literal
}

/// Whether a line is no wider than the formatter lets it be.
pub(super) fn fits(line: &str) -> bool {
    // A text of n bytes has n characters at most.
    line.len() <= WIDTH || line.chars().count() <= WIDTH
}

/// `key: "text",`, broken after the colon where it is too wide and the key is
/// long enough for that to win anything.
pub(super) fn prop(indent: usize, key: &str, text: &str) -> String {
    if key.len() < SHORT_KEY {
        return format!("{}{key}: {},", " ".repeat(indent), string(text));
    }
    broken(indent, &format!("{key}:"), &string(text), ",")
}

/// `const name = "text";`, broken after the equals sign where it is too wide.
pub(super) fn constant(indent: usize, name: &str, text: &str) -> String {
    broken(indent, &format!("const {name} ="), &string(text), ";")
}

fn broken(indent: usize, left: &str, right: &str, end: &str) -> String {
    let space = " ".repeat(indent);
    let line = format!("{space}{left} {right}{end}");
    if fits(&line) { line } else { format!("{space}{left}\n{space}  {right}{end}") }
}

/// `left["a", "b"]right`, one to a line where it is too wide.
pub(super) fn list(indent: usize, left: &str, texts: Vec<String>, right: &str) -> String {
    let items: Vec<_> = texts.into_iter().map(|text| string(&text)).collect();
    enclosed(indent, &format!("{left}["), &items, &format!("]{right}"))
}

/// `left(a, b)right`, one argument to a line where it is too wide.
pub(super) fn call(indent: usize, left: &str, arguments: &[String], right: &str) -> String {
    enclosed(indent, &format!("{left}("), arguments, &format!("){right}"))
}

/// `left[a, b]right`, one to a line where it is too wide.
pub(super) fn array(indent: usize, left: &str, items: &[String], right: &str) -> String {
    enclosed(indent, &format!("{left}["), items, &format!("]{right}"))
}

fn enclosed(indent: usize, open: &str, items: &[String], close: &str) -> String {
    let space = " ".repeat(indent);
    let line = format!("{space}{open}{}{close}", items.join(", "));
    if fits(&line) || items.is_empty() {
        return line;
    }
    let lines: String = items.iter().map(|item| format!("{space}  {item},\n")).collect();
    format!("{space}{open}\n{lines}{space}{close}")
}

/// One line of prose: without line breaks, and without characters that can't be
/// seen or change the direction of what follows.
pub(super) fn prose(text: &str) -> String {
    // Most texts are one already.
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~')) && !text.contains("  ") && !text.starts_with(' ') && !text.ends_with(' ');
    if plain {
        return text.into();
    }
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let visible: String = text.chars().map(|c| if hidden(c) { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words of comments that linters and formatters obey.
const DIRECTIVES: [&str; 8] = [
    "biome-ignore",
    "deno-lint-ignore",
    "eslint-disable",
    "eslint-enable",
    "eslint-env",
    "oxlint-disable",
    "prettier-ignore",
    "rome-ignore",
];

/// The same within a block comment, which it can't end, and in which it tells no
/// compiler and no linter anything: `@ts-ignore` becomes `@ ts-ignore`.
pub fn comment(text: &str) -> String {
    let mut said = String::new();
    let prose = prose(text);
    let mut chars = prose.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        said.push(c);
        // What stands within a word is an address of mail.
        let tags = c == '@' && !before.is_alphanumeric() && chars.peek().is_some_and(|next| *next != ' ');
        let closes = c == '*' && chars.peek() == Some(&'/');
        if tags || closes {
            said.push(' ');
        }
        before = c;
    }
    let said = DIRECTIVES.iter().fold(said, |said, word| said.replace(word, &word.replace('-', " ")));
    said.replace("@ts-", "@ ts-").replace("///", "// /").replace("sourceMappingURL=", "sourceMappingURL =")
}

/// The same in Markdown, where it is text and no markup of HTML.
pub(super) fn markdown(text: &str) -> String {
    prose(text).replace('<', "&lt;")
}

/// The same in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    markdown(text).replace('|', "\\|")
}

/// An object's key, quoted where it must be.
pub(super) fn key(name: &str) -> String {
    let identifier =
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match name {
        // A linter takes an object with it for a promise.
        "then" => "\"\\u{74}hen\"".into(),
        _ if identifier => name.into(),
        _ => string(name),
    }
}

/// A chain of calls on zod's `z`, one to a line where it is too wide.
pub(super) fn chain(indent: usize, left: &str, calls: &[String], end: &str) -> String {
    let space = " ".repeat(indent);
    let line = format!("{space}{left}z.{}{end}", calls.join("."));
    // The formatter leaves a chain of two calls or fewer as it is, and breaks a longer
    // one also where an argument is more than a value.
    let spread = calls.iter().any(|call| call.contains("..."));
    if calls.iter().filter(|call| call.ends_with(')')).count() < 3 || (fits(&line) && !spread) {
        return line;
    }
    let (head, calls) = match calls.split_first() {
        Some((first, rest)) if !first.ends_with(')') => (format!("z.{first}"), rest),
        _ => ("z".into(), calls),
    };
    let lines: String = calls.iter().map(|call| format!("\n{space}  .{call}")).collect();
    format!("{space}{left}{head}{lines}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_says_its_text_and_ends_nothing() {
        for (text, literal) in [
            ("plain", r#""plain""#),
            ("it's", r#""it's""#),
            (r#"say "hi""#, r#"'say "hi"'"#),
            (r#""'"#, r#""\"'""#),
            ("a\\b\n", r#""a\\b\n""#),
            ("${x} $x", r#""\u{24}{x} $x""#),
            ("→ é \u{202e}日", r#""→ é \u{202e}\u{65e5}""#),
        ] {
            assert_eq!(string(text), literal);
        }
    }

    #[test]
    fn a_comment_ends_where_we_end_it() {
        assert_eq!(comment("a */ b\n * c \u{202e}d"), "a * / b * c d");
        for (text, said) in [
            ("@ts-expect-error", "@ ts-expect-error"),
            ("*@ts-ignore x", "*@ ts-ignore x"),
            ("@\u{200b}ts-nocheck", "@ ts-nocheck"),
            ("a@ts-ignore", "a@ ts-ignore"),
            ("@@ts-ignore", "@ @ ts-ignore"),
            ("@jsxImportSource evil", "@ jsxImportSource evil"),
            ("biome-ignore lint: x", "biome ignore lint: x"),
            ("see eslint-disable-line", "see eslint disable-line"),
            ("/// <reference path='x' />", "// / <reference path='x' />"),
            ("mail a@b.example @ 5", "mail a@b.example @ 5"),
        ] {
            assert_eq!(comment(text), said);
        }
        assert_eq!(cell("a | <b>"), "a \\| &lt;b>");
    }

    #[test]
    fn a_key_is_quoted_where_it_must_be() {
        for (name, written) in [("a_b", "a_b"), ("a-b", "\"a-b\""), ("then", "\"\\u{74}hen\""), ("thens", "thens")] {
            assert_eq!(key(name), written);
        }
    }

    #[test]
    fn lines_are_broken_as_the_formatter_breaks_them() {
        let long = "x".repeat(90);
        assert_eq!(prop(2, "description", "short"), r#"  description: "short","#);
        assert_eq!(prop(2, "description", &long), format!("  description:\n    \"{long}\","));
        assert_eq!(prop(2, "path", &long), format!("  path: \"{long}\","));
        assert_eq!(call(2, "f", &["1".into(), "2".into()], ";"), "  f(1, 2);");
        let calls = |of: &[&str]| of.iter().map(|call| (*call).to_owned()).collect::<Vec<_>>();
        assert_eq!(chain(2, "a: ", &calls(&["string()", "min(1)", "optional()"]), ","), "  a: z.string().min(1).optional(),");
        assert_eq!(chain(2, "a: ", &calls(&["string()", "refine(...f())"]), ","), "  a: z.string().refine(...f()),");
        let broken = "  a: z\n    .string()\n    .refine(...f())\n    .optional(),";
        assert_eq!(chain(2, "a: ", &calls(&["string()", "refine(...f())", "optional()"]), ","), broken);
        assert_eq!(call(2, "f", &["1".into(), string(&long)], ";"), format!("  f(\n    1,\n    \"{long}\",\n  );"));
    }
}
