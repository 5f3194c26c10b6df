//! The JSON Schema of a shape.

use serde_json::{Map, Value, json};

use super::shape::{Field, Is, MOST_ENTRIES, Object, Pattern, Shape, Then, When};

impl Shape {
    /// As JSON Schema 2020-12.
    pub fn schema(&self) -> Value {
        match self {
            Self::Any => json!({}),
            Self::Null => json!({"type": "null"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Number => json!({"type": "number"}),
            Self::Integer(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Self::Numbers(numbers) => json!({"type": "integer", "enum": numbers}),
            Self::Text(pattern) => pattern.schema(),
            Self::Word(words) => json!({"type": "string", "enum": words}),
            Self::List { of, least, unique } => {
                let mut schema = json!({"type": "array", "items": of.schema(), "maxItems": MOST_ENTRIES});
                if *least > 0 {
                    schema["minItems"] = json!(least);
                }
                if *unique {
                    schema["uniqueItems"] = json!(true);
                }
                schema
            }
            Self::Object(object) => object.schema(),
            Self::Map { key, of } => json!({
                "type": "object",
                "propertyNames": key.schema(),
                "additionalProperties": of.schema(),
                "maxProperties": MOST_ENTRIES,
            }),
            Self::Either(shapes) => json!({"anyOf": shapes.iter().map(Self::schema).collect::<Vec<_>>()}),
            Self::Itself => json!({"$ref": "#/$defs/type"}),
        }
    }
}

impl Pattern {
    fn schema(&self) -> Value {
        let mut schema = json!({"type": "string", "maxLength": self.longest, "pattern": self.regex});
        if !self.not.is_empty() {
            schema["not"] = json!({"enum": self.not});
        }
        schema
    }
}

impl Object {
    fn schema(&self) -> Value {
        let described = |field: &Field| {
            let mut schema = json!({"description": field.about});
            if let (Value::Object(all), Value::Object(own)) = (&mut schema, field.shape.schema()) {
                all.extend(own);
            }
            (field.key.to_owned(), schema)
        };
        let properties: Map<_, _> = self.fields.iter().map(described).collect();
        let required: Vec<_> = self.fields.iter().filter(|field| field.required).map(|field| field.key).collect();
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if !self.open {
            schema["patternProperties"] = json!({"^x-": {}});
            schema["additionalProperties"] = json!(false);
        }
        if !self.when.is_empty() {
            schema["allOf"] = self.when.iter().map(When::schema).collect();
        }
        schema
    }
}

impl When {
    fn schema(&self) -> Value {
        let is = match self.is {
            Is::Begins(words) => json!({"type": "string", "pattern": format!("^({}) ", words.join("|"))}),
            Is::Number(number) => json!({"const": number}),
            Is::Text(text) => json!({"const": text}),
        };
        let then = match self.then {
            Then::Needs(key) => json!({"required": [key]}),
            Then::Nothing(key) => json!({"properties": {key: {"type": "null"}}}),
        };
        json!({"if": {"properties": {self.key: is}, "required": [self.key]}, "then": then})
    }
}
