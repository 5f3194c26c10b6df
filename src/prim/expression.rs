//! Regular expressions of types. A document says one and the same in Rust, in
//! JavaScript and in JSON Schema: what only one of them has is no part of it.

use regex_syntax::ast::{
    Assertion, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, GroupKind, Literal, Repetition, RepetitionKind,
    RepetitionRange, parse::Parser,
};

use serde_json::Value;

use super::{backtrack, shape::whole};

/// Characters that JavaScript reads as more than themselves.
const SYNTAX: &str = "^$\\.*+?()[]{}|/-";

/// An expression that all of them read alike.
#[derive(Clone, Debug)]
pub struct Expression {
    ast: Ast,
    squares: bool,
}

impl Expression {
    /// Reads one; else says what in it is not taken.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::within(text, None)
    }

    /// The one of a schema, where it has any.
    pub fn of(schema: &Value) -> Option<Result<Self, String>> {
        Some(Self::within(schema.get("pattern")?.as_str()?, longest(schema)))
    }

    /// The same for texts of `longest` characters at most.
    fn within(text: &str, longest: Option<u64>) -> Result<Self, String> {
        let ast = Parser::new().parse(text).map_err(|error| error.kind().to_string())?;
        write(&ast, &mut String::new())?;
        // Its repetitions may multiply beyond what anybody can match.
        regex::Regex::new(text).map_err(|_| "it is too big".to_owned())?;
        let squares = backtrack::squares(&ast, longest)?;
        Ok(Self { ast, squares })
    }

    /// As JavaScript writes it, for its flag `u`.
    pub fn javascript(&self) -> String {
        let mut text = String::new();
        // It was written once before.
        let _ = write(&self.ast, &mut text);
        text
    }

    /// Whether JavaScript may take time with the square of a text's length to try it.
    pub fn squares(&self) -> bool {
        self.squares
    }

    /// A text that it matches, if nothing forbids one: optional parts `more` times.
    pub fn example(&self, more: u32) -> String {
        let mut text = String::new();
        example(&self.ast, more, &mut text);
        text
    }
}

/// How many characters a schema's texts have at most; a count may be written as `20.0`.
fn longest(schema: &Value) -> Option<u64> {
    u64::try_from(whole(schema.get("maxLength")?)?).ok()
}

fn write(ast: &Ast, text: &mut String) -> Result<(), String> {
    match ast {
        Ast::Empty(_) => {}
        Ast::Dot(_) => text.push('.'),
        Ast::Literal(literal) => escaped(literal.c, text),
        Ast::Assertion(assertion) => text.push_str(asserted(assertion)?),
        Ast::ClassPerl(class) => text.push_str(perl(class)),
        Ast::ClassBracketed(class) => {
            text.push_str(if class.negated { "[^" } else { "[" });
            set(&class.kind, text)?;
            text.push(']');
        }
        Ast::Repetition(repetition) => repeated(repetition, text)?,
        Ast::Group(group) => {
            match &group.kind {
                GroupKind::CaptureIndex(_) => text.push('('),
                GroupKind::NonCapturing(flags) if flags.items.is_empty() => text.push_str("(?:"),
                GroupKind::NonCapturing(_) => return Err("flags are not taken".into()),
                GroupKind::CaptureName { .. } => return Err("names of groups are not taken".into()),
            }
            write(&group.ast, text)?;
            text.push(')');
        }
        Ast::Alternation(alternation) => {
            for (i, branch) in alternation.asts.iter().enumerate() {
                if i > 0 {
                    text.push('|');
                }
                write(branch, text)?;
            }
        }
        Ast::Concat(concat) => concat.asts.iter().try_for_each(|part| write(part, text))?,
        Ast::Flags(_) => return Err("flags are not taken".into()),
        Ast::ClassUnicode(_) => return Err("\\p is not taken".into()),
    }
    Ok(())
}

fn escaped(c: char, text: &mut String) {
    match c {
        c if SYNTAX.contains(c) && c != '-' => text.extend(['\\', c]),
        ' '..='~' => text.push(c),
        c => text.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
    }
}

/// The same within brackets.
fn in_class(literal: &Literal, text: &mut String) {
    if literal.c == '-' { text.push_str("\\-") } else { escaped(literal.c, text) }
}

fn asserted(assertion: &Assertion) -> Result<&'static str, String> {
    match assertion.kind {
        AssertionKind::StartLine => Ok("^"),
        AssertionKind::EndLine => Ok("$"),
        AssertionKind::WordBoundary => Ok("\\b"),
        AssertionKind::NotWordBoundary => Ok("\\B"),
        _ => Err("of assertions ^, $, \\b and \\B alone are taken".into()),
    }
}

fn perl(class: &ClassPerl) -> &'static str {
    match (&class.kind, class.negated) {
        (ClassPerlKind::Digit, false) => "\\d",
        (ClassPerlKind::Digit, true) => "\\D",
        (ClassPerlKind::Space, false) => "\\s",
        (ClassPerlKind::Space, true) => "\\S",
        (ClassPerlKind::Word, false) => "\\w",
        (ClassPerlKind::Word, true) => "\\W",
    }
}

fn set(kind: &ClassSet, text: &mut String) -> Result<(), String> {
    match kind {
        ClassSet::Item(item) => item_of(item, text),
        ClassSet::BinaryOp(_) => Err("operations on classes are not taken".into()),
    }
}

fn item_of(item: &ClassSetItem, text: &mut String) -> Result<(), String> {
    match item {
        ClassSetItem::Empty(_) => {}
        ClassSetItem::Literal(literal) => in_class(literal, text),
        ClassSetItem::Range(range) => {
            in_class(&range.start, text);
            text.push('-');
            in_class(&range.end, text);
        }
        ClassSetItem::Perl(class) => text.push_str(perl(class)),
        ClassSetItem::Union(union) => union.items.iter().try_for_each(|item| item_of(item, text))?,
        ClassSetItem::Ascii(_) | ClassSetItem::Unicode(_) => return Err("named classes are not taken".into()),
        ClassSetItem::Bracketed(_) => return Err("classes within classes are not taken".into()),
    }
    Ok(())
}

fn repeated(repetition: &Repetition, text: &mut String) -> Result<(), String> {
    if matches!(*repetition.ast, Ast::Repetition(_) | Ast::Assertion(_) | Ast::Empty(_)) {
        return Err("only characters, classes and groups are repeated".into());
    }
    write(&repetition.ast, text)?;
    let (least, most) = bounds(repetition);
    match (least, most) {
        (0, None) => text.push('*'),
        (1, None) => text.push('+'),
        (0, Some(1)) => text.push('?'),
        (least, None) => text.push_str(&format!("{{{least},}}")),
        (least, Some(most)) => text.push_str(&format!("{{{least},{most}}}")),
    }
    if !repetition.greedy {
        text.push('?');
    }
    Ok(())
}

pub(super) fn bounds(repetition: &Repetition) -> (u32, Option<u32>) {
    match &repetition.op.kind {
        RepetitionKind::ZeroOrOne => (0, Some(1)),
        RepetitionKind::ZeroOrMore => (0, None),
        RepetitionKind::OneOrMore => (1, None),
        RepetitionKind::Range(RepetitionRange::Exactly(n)) => (*n, Some(*n)),
        RepetitionKind::Range(RepetitionRange::AtLeast(n)) => (*n, None),
        RepetitionKind::Range(RepetitionRange::Bounded(least, most)) => (*least, Some(*most)),
    }
}

fn example(ast: &Ast, more: u32, text: &mut String) {
    // Nobody needs a longer one.
    if text.len() > 10_000 {
        return;
    }
    match ast {
        Ast::Dot(_) => text.push('a'),
        Ast::Literal(literal) => text.push(literal.c),
        Ast::ClassPerl(class) => text.push(one_of_perl(class)),
        Ast::ClassBracketed(class) => text.extend(one_of(class)),
        Ast::Repetition(repetition) => {
            let (least, most) = bounds(repetition);
            for _ in 0..most.unwrap_or(u32::MAX).min(least.saturating_add(more)).min(10_000) {
                example(&repetition.ast, more, text);
            }
        }
        Ast::Group(group) => example(&group.ast, more, text),
        Ast::Alternation(alternation) => alternation.asts.iter().take(1).for_each(|branch| example(branch, more, text)),
        Ast::Concat(concat) => concat.asts.iter().for_each(|part| example(part, more, text)),
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) | Ast::ClassUnicode(_) => {}
    }
}

fn one_of_perl(class: &ClassPerl) -> char {
    match (&class.kind, class.negated) {
        (ClassPerlKind::Digit, false) => '1',
        (ClassPerlKind::Space, false) => ' ',
        (ClassPerlKind::Word, true) => '-',
        _ => 'a',
    }
}

/// A character of a class, by what the class itself says of it.
fn one_of(class: &regex_syntax::ast::ClassBracketed) -> Option<char> {
    let alone = Ast::ClassBracketed(Box::new(class.clone())).to_string();
    let class = regex::Regex::new(&alone).ok()?;
    let usual = ('a'..='z').chain('0'..='9').chain('A'..='Z').chain(' '..='~');
    usual.chain('\u{a1}'..='\u{ffff}').find(|c| class.is_match(c.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javascript_writes_the_same() {
        for (text, written) in [
            ("^[a-z0-9-]+$", r"^[a-z0-9\-]+$"),
            (r"^\d{3}-\d{4,}$", r"^\d{3,3}-\d{4,}$"),
            ("a/b", r"a\/b"),
            (r"^(?:x|y)*?z?$", r"^(?:x|y)*?z?$"),
            (r"\#\!é", r"#!\u{e9}"),
            ("[]^x]", r"[\]\^x]"),
            (r"[\w.]", r"[\w\.]"),
        ] {
            assert_eq!(Expression::parse(text).unwrap().javascript(), written);
        }
    }

    #[test]
    fn what_one_of_them_lacks_is_refused() {
        for text in ["(?i)a", "(?P<n>a)", r"\pL", r"\A", "[[:alpha:]]", "[a&&b]", "(", "a**", "^*", "(((a{900}){900}){900})", "(a*)*b"] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_example_matches() {
        for (text, more) in [("^[a-z]{2,5}$", 0), (r"^\d+(\.\d+)?$", 2), ("^[^a-z]$", 0), ("^(GET|POST) /", 1), (r"^[\u4e00-\u4e10]$", 0)] {
            let made = Expression::parse(text).unwrap().example(more);
            assert!(regex::Regex::new(text).unwrap().is_match(&made), "{text}: {made}");
        }
    }
}
