//! Patterns on which an engine that tries one way after the other, as JavaScript's
//! does, would never end: within a repetition some text can be read in two ways, so
//! that each more of it doubles the ways that are tried.

use std::collections::{BTreeSet, HashSet};

use regex_syntax::{
    ast::Ast,
    hir::{Class, HirKind},
};

use super::expression::bounds;

/// A repetition of at least so often is taken for one without an end.
const MANY: u32 = 12;
/// Larger patterns are not looked into: whoever reads them refuses their size.
const MOST: usize = 400;

/// Whether it is one of those.
pub(super) fn explodes(pattern: &Ast) -> bool {
    let mut automaton = Automaton::default();
    automaton.read(pattern).is_some() && automaton.ambiguous()
}

/// The characters that a part of one character reads.
fn characters(ast: &Ast) -> Option<Vec<(u32, u32)>> {
    Some(match regex_syntax::parse(&ast.to_string()).ok()?.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok()?.chars().map(|c| (c.into(), c.into())).collect(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect(),
        _ => Vec::new(),
    })
}

/// The places of a pattern at which a character is read, and which of them follow each
/// other (Glushkov's construction).
#[derive(Default)]
struct Automaton {
    /// What each place reads: ranges of characters.
    reads: Vec<Vec<(u32, u32)>>,
    follows: HashSet<(usize, usize)>,
    /// Pairs that follow each other in more ways than one.
    twice: HashSet<(usize, usize)>,
}

/// A part of a pattern: the places that it may begin and end with, and whether it may
/// read nothing.
#[derive(Clone, Default)]
struct Part {
    first: Vec<usize>,
    last: Vec<usize>,
    empty: bool,
}

impl Automaton {
    fn place(&mut self, ranges: Vec<(u32, u32)>) -> Option<Part> {
        let place = self.reads.len();
        self.reads.push(ranges);
        (place < MOST).then(|| Part { first: vec![place], last: vec![place], empty: false })
    }

    fn join(&mut self, before: &[usize], after: &[usize]) {
        for pair in before.iter().flat_map(|a| after.iter().map(move |b| (*a, *b))) {
            if !self.follows.insert(pair) {
                self.twice.insert(pair);
            }
        }
    }

    fn then(&mut self, a: Part, b: Part) -> Part {
        self.join(&a.last, &b.first);
        let first = if a.empty { [a.first, b.first].concat() } else { a.first };
        let last = if b.empty { [b.last, a.last].concat() } else { b.last };
        Part { first, last, empty: a.empty && b.empty }
    }

    /// None where it has too many places.
    fn read(&mut self, ast: &Ast) -> Option<Part> {
        let nothing = || Part { empty: true, ..Part::default() };
        Some(match ast {
            Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => nothing(),
            Ast::Literal(_) | Ast::Dot(_) | Ast::ClassUnicode(_) | Ast::ClassPerl(_) | Ast::ClassBracketed(_) => {
                self.place(characters(ast)?)?
            }
            Ast::Group(group) => self.read(&group.ast)?,
            Ast::Concat(concat) => {
                let mut all = nothing();
                for part in &concat.asts {
                    let one = self.read(part)?;
                    all = self.then(all, one);
                }
                all
            }
            Ast::Alternation(alternation) => {
                let mut all = Part::default();
                for branch in &alternation.asts {
                    let one = self.read(branch)?;
                    all.first.extend(one.first);
                    all.last.extend(one.last);
                    all.empty |= one.empty;
                }
                all
            }
            Ast::Repetition(repetition) => {
                let (least, most) = bounds(repetition);
                let mut all = self.read(&repetition.ast)?;
                if most.is_none_or(|most| most >= MANY && most != least) {
                    self.join(&all.last.clone(), &all.first.clone());
                } else {
                    // Two in a row show what one can do to the next.
                    for _ in 1..most.unwrap_or(1).min(2) {
                        let next = self.read(&repetition.ast)?;
                        all = self.then(all, next);
                    }
                }
                all.empty |= least == 0;
                all
            }
        })
    }

    /// Whether from some place and back to it a text can be read in two ways.
    fn ambiguous(&self) -> bool {
        let count = self.reads.len();
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
        self.follows.iter().for_each(|(a, b)| after[*a].push(*b));
        if self.twice.iter().any(|(a, b)| a == b || leads(&after, *b, *a)) {
            return true;
        }
        let both = |a: usize, b: usize| self.reads[a].iter().any(|(from, to)| self.reads[b].iter().any(|(f, t)| from <= t && f <= to));
        let next = |(a, b): (usize, usize)| {
            let pairs = after[a].iter().flat_map(|p| after[b].iter().map(move |r| (*p, *r)));
            pairs.filter(|(p, r)| both(*p, *r)).map(|(p, r)| (p.min(r), p.max(r))).collect::<BTreeSet<_>>()
        };
        // From one place into two, and from the two into that one again.
        (0..count).filter(|place| leads(&after, *place, *place)).any(|place| {
            let mut seen: HashSet<(usize, usize)> = HashSet::new();
            let mut stack: Vec<(usize, usize)> = next((place, place)).into_iter().collect();
            while let Some(pair) = stack.pop() {
                if pair.0 == pair.1 || !seen.insert(pair) {
                    continue;
                }
                let after = next(pair);
                if after.contains(&(place, place)) {
                    return true;
                }
                stack.extend(after);
            }
            false
        })
    }
}

/// Whether one place follows another in the end.
fn leads(after: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; after.len()];
    let mut stack = after[from].clone();
    while let Some(at) = stack.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            stack.extend(&after[at]);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use regex_syntax::ast::parse::Parser;

    fn explodes(pattern: &str) -> bool {
        super::explodes(&Parser::new().parse(pattern).unwrap())
    }

    #[test]
    fn what_doubles_with_each_character_is_known() {
        for pattern in
            ["(a*)*b", "^(a+)+$", "^(a|a)*$", "^(\\w+\\s?)*$", "^([a-z]+)*$", "(x+x+)+y", "^(a|ab|b)*$", "^((a{1,20})x?)*$", "(a?b?)*c"]
        {
            assert!(explodes(pattern), "{pattern}");
        }
        for pattern in [
            "^[a-z0-9-]+$",
            r"^\d+(\.\d+)*$",
            "^([a-z]+-)*[a-z]+$",
            "^0x[0-9a-fA-F]{40}$",
            "^(a|b)*$",
            r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
            "^(GET|POST) /",
            r"^(\d{3}-)?\d{3}-\d{4}$",
            "^(?:x|y)*?z?$",
            "^([a-z]{40},?)*$",
        ] {
            assert!(!explodes(pattern), "{pattern}");
        }
    }
}
