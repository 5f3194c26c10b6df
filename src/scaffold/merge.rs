//! Three-way merge of files that are somebody's by now: what the new document
//! would make of them, and what people made of what the former document did.

/// The text with both changes. `None` where they contradict each other.
///
/// ```
/// use flywheel::scaffold::merge;
/// let (former, new) = ("a\nb\nc\n", "a\nb\nc\nd\n");
/// assert_eq!(merge(former, "A\nb\nc\n", new).as_deref(), Some("A\nb\nc\nd\n"));
/// assert_eq!(merge(former, "a\nb\nC\n", "a\nb\nx\n"), None);
/// ```
pub fn merge(former: &str, present: &str, new: &str) -> Option<String> {
    if former == new || present == new {
        return Some(present.into());
    }
    diffy::merge(former, present, new).ok()
}
