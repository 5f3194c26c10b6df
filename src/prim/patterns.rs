//! What the texts of a strict document look like.

use super::shape::Pattern;
use crate::api::names::RESERVED_IDS;

/// Characters that end a line or turn it round, and space at either end, are no
/// part of a line.
macro_rules! line {
    () => {
        r"^[^ \u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]([^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*[^ \u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069])?$"
    };
}

macro_rules! patterns {
    ($($name:ident $regex:expr, $longest:literal, $words:literal;)*) => {
        $(pub(super) static $name: Pattern = Pattern::new($regex, $longest, $words);)*

        /// All of them.
        #[cfg(test)]
        pub(super) const ALL: &[&Pattern] = &[&ID, $(&$name,)*];
    };
}

pub(super) static ID: Pattern = Pattern::but(
    "^[a-z]([a-z0-9-]*[a-z0-9])?$",
    40,
    "an id such as search: a-z, 0-9 and '-', a letter first and no '-' last, none of the names that the zone needs itself",
    &RESERVED_IDS,
);

patterns! {
    // Short enough for a table's cell, a sentence, and a paragraph.
    WORDS line!(), 100, "a line of text without space around it";
    SENTENCE line!(), 200, "a line of text without space around it";
    PARAGRAPH line!(), 1000, "a line of text without space around it";
    PROSE r"^[^\u0000]*$", 20_000, "a text";
    VERSION "^[A-Za-z0-9.+-]+$", 32, "a version such as 0.1.0";
    HOST "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)+$", 253, "a host name such as search.prim.sh";
    VARIABLE "^[A-Z_][A-Z0-9_]*$", 60, "the name of an environment variable: capitals, digits and '_', no digit first";
    ROW_PRICE r"^(free|dynamic|[$][0-9]{1,9}([.][0-9]{1,7})?(/[A-Za-z]{1,20}){0,2})$", 60, "a price of the list: free, dynamic, or dollars such as \"$0.01\" or \"$0.015/GB/mo\"";
    PRICE
        r"^(free|[$]([1-9][0-9]{0,8}([.][0-9]{1,6})?|0[.]([1-9][0-9]{0,5}|0[1-9][0-9]{0,4}|00[1-9][0-9]{0,3}|000[1-9][0-9]{0,2}|0000[1-9][0-9]?|00000[1-9])))$",
        20, "a price: free, or dollars above nothing such as \"$0.01\", six decimals at most";
    AS_OF "^[0-9]{4}-(0[1-9]|1[0-2])(-[0-3][0-9])?$", 10, "a month or a day such as \"2026-02\"";
    COLOUR "^#[0-9A-Fa-f]{6}$", 7, "a colour such as \"#8BC34A\"";
    URL r"^https?://[!-~]+$", 500, "an http or https URL";
    SIZE "^[1-9][0-9]{0,3}(KB|MB|GB)$", 6, "a size such as 1MB";
    ROUTE
        "^(GET|POST|PUT|PATCH|DELETE) ((/([.]?[A-Za-z0-9_~-][A-Za-z0-9._~-]*|:[A-Za-z_][A-Za-z0-9_]{0,31}))+|(/([.]?[A-Za-z0-9_~-][A-Za-z0-9._~-]*|:[A-Za-z_][A-Za-z0-9_]{0,31}))*/:[A-Za-z_][A-Za-z0-9_]{0,31}[*])$",
        200, "a method and a path, such as \"POST /v1/search\" or \"GET /v1/files/:id\"";
    OPERATION "^[a-z][a-z0-9]*(_[a-z0-9]+)*$", 48, "a name in snake case such as list_items";
    BODY "^(bytes|json|[A-Z][A-Za-z0-9_]*)$", 60, "the name of a type such as SearchRequest, or json, or bytes";
    TYPE "^[A-Z][A-Za-z0-9_]*$", 60, "the name of a type such as SearchRequest";
    TYPE_REF "^#/types/[A-Z][A-Za-z0-9_]*$", 68, "a reference such as \"#/types/Item\"";
    FIELD "^[A-Za-z_][A-Za-z0-9_-]*$", 60, "a field's name: letters, digits, '_' and '-', a letter or '_' first";
    QUERY "^[A-Za-z_][A-Za-z0-9_.-]*$", 40, "a parameter's name: letters, digits, '_', '-' and '.', a letter or '_' first";
    PARAM "^[A-Za-z_][A-Za-z0-9_]*$", 32, "a parameter's name: letters, digits and '_', no digit first";
    ERROR_CODE "^[a-z][a-z0-9]*(_[a-z0-9]+)*$", 64, "a code in snake case such as not_found";
    VENDOR "^[A-Za-z0-9][A-Za-z0-9 ._-]*$", 60, "a vendor's name: letters, digits, ' ', '.', '_' and '-'";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        for pattern in ALL {
            assert!(pattern.compiled().is_some(), "{}", pattern.regex);
        }
    }

    #[test]
    fn patterns_take_what_they_should() {
        let takes = |pattern: &Pattern, text: &str| pattern.compiled().unwrap().is_match(text);
        for (pattern, good, bad) in [
            (
                &PRICE,
                vec!["free", "$0.01", "$1", "$2.5", "$0.000001", "$10.000000"],
                vec!["$0", "$0.0", "$01", "0.01", "$0.0000001", "$1/hr"],
            ),
            (&ROW_PRICE, vec!["free", "dynamic", "$0.015/GB/mo", "$0.009/hr", "$5"], vec!["cheap", "$", "$1/2"]),
            (
                &ROUTE,
                vec!["GET /v1/x", "PUT /v1/b/:id/o/:key*", "GET /.well-known/x402", "DELETE /:id", "GET /:rest*"],
                vec!["GET /", "get /x", "GET x", "GET /x/", "GET /..", "GET /{id}", "GET /:a*/b", "GET /a b", "GET  /a", "HEAD /a"],
            ),
            (&WORDS, vec!["a", "a b", "→ “x”"], vec!["", " a", "a ", "a\nb", "a\u{202e}b", "a\u{0}", "\u{2028}"]),
            (&HOST, vec!["a.b", "search.prim.sh"], vec!["a", "a..b", "A.b", "a.b.", "-a.b"]),
            (&OPERATION, vec!["a", "list_items2"], vec!["listItems", "_a", "a_", "a__b", "2a"]),
            (&SIZE, vec!["1MB", "128MB"], vec!["0MB", "1 MB", "1"]),
        ] {
            good.iter().for_each(|text| assert!(takes(pattern, text), "{text:?}"));
            bad.iter().for_each(|text| assert!(!takes(pattern, text), "{text:?}"));
        }
    }
}
