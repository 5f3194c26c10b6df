//! Objects of JSON that say something twice. Whoever reads along sees the first of it, and
//! a parser takes the last: tests that are shown would not be those that are run.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// Refuses JSON with a key that an object has twice. What is no JSON is somebody else's to
/// read.
pub fn check(text: &str) -> Result<(), String> {
    match serde_json::from_str::<Once>(text) {
        Err(error) if error.to_string().starts_with(TWICE) => Err(error.to_string()),
        Ok(Once) | Err(_) => Ok(()),
    }
}

/// How such a problem is told.
const TWICE: &str = "an object has the key ";

/// Any value whose keys are each there once.
struct Once;

struct Look;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(Look)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut known = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<Once>()?;
            if let Some(key) = known.replace(key) {
                return Err(A::Error::custom(format!("{TWICE}{:?} twice", key.chars().take(80).collect::<String>())));
            }
        }
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Once, A::Error> {
        while list.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once)
    }
}
