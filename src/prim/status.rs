//! A document's own `status`. Four vocabularies are in use, and none has any
//! authority: what a Primitive is, its object's status says.

use crate::api::primitive::Phase;

/// Every word, with the phase that it means. In the order of the vocabularies:
/// the old schema's; the loaders' `testnet`, `mainnet` and `hold`; the gates'
/// `testing` and `live`; the commands' `phantom`, and what it was called before.
const KNOWN: [(&str, Phase); 14] = [
    ("idea", Phase::Phantom),
    ("planning", Phase::Phantom),
    ("building", Phase::Building),
    ("testing", Phase::Testing),
    ("live", Phase::Live),
    ("testnet", Phase::Testing),
    ("mainnet", Phase::Live),
    // There is code, and it is not deployed.
    ("hold", Phase::Building),
    ("phantom", Phase::Phantom),
    ("coming_soon", Phase::Phantom),
    ("built", Phase::Building),
    ("deployed", Phase::Testing),
    ("production", Phase::Live),
    ("degraded", Phase::Degraded),
];

const fn words() -> [&'static str; KNOWN.len()] {
    let mut words = [""; KNOWN.len()];
    let mut i = 0;
    while i < words.len() {
        words[i] = KNOWN[i].0;
        i += 1;
    }
    words
}

/// The words alone.
pub(super) static WORDS: &[&str] = &words();

/// The phase that a document's status means; none for a word of no vocabulary.
/// An absent status means that nothing is deployed.
pub fn phase(status: Option<&str>) -> Option<Phase> {
    let Some(status) = status else { return Some(Phase::Phantom) };
    KNOWN.iter().find(|(word, _)| *word == status).map(|(_, phase)| *phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vocabulary_is_mapped() {
        let vocabularies: [&[&str]; 4] = [
            &["idea", "planning", "building", "testing", "live"],
            &["testnet", "mainnet", "hold"],
            &["testing", "live"],
            &["phantom", "coming_soon", "building", "built", "testing", "deployed", "production"],
        ];
        for word in vocabularies.concat() {
            assert!(phase(Some(word)).is_some() && WORDS.contains(&word), "{word}");
        }
        assert_eq!(phase(None), Some(Phase::Phantom));
        assert_eq!(phase(Some("banana")), None);
        // Deployed is what the loaders called so, and nothing else of theirs.
        let deployed = |word| phase(Some(word)).is_some_and(|phase| matches!(phase, Phase::Testing | Phase::Live));
        assert_eq!(["testnet", "mainnet", "hold"].map(deployed), [true, true, false]);
    }
}
