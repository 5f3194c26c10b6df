//! Three-way merge of files that are somebody's by now: what the new document
//! would make of them, and what people made of what the former document did.

use std::fmt;

use diffy::{ConflictStyle, MergeOptions};

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Both changes where they go together, and elsewhere what people wrote.
    pub text: String,
    /// Where they do not.
    pub contradicted: Vec<Lines>,
}

/// Lines of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The first, counted from 1.
    pub first: usize,
    /// How many; none where something is missing before the first.
    pub count: usize,
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, count } = self;
        match count {
            0 => write!(f, "before line {first}"),
            1 => write!(f, "line {first}"),
            _ => write!(f, "lines {first} to {}", first + count - 1),
        }
    }
}

impl Merged {
    /// Where a file stays as people wrote it though the document asks for other code.
    pub fn told(&self, path: &str) -> String {
        let lines: Vec<_> = self.contradicted.iter().map(ToString::to_string).collect();
        format!("{path}, {}", lines.join(", "))
    }
}

/// The text with both changes, and where they contradict each other.
///
/// ```
/// use flywheel::scaffold::{Lines, merge};
/// let (former, new) = ("a\nb\nc\n", "a\nb\nc\nd\n");
/// assert_eq!(merge(former, "A\nb\nc\n", new).text, "A\nb\nc\nd\n");
/// let merged = merge("a\nb\nc\n", "a\nb\nC\n", "x\nb\ny\n");
/// assert_eq!((&*merged.text, merged.contradicted), ("x\nb\nC\n", vec![Lines { first: 3, count: 1 }]));
/// ```
pub fn merge(former: &str, present: &str, new: &str) -> Merged {
    if former == new || present == new {
        return Merged { text: present.into(), contradicted: Vec::new() };
    }
    // Marks of a length that no line of the texts has stand for nothing in them.
    let longest = [former, present, new].into_iter().flat_map(str::lines).map(run).max().unwrap_or(0);
    let length = longest.max(6) + 1;
    let [former, present_ended, new] = [former, present, new].map(ended);
    let mut options = MergeOptions::new();
    options.set_conflict_marker_length(length).set_conflict_style(ConflictStyle::Merge);
    let mut merged = match options.merge(&former, &present_ended, &new) {
        Ok(text) => Merged { text, contradicted: Vec::new() },
        Err(text) => resolved(&text, length),
    };
    if !present.is_empty() && !present.ends_with('\n') && merged.text.ends_with('\n') {
        merged.text.pop();
    }
    merged
}

/// With a line's end at its last line, so that a mark stands on a line of its own.
fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.into() } else { format!("{text}\n") }
}

/// How often a line repeats the character it begins with, where marks are of that.
fn run(line: &str) -> usize {
    line.chars().next().filter(|c| "<=>".contains(*c)).map_or(0, |first| line.chars().take_while(|c| *c == first).count())
}

/// People's side of every contradiction.
fn resolved(text: &str, length: usize) -> Merged {
    let (mut kept, mut contradicted) = (String::new(), Vec::new());
    let (mut at, mut began, mut dropping) = (1, 1, false);
    for line in text.split_inclusive('\n') {
        match (run(line) >= length).then(|| line.chars().next()).flatten() {
            Some('<') => began = at,
            Some('=') => dropping = true,
            Some('>') => {
                dropping = false;
                contradicted.push(Lines { first: began, count: at - began });
            }
            _ if dropping => {}
            _ => {
                kept.push_str(line);
                at += 1;
            }
        }
    }
    Merged { text: kept, contradicted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_keep_what_contradicts_and_get_the_rest() {
        let lines = |first, count| Lines { first, count };
        for (former, present, new, text, contradicted) in [
            // One hunk goes, one does not.
            ("1\n2\n3\n4\n5\n", "1\n2\n3\n4\nmine\n", "one\n2\n3\n4\nnew\n", "one\n2\n3\n4\nmine\n", vec![lines(5, 1)]),
            // Several lines, and what people took away.
            ("1\n2\n3\n4\n", "1\na\nb\n4\n", "1\n2\nx\n4\nend\n", "1\na\nb\n4\nend\n", vec![lines(2, 2)]),
            ("1\n2\n3\n4\n", "1\n3\n4\n", "1\nx\n3\n4\nend\n", "1\n3\n4\nend\n", vec![lines(2, 0)]),
            // Marks of others are text, and so is a last line without an end.
            ("<<<<<<<<\n=======\n2\n", "<<<<<<<<\n=======\nmine", "<<<<<<<<\n=======\nnew\n", "<<<<<<<<\n=======\nmine", vec![lines(3, 1)]),
            ("1\n2\n", "1\n2", "0\n1\n2\n", "0\n1\n2", vec![]),
        ] {
            assert_eq!(merge(former, present, new), Merged { text: text.into(), contradicted }, "{former:?} {present:?} {new:?}");
        }
        let told = |first, count| lines(first, count).to_string();
        assert_eq!([told(2, 0), told(2, 1), told(2, 3)], ["before line 2", "line 2", "lines 2 to 4"]);
    }
}
