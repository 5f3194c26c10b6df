//! JSON Schemas that answers are held against, ready to be used.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{hidden, shape};

/// How many ways through a schema are tried at most: a schema that refers to itself in
/// two places has twice as many with each level of an answer, and the service says how
/// deep that is.
const MOST_WAYS: usize = 1 << 16;

/// One of a plan's schemas.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    validator: jsonschema::Validator,
    /// Levels of the deepest answer that is looked at; any where absent.
    deepest: Option<usize>,
}

impl Schema {
    /// Each of these, by its name. They may refer to each other, and to nothing else.
    pub fn all(schemas: &BTreeMap<String, Value>) -> impl Iterator<Item = (&String, Result<Self, String>)> {
        let deepest = deepest(schemas);
        schemas.keys().map(move |name| {
            let whole = json!({ "$ref": format!("#/schemas/{name}"), "schemas": schemas });
            let validator = jsonschema::draft202012::options().build(&whole).map_err(|error| error.to_string());
            (name, validator.map(|validator| Self { validator, deepest }))
        })
    }

    /// What is wrong with a value, and where in it.
    pub fn check(&self, value: &Value) -> Result<(), (String, String)> {
        if let Some(deepest) = self.deepest.filter(|deepest| depth(value) > *deepest) {
            let text =
                format!("it has more than {deepest} levels, and a schema that refers to itself in several places is not tried on more");
            return Err((String::new(), text));
        }
        self.validator.validate(value).map_err(|error| {
            let place = error.instance_path().to_string();
            // Of what lies deeper it says the whole.
            let whole = hidden::hide(&mut error.instance().clone().into_owned());
            let said = if whole || shape::is_secret(&place) { error.masked().to_string() } else { error.to_string() };
            (place, said)
        })
    }
}

/// The levels at which the ways through schemas are [`MOST_WAYS`]; none where they do not
/// multiply without end.
fn deepest(schemas: &BTreeMap<String, Value>) -> Option<usize> {
    let mut to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let (mut count, mut whole) = (0_usize, false);
    for (name, schema) in schemas {
        references(schema, &mut |reference| {
            count += 1;
            match reference.strip_prefix("#/schemas/") {
                Some(rest) => drop(to.entry(name).or_default().insert(rest.split('/').next().unwrap_or_default())),
                // Whatever else it is about, it is about these.
                None => whole = true,
            }
        });
    }
    let comes_back = |from: &str| {
        let (mut seen, mut stack) = (BTreeSet::new(), vec![from]);
        while let Some(at) = stack.pop() {
            for next in to.get(at).into_iter().flatten() {
                if *next == from {
                    return true;
                }
                if seen.insert(*next) {
                    stack.push(next);
                }
            }
        }
        false
    };
    let is_endless = count > 1 && (whole || to.keys().any(|name| comes_back(name)));
    is_endless.then(|| usize::try_from(MOST_WAYS.ilog(count)).unwrap_or(usize::MAX).max(1))
}

fn references<'a>(schema: &'a Value, found: &mut impl FnMut(&'a str)) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str().filter(|_| key == "$ref" || key == "$dynamicRef") {
                    Some(reference) => found(reference),
                    None => references(value, found),
                }
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| references(entry, found)),
        _ => {}
    }
}

/// Levels of objects and arrays in a value.
fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(entries) => entries.iter().map(depth).max(),
        Value::Object(map) => map.values().map(depth).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    /// The first of these.
    fn first(schemas: &BTreeMap<String, Value>) -> Schema {
        Schema::all(schemas).next().unwrap().1.unwrap()
    }

    fn schema(text: Value) -> Schema {
        first(&BTreeMap::from([("N".to_owned(), text)]))
    }

    fn nested(levels: usize) -> Value {
        iter::repeat_n((), levels).fold(json!(1), |inner, ()| json!([inner]))
    }

    #[test]
    fn ways_that_double_with_each_level_end() {
        let twice = schema(
            json!({"anyOf": [{"type": "string"}, {"items": {"$ref": "#/schemas/N"}, "minItems": 2}, {"type": "array", "minItems": 3, "items": {"$ref": "#"}}]}),
        );
        assert_eq!(twice.deepest, Some(16));
        assert!(twice.check(&nested(100)).unwrap_err().1.contains("more than 16 levels"));
        assert!(twice.check(&nested(8)).is_err() && twice.check(&json!("a")).is_ok());
    }

    #[test]
    fn what_refers_to_itself_once_or_never_is_as_deep_as_it_likes() {
        let once = schema(json!({"type": ["array", "integer"], "items": {"$ref": "#/schemas/N"}}));
        assert!(once.check(&nested(100)).is_ok());
        let never = BTreeMap::from([
            ("A".to_owned(), json!({"allOf": [{"$ref": "#/schemas/B"}, {"$ref": "#/schemas/B"}]})),
            ("B".to_owned(), json!({})),
        ]);
        assert!(first(&never).check(&nested(100)).is_ok());
    }
}
