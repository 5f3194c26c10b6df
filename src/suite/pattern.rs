//! What a value is to be like: prim.sh's words and examples, and matchers, which
//! are objects whose keys begin with `$`.

use serde_json::Value;

/// What a value is to be like.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// Anything, and nothing at all: JSON's null.
    Anything,
    /// A kind of value, by prim.sh's word.
    Word(Word),
    /// This text, with its variables filled.
    Text(String),
    /// This number or boolean.
    Literal(Value),
    /// An array whose first element, where both have one, is like this.
    First(Option<Box<Pattern>>),
    /// An object that has these fields, and maybe others.
    Fields(Vec<(String, Pattern)>),
    /// All of these hold.
    All(Vec<Rule>),
}

/// prim.sh's words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    /// `string`
    String,
    /// `non-empty string`
    SomeString,
    /// `number`
    Number,
    /// `number >= N`
    AtLeast(f64),
    /// `boolean`
    Boolean,
    /// `array`
    Array,
    /// `array (non-empty)`
    SomeArray,
}

/// A matcher.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `$nullable`: null, or like this.
    Nullable(Pattern),
    /// `$optional`: absent, or like this.
    Optional(Pattern),
    /// `$oneOf`: like one of these.
    OneOf(Vec<Pattern>),
    /// `$absent`: not there.
    Absent,
    /// `$number`: a number within bounds.
    Number(Range),
    /// `$each`: an array, each of whose elements is like this.
    Each(Pattern),
    /// `$length`: a text of so many characters, or an array of so many elements.
    Length(Range),
    /// `$contains`: a text with this in it.
    Contains(String),
    /// `$equals`: exactly this value.
    Equals(Value),
    /// `$schema`: as the plan's schema of that name says.
    Schema(String),
}

/// Bounds, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// The least.
    pub min: Option<f64>,
    /// The most.
    pub max: Option<f64>,
    /// Whether only whole numbers are in it.
    pub integer: bool,
}

impl Pattern {
    /// Goes through this and all that is in it.
    pub(super) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Anything | Self::Word(_) | Self::Text(_) | Self::Literal(_) | Self::First(None) => {}
            Self::First(Some(inner)) => inner.walk(visit),
            Self::Fields(fields) => fields.iter().for_each(|(_, inner)| inner.walk(visit)),
            Self::All(rules) => rules.iter().for_each(|rule| match rule {
                Rule::Nullable(inner) | Rule::Optional(inner) | Rule::Each(inner) => inner.walk(visit),
                Rule::OneOf(several) => several.iter().for_each(|inner| inner.walk(visit)),
                Rule::Absent | Rule::Number(_) | Rule::Length(_) | Rule::Contains(_) | Rule::Equals(_) | Rule::Schema(_) => {}
            }),
        }
    }
}
