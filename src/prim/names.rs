//! Names made from other names: a function's from an operation id, a variable's
//! from a vendor.

/// A text's words, in lower case: `listFundRequests`, `list_fund_requests` and
/// `list fund-requests` have the same three.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut fresh = true;
    let mut lower = false;
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() {
            fresh = true;
            continue;
        }
        if fresh || (c.is_ascii_uppercase() && lower) {
            words.push(String::new());
        }
        fresh = false;
        lower = !c.is_ascii_uppercase();
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}

/// Longest name made here: generated lines are laid out for it.
const LONGEST: usize = 48;

/// `list_fund_requests` → `listFundRequests`: an identifier in every case, and not
/// `then`, with which an object of such names would be taken for a promise.
pub fn camel(text: &str) -> String {
    let mut name = String::new();
    for word in words(text) {
        let mut rest = word.chars();
        let first = rest.next().map(|c| if name.is_empty() { c } else { c.to_ascii_uppercase() });
        name.extend(first.into_iter().chain(rest));
    }
    if name == "then" {
        return "then_".into();
    }
    if name.chars().next().is_none_or(|c| c.is_ascii_digit()) {
        name.insert_str(0, "op");
    }
    name.truncate(LONGEST);
    name
}

/// `cloudflare-r2` → `CLOUDFLARE_R2`: a name for an environment variable.
pub fn constant(text: &str) -> String {
    let name = words(text).join("_").to_ascii_uppercase();
    if name.chars().next().is_none_or(|c| c.is_ascii_digit()) { format!("X{name}") } else { name }
}

/// `suggestions` → `suggestion`, well enough to compare two nouns.
pub fn singular(noun: &str) -> String {
    match noun {
        _ if noun.ends_with("ies") && noun.len() > 4 => format!("{}y", &noun[..noun.len() - 3]),
        _ if ["sses", "xes", "ches", "shes"].iter().any(|end| noun.ends_with(end)) => noun[..noun.len() - 2].into(),
        _ if noun.ends_with('s') && !noun.ends_with("ss") && !noun.ends_with("us") => noun[..noun.len() - 1].into(),
        _ => noun.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_whatever_they_come_from() {
        for (from, to) in [
            ("list_fund_requests", "listFundRequests"),
            ("listFundRequests", "listFundRequests"),
            ("GET /v1/x", "getV1X"),
            ("", "op"),
            ("2fa_enable", "op2faEnable"),
            ("a\"b`${c}", "aBC"),
            ("delete", "delete"),
            ("Then", "then_"),
        ] {
            assert_eq!(camel(from), to, "{from}");
        }
        assert_eq!(camel(&"a".repeat(99)).len(), LONGEST);
        assert_eq!(constant("cloudflare-r2"), "CLOUDFLARE_R2");
        assert_eq!(constant("2captcha"), "X2CAPTCHA");
    }

    #[test]
    fn nouns_are_compared_in_the_singular() {
        for (many, one) in
            [("suggestions", "suggestion"), ("entries", "entry"), ("boxes", "box"), ("status", "status"), ("feedback", "feedback")]
        {
            assert_eq!(singular(many), one);
        }
    }
}
