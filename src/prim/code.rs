//! The closed list of what can be wrong with a document. Each has a word that
//! stays the same from version to version, and what to do about it.

/// What is wrong, as programs may rely on it.
macro_rules! codes {
    ($($name:ident $word:literal $meaning:literal $remedy:literal;)*) => {
        /// What can be wrong with a document.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it says of a document.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

codes! {
    NotYaml "not-yaml" "The text is no YAML document, or one that is not taken: a key twice, several documents, aliases that multiply." "mend the text";
    TooLarge "too-large" "The document is larger, deeper or longer than a document may be." "write less: 1 MiB, 32 levels and 500 entries in a list are the most";
    ControlCharacter "control-character" "A text holds a NUL character." "take it out";
    WrongType "wrong-type" "A value is of another type than its place wants." "write a value of that type";
    Missing "missing" "A key is not there." "add it";
    UnknownKey "unknown-key" "A key that the format does not have: it is kept, and nothing reads it." "mend its spelling, or begin it with x- where it is your own";
    OtherSpelling "other-spelling" "A key or a form that is read, for which the format has another one." "write it in the format's own way";
    UnknownWord "unknown-word" "A value is none of the words that its place takes." "take one of those words";
    Malformed "malformed" "A text has not the form that its place wants." "write it in that form";
    OutOfRange "out-of-range" "A number is too small or too large, or a text or a list too long." "stay within the range";
    Repeated "repeated" "What must be there once is there twice." "take one of them out";
    NoBodyHere "no-body-here" "A body is declared where HTTP has none: in a GET, or in an answer of status 204 or of a redirect." "write null, or take another method or status";
    RouteRepeated "route-repeated" "Two routes would match the same request." "take another method or path";
    RouteReserved "route-reserved" "A route that every service has by itself: its health check, its price list, its description for those who call it, its metrics." "take another path";
    OperationRepeated "operation-repeated" "Two routes have one operation_id, or two that become one name in code." "give each route an operation_id of its own";
    NoSuchParameter "no-such-parameter" "params names what is no parameter of the path." "name a parameter of the route's path, or remove the entry";
    SlashesInProse "slashes-in-prose" "Only prose says that a path parameter takes slashes." "write :name* as the last segment of the path";
    RuleInProse "rule-in-prose" "Only prose says what a query parameter must be." "write required, minimum, maximum and default as keys";
    BodyInProse "body-in-prose" "Only prose says what a body is." "write request: bytes, or response: bytes";
    PriceContradicted "price-contradicted" "Two statements on what the service costs differ; the one that charges holds." "make factory.free_service and the pricing rows say the same";
    PriceUnclear "price-unclear" "A route of a paid document looks free (its notes say so, or it declares no 402) and has no price of its own; it is charged for." "write price: free, or its price";
    TypeUndefined "type-undefined" "A body's type is not among the document's types." "define it under types, or write json for any JSON";
    TypeBroken "type-broken" "A type's schema contradicts itself, or refers to what is not there." "mend the schema";
    ProviderRepeated "provider-repeated" "Two providers have one name." "keep one of them";
    ProviderDefault "provider-default" "Of several active providers not exactly one is the default." "set default: true on the one that is used";
    ProviderEnv "provider-env" "A provider's variable is not among the document's env." "add it to env";
    ProviderUnknown "provider-unknown" "A backend names a provider that the document does not have." "name an entry of providers";
    BodyLimits "body-limits" "factory.max_body_size and deploy.max_body_size differ; the smaller one would hold." "write the same size, or one of them alone";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_words_and_differ() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code:?}");
            assert!(code.meaning().ends_with('.') && !code.remedy().ends_with('.'), "{code:?}");
        }
    }
}
