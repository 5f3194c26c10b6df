//! Names that are parsed once, at the edge, and then can't be wrong: a value of
//! one of these types is proof that it was checked. Each says in its error what
//! it takes, so that the message can go into a condition unchanged.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct NameError {
    /// What was given.
    pub value: String,
    /// What is taken.
    pub expected: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(value: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok(Self(value.into()))
                } else {
                    Err(NameError { value: value.into(), expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(value: String) -> Result<Self, NameError> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A primitive's id: its directory under `packages/`, its host name's first
    /// label, and the name of its Primitive.
    PrimitiveId,
    "a primitive's id: 1 to 40 of a-z, 0-9 and '-', beginning with a letter, not ending in '-', and none of www, api, ns, ns1, ns2, mx, edge, gateway, flywheel",
    |v| v.len() <= 40 && is_dns_label(v) && v.starts_with(|c: char| c.is_ascii_lowercase()) && !RESERVED_IDS.contains(&v)
);

/// Ids that the zone or Flywheel itself needs.
pub const RESERVED_IDS: [&str; 9] = ["www", "api", "ns", "ns1", "ns2", "mx", "edge", "gateway", "flywheel"];

name!(
    /// A fully qualified domain name without its trailing dot.
    Fqdn,
    "a domain name: labels of a-z, 0-9 and '-' joined by dots, 253 characters at most",
    |v| v.len() <= 253 && v.split('.').all(is_dns_label)
);

name!(
    /// A git branch, by git's own rules (git-check-ref-format) and ASCII only.
    Branch,
    "a git branch name",
    is_branch
);

name!(
    /// A git object id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    Sha,
    "a git object id: 40 or 64 lower-case hexadecimal digits",
    |v| (v.len() == 40 || v.len() == 64) && v.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);

/// A repository on its forge: `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repo {
    /// User or organisation.
    pub owner: String,
    /// The repository's name.
    pub name: String,
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

fn is_dns_label(v: &str) -> bool {
    !v.is_empty()
        && v.len() <= 63
        && !v.starts_with('-')
        && !v.ends_with('-')
        && v.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_branch(v: &str) -> bool {
    !v.is_empty()
        && v.len() <= 244
        && v != "@"
        && !v.starts_with('-')
        && !v.ends_with('.')
        && !v.contains("..")
        && !v.contains("@{")
        && v.bytes().all(|b| b.is_ascii_graphic() && !b"~^:?*[\\".contains(&b))
        && v.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_what_their_servers_take() {
        for good in ["search", "a", "x1-y2"] {
            assert!(good.parse::<PrimitiveId>().is_ok(), "{good}");
        }
        for bad in ["", "www", "Search", "1up", "a-", "a.b", &"a".repeat(41)] {
            assert!(bad.parse::<PrimitiveId>().is_err(), "{bad}");
        }
        for good in ["main", "agent/search-1763913600", "a.b/c"] {
            assert!(good.parse::<Branch>().is_ok(), "{good}");
        }
        for bad in ["", "@", "a..b", "a b", "/a", "a/", "a/.b", "a.lock", "-a", "a~1", "a\\b", "a@{1}"] {
            assert!(bad.parse::<Branch>().is_err(), "{bad}");
        }
        assert!("prim.sh".parse::<Fqdn>().is_ok());
        for bad in ["", ".", "prim.sh.", "a..b", "-a.sh", "A.sh", "*.sh"] {
            assert!(bad.parse::<Fqdn>().is_err(), "{bad}");
        }
        assert!("0123456789abcdef0123456789abcdef01234567".parse::<Sha>().is_ok());
        assert!("0123456789ABCDEF0123456789abcdef01234567".parse::<Sha>().is_err());
    }

    #[test]
    fn a_wrong_name_in_json_says_what_is_taken() {
        let error = serde_json::from_str::<PrimitiveId>("\"api\"").unwrap_err().to_string();
        assert!(error.contains("\"api\" is not a primitive's id"), "{error}");
    }
}
