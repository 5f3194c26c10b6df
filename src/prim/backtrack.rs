//! Patterns on which an engine that tries one way after the other, as JavaScript's
//! does, would never end: within a repetition some text can be read in two ways, so
//! that each more of it doubles the ways that are tried; or so many repetitions in a
//! row share a text that the time it takes grows with the third power of its length.

use std::collections::{BTreeSet, HashSet};

use regex_syntax::{
    ast::{AssertionKind, Ast},
    hir::{Class, HirKind},
};

use super::expression::bounds;

/// A repetition of at least so often is taken for one without an end, where ways double.
const MANY: u32 = 12;
/// The same where they grow by a power alone.
const VERY_MANY: u32 = 200;
/// Places of the largest pattern that is looked into.
const MOST: usize = 400;
/// How many steps are looked at for what repetitions share.
const MOST_STEPS: usize = 50_000;
/// The power of a text's length with which the time may not grow.
const POWER: usize = 3;
/// But for a text of so many characters at most: the third power of that is some tens of
/// milliseconds in JavaScript, where 1024 characters take hundreds and a mebibyte years.
const BOUNDED: u64 = 512;

/// Whether the time to try a pattern on a text of `longest` characters may grow with the
/// square of its length; else why it might be tried without end.
pub(super) fn squares(pattern: &Ast, longest: Option<u64>) -> Result<bool, &'static str> {
    let Some(automaton) = Automaton::of(pattern, MANY) else {
        return Err("it has too many parts for anybody to tell whether JavaScript would try it without end");
    };
    if automaton.ambiguous() {
        return Err("within a repetition a text can be read in two ways, which JavaScript would try without end");
    }
    match Automaton::of(pattern, VERY_MANY).and_then(|automaton| automaton.power()) {
        Some(power) if power < POWER => Ok(power > 1),
        Some(POWER) if longest.is_some_and(|longest| longest <= BOUNDED) => Ok(true),
        Some(POWER) => Err(
            "several repetitions in a row may read the same text, whose ways to be shared out JavaScript would try without end: say a maxLength of 512 at most beside it, or have each read what the next begins with no more, as in ^[^@]+@[^@]+$",
        ),
        _ => Err(
            "several repetitions in a row may read the same text, whose ways to be shared out JavaScript would try without end: have each read what the next begins with no more, as in ^[^@]+@[^@]+$",
        ),
    }
}

/// Whether a text matches from its beginning on or not at all.
fn anchored(ast: &Ast) -> bool {
    match ast {
        Ast::Assertion(assertion) => matches!(assertion.kind, AssertionKind::StartLine | AssertionKind::StartText),
        Ast::Group(group) => anchored(&group.ast),
        Ast::Concat(concat) => concat.asts.first().is_some_and(anchored),
        Ast::Alternation(alternation) => alternation.asts.iter().all(anchored),
        _ => false,
    }
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
    /// A repetition of at least so often has no end.
    many: u32,
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
    /// None where it has too many places.
    fn of(pattern: &Ast, many: u32) -> Option<Self> {
        let mut automaton = Self { many, ..Self::default() };
        // What may begin anywhere is tried from everywhere.
        let before = if anchored(pattern) { Part { empty: true, ..Part::default() } } else { automaton.place(vec![(0, u32::MAX)])? };
        automaton.join(&before.last, &before.first);
        let read = automaton.read(pattern)?;
        automaton.then(before, read);
        Some(automaton)
    }

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
                if most.is_none_or(|most| most >= self.many && most != least) {
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

    /// The places that follow each one.
    fn after(&self) -> Vec<Vec<usize>> {
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); self.reads.len()];
        self.follows.iter().for_each(|(a, b)| after[*a].push(*b));
        after
    }

    /// The power of a text's length with which the time grows that it takes to find that
    /// it does not match; none where that takes too long to say. One more than there are
    /// repetitions in a row of which each shares a text with the next: it can be read by
    /// the one, by the other, or on the way between them.
    fn power(&self) -> Option<usize> {
        let (after, count) = (self.after(), self.reads.len());
        let reaches: Vec<HashSet<usize>> = (0..count).map(|place| reached(&after, place)).collect();
        let loops: Vec<usize> = (0..count).filter(|place| reaches[*place].contains(place)).collect();
        let mut steps = 0;
        let mut shares: HashSet<(usize, usize)> = HashSet::new();
        for (p, q) in loops.iter().flat_map(|p| loops.iter().map(move |q| (*p, *q))) {
            if p != q && reaches[p].contains(&q) && !reaches[q].contains(&p) && self.shared(&after, &reaches, (p, q), &mut steps)? {
                shares.insert((p, q));
            }
        }
        // The longest row; each place's own is known once those behind it are.
        let mut rows: Vec<usize> = vec![0; count];
        for _ in 0..POWER {
            let longer = |p: usize| {
                let mine = |s: &&(usize, usize)| s.0 == p || reaches[p].contains(&s.0);
                shares.iter().filter(mine).map(|(_, q)| 1 + rows[*q]).max().unwrap_or(0)
            };
            rows = (0..count).map(longer).collect();
        }
        Some(1 + rows.into_iter().max().unwrap_or(0))
    }

    /// Whether some text leads from one place back to it, from it to another, and from that
    /// back to itself.
    fn shared(&self, after: &[Vec<usize>], reaches: &[HashSet<usize>], (p, q): (usize, usize), steps: &mut usize) -> Option<bool> {
        let mut seen: HashSet<[usize; 3]> = HashSet::new();
        let mut stack = vec![[p, p, q]];
        while let Some([a, b, c]) = stack.pop() {
            for x in after[a].iter().filter(|x| **x == p || reaches[**x].contains(&p)) {
                for y in after[b].iter().filter(|y| **y == q || reaches[**y].contains(&q)) {
                    for z in after[c].iter().filter(|z| **z == q || reaches[**z].contains(&q)) {
                        *steps += 1;
                        if *steps > MOST_STEPS {
                            return None;
                        }
                        if !self.alike(&[*x, *y, *z]) {
                            continue;
                        }
                        if [*x, *y, *z] == [p, q, q] {
                            return Some(true);
                        }
                        if seen.insert([*x, *y, *z]) {
                            stack.push([*x, *y, *z]);
                        }
                    }
                }
            }
        }
        Some(false)
    }

    /// Whether places read some character all alike.
    fn alike(&self, places: &[usize]) -> bool {
        let [first, others @ ..] = places else { return true };
        let mut left = self.reads[*first].clone();
        for other in others {
            let both = |(from, to): &(u32, u32)| {
                self.reads[*other].iter().map(|(f, t)| (*from.max(f), *to.min(t))).filter(|(f, t)| f <= t).collect::<Vec<_>>()
            };
            left = left.iter().flat_map(both).collect();
        }
        !left.is_empty()
    }

    /// Whether from some place and back to it a text can be read in two ways.
    fn ambiguous(&self) -> bool {
        let (after, count) = (self.after(), self.reads.len());
        if self.twice.iter().any(|(a, b)| a == b || leads(&after, *b, *a)) {
            return true;
        }
        let next = |(a, b): (usize, usize)| {
            let pairs = after[a].iter().flat_map(|p| after[b].iter().map(move |r| (*p, *r)));
            pairs.filter(|(p, r)| self.alike(&[*p, *r])).map(|(p, r)| (p.min(r), p.max(r))).collect::<BTreeSet<_>>()
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
    reached(after, from).contains(&to)
}

/// The places that follow one in the end.
fn reached(after: &[Vec<usize>], from: usize) -> HashSet<usize> {
    let mut seen = HashSet::new();
    let mut stack = after[from].clone();
    while let Some(at) = stack.pop() {
        if seen.insert(at) {
            stack.extend(&after[at]);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use regex_syntax::ast::parse::Parser;

    fn explodes(pattern: &str) -> bool {
        within(pattern, None)
    }

    fn within(pattern: &str, longest: Option<u64>) -> bool {
        super::squares(&Parser::new().parse(pattern).unwrap(), longest).is_err()
    }

    #[test]
    fn a_short_text_bears_the_third_power_and_no_more() {
        for pattern in [r"^.+@.+\..+$", "^.*,.*,.*;$", r"^\s*[\w ]+\s*$"] {
            assert!(explodes(pattern) && within(pattern, Some(513)) && !within(pattern, Some(512)), "{pattern}");
        }
        for pattern in ["(a*)*b", "^.*,.*,.*,.*;$"] {
            assert!(within(pattern, Some(20)), "{pattern}");
        }
    }

    #[test]
    fn what_takes_the_square_of_a_text_is_told_from_what_takes_its_length() {
        let squares = |pattern: &&str| super::squares(&Parser::new().parse(pattern).unwrap(), None).unwrap();
        for pattern in [r"^[^@]+@[^@]+\.[^@]+$", "^.*,.*;$", "^a*a*$", r"\w+@"] {
            assert!(squares(&pattern), "{pattern}");
        }
        for pattern in ["^[a-z0-9-]+$", "^0x[0-9a-fA-F]{40}$", "^[^,]*,[^,]*,[^,]*;$", "^https?://"] {
            assert!(!squares(&pattern), "{pattern}");
        }
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

    #[test]
    fn what_takes_the_third_power_of_a_text_is_known() {
        for pattern in [
            "^.*,.*,.*,.*,.*;$",
            "^.*,.*,.*;$",
            "^a*a*a*$",
            r"^\d+\d+\d+x$",
            "^(.*a.*b)?.*c$",
            r"^\s*[\w ]+\s*$",
            ".*,.*;$",
            "^(a+b*)+c.*c.*c.*$",
            "^[a-z]{1,500}[a-z]{1,500}[a-z]{1,500}$",
        ] {
            assert!(explodes(pattern), "{pattern}");
        }
        for pattern in [
            "^.*,.*;$",
            "^a*a*$",
            r"^\w+@\w+\.\w+$",
            r"\w+@\w+\.\w+",
            "^[a-z]{1,63}[a-z]{1,63}[a-z]{1,63}$",
            "^[a-z]([a-z0-9-]*[a-z0-9])?$",
            r"^([a-z0-9]+-)*[a-z0-9]+(\.[a-z0-9]+)*/[^/]+/[^/]+$",
            "^[^,]*,[^,]*,[^,]*,[^,]*;$",
            "^https?://[^/]+/.*$",
        ] {
            assert!(!explodes(pattern), "{pattern}");
        }
    }

    #[test]
    fn what_is_too_large_to_be_looked_into_is_refused() {
        assert!(!explodes(&format!("^{}$", "a".repeat(300))));
        assert!(explodes(&format!("^{}(a+)+$", "b".repeat(500))));
        assert!(explodes(&format!("^{}$", "b".repeat(500))));
    }
}
