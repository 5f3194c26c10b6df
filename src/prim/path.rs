//! A route's path, by segments.

use std::fmt;

use super::notes::quoted;

/// A path such as `/v1/buckets/:id/objects/:key`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Its segments, in order.
    pub segments: Vec<Segment>,
}

/// One segment of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Matches itself.
    Literal(String),
    /// Matches any one segment; the last of a path may match several.
    Param {
        /// What it is called.
        name: String,
        /// Whether its value may have slashes.
        slashes: bool,
    },
}

/// What every service answers by itself, beside its health check.
const OWN: [&str; 3] = ["/pricing", "/llms.txt", "/v1/metrics"];

/// Longest name of a parameter: generated lines are laid out for it.
const LONGEST_NAME: usize = 32;

impl Path {
    /// Reads a path; also `{name}` for `:name`, and `:name*` or a final `*` for
    /// the rest of the path. The error says what is taken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.strip_prefix('/').ok_or_else(|| format!("the path {} must begin with /", quoted(text)))?;
        let parts: Vec<_> = trimmed.trim_end_matches('/').split('/').collect();
        let mut segments = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            segments.push(segment(part, i + 1 == parts.len())?);
        }
        Ok(Self { segments })
    }

    /// A name that two of its parameters have: requests would fill only one.
    pub fn repeated(&self) -> Option<&str> {
        let params: Vec<_> = self.params().collect();
        params.iter().enumerate().find(|(i, name)| params[..*i].contains(name)).map(|(_, name)| *name)
    }

    /// Names of its parameters.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Param { name, .. } => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The literal segments, without a leading version such as `v1`.
    pub fn nouns(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(text) if !is_version(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Whether the path is that of a service's health check.
    pub fn is_root(&self) -> bool {
        self.segments == [Segment::Literal(String::new())]
    }

    /// Whether every service answers GET there by itself.
    pub fn is_own(&self) -> bool {
        OWN.contains(&self.written().as_str())
    }

    /// Paths that it would match, were they not every service's own.
    pub fn hidden(&self) -> impl Iterator<Item = &'static str> {
        let fits = |own: &&str| {
            let parts: Vec<_> = own[1..].split('/').collect();
            let rest = matches!(self.segments.last(), Some(Segment::Param { slashes: true, .. }));
            let long = parts.len() == self.segments.len() || (rest && parts.len() > self.segments.len());
            let same = |(segment, part): (&Segment, &&str)| match segment {
                Segment::Literal(literal) => literal == part,
                Segment::Param { .. } => true,
            };
            long && self.segments.iter().zip(&parts).all(same)
        };
        OWN.into_iter().filter(fits)
    }

    /// Sorts a path before those that would match all it matches: routers take
    /// the first that fits.
    pub fn specificity(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Param { slashes: false, .. } => 1,
            Segment::Param { slashes: true, .. } => 2,
        };
        self.segments.iter().map(rank).collect()
    }

    /// In the syntax of Hono's router.
    pub fn hono(&self) -> String {
        self.join(|name, slashes| if slashes { format!(":{name}{{.+}}") } else { format!(":{name}") })
    }

    /// As the format writes it: `:name*` takes slashes.
    pub fn written(&self) -> String {
        self.join(|name, slashes| if slashes { format!(":{name}*") } else { format!(":{name}") })
    }

    /// With every parameter replaced.
    pub fn filled(&self, value: impl Fn(&str) -> String) -> String {
        self.join(|name, _| value(name))
    }

    /// The same with all names of parameters alike: two paths that match the
    /// same requests have the same key.
    pub fn key(&self) -> String {
        self.join(|_, _| ":".into())
    }

    fn join(&self, param: impl Fn(&str, bool) -> String) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            match segment {
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Param { name, slashes } => text.push_str(&param(name, *slashes)),
            }
        }
        text
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join(|name, _| format!(":{name}")))
    }
}

/// `v1`, `v2beta`: a version of an API and not a thing in it.
fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn segment(part: &str, last: bool) -> Result<Segment, String> {
    if part == "*" && last {
        return Ok(Segment::Param { name: "rest".into(), slashes: true });
    }
    let braced = part.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
    let Some(param) = part.strip_prefix(':').or(braced) else {
        let plain = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        return if plain && part != "." && part != ".." {
            Ok(Segment::Literal(part.into()))
        } else {
            Err(format!(
                "the path's segment {} must be of letters, digits, '-', '.', '_' and '~', or a parameter such as :id",
                quoted(part)
            ))
        };
    };
    let (name, slashes) = match param.strip_suffix("{.+}").or(param.strip_suffix('*')) {
        Some(name) if last => (name, true),
        Some(_) => return Err(format!("the parameter {} takes the rest of the path and so must be its last segment", quoted(part))),
        None => (param, false),
    };
    let identifier =
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if identifier && name.len() <= LONGEST_NAME {
        Ok(Segment::Param { name: name.into(), slashes })
    } else {
        Err(format!("the path's parameter {} must be ':' and up to {LONGEST_NAME} letters, digits and '_', no digit first", quoted(part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written_for_the_router() {
        for (given, hono) in [
            ("/v1/items", "/v1/items"),
            ("/v1/items/", "/v1/items"),
            ("/v1/items/:id", "/v1/items/:id"),
            ("/v1/items/{id}", "/v1/items/:id"),
            ("/v1/b/:id/o/:key*", "/v1/b/:id/o/:key{.+}"),
            ("/v1/b/:id/o/:key{.+}", "/v1/b/:id/o/:key{.+}"),
            ("/public/:bucket/*", "/public/:bucket/:rest{.+}"),
        ] {
            assert_eq!(Path::parse(given).unwrap().hono(), hono);
        }
        for bad in ["v1", "/a b", "/:", "/:1x", "/..", "/a/:b*/c", "/a\"", "/a?b=1", &format!("/:{}", "a".repeat(33))] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        for (given, twice) in [("/:a/:b", None), ("/:a/x/:a", Some("a")), ("/:a/:b/:b*", Some("b"))] {
            assert_eq!(Path::parse(given).unwrap().repeated(), twice, "{given}");
        }
    }

    #[test]
    fn what_is_more_specific_comes_first() {
        let mut paths = ["/v1/:a*", "/v1/:a", "/v1/x", "/v1/:a/x"].map(|p| Path::parse(p).unwrap());
        paths.sort_by_key(Path::specificity);
        assert_eq!(paths.map(|p| p.hono()), ["/v1/x", "/v1/:a", "/v1/:a/x", "/v1/:a{.+}"]);
    }
}
