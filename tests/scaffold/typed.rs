//! Types of documents: Zod in a package takes what JSON Schema takes, by a validator
//! that is not ours.

use flywheel::prim;
use serde_json::{Value, json};

use super::{manifest, workspace::Workspace};

fn schemas() -> Vec<Value> {
    vec![
        json!({}),
        json!({"type": "string"}),
        json!({"type": "string", "minLength": 2, "maxLength": 3}),
        json!({"type": "string", "pattern": "^[a-c/]+$"}),
        json!({"type": "string", "pattern": "b\\d{2,3}?$"}),
        json!({"type": "string", "format": "date"}),
        json!({"type": "string", "format": "date-time"}),
        json!({"type": "string", "format": "email"}),
        json!({"type": "string", "format": "ipv4"}),
        json!({"type": "string", "format": "ipv6"}),
        json!({"type": "string", "format": "uri"}),
        json!({"type": "string", "format": "uuid"}),
        json!({"type": "string", "format": "hostname"}),
        json!({"type": "string", "format": "email", "maxLength": 10}),
        json!({"type": "string", "format": "date", "pattern": "02"}),
        json!({"type": "string", "format": "date-time", "minLength": 21}),
        json!({"type": "string", "format": "uri", "minLength": 3}),
        json!({"type": "integer"}),
        json!({"type": "integer", "minimum": 1, "exclusiveMaximum": 3}),
        json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1.5}),
        json!({"type": "boolean"}),
        json!({"type": "null"}),
        json!({"type": ["string", "null"], "minLength": 3}),
        json!({"type": ["integer", "array"], "minimum": 2, "maxItems": 1}),
        json!({"enum": ["a", "abc"]}),
        json!({"enum": [1, "a", null, true]}),
        json!({"enum": [[1], {"a": 1}]}),
        json!({"type": "string", "enum": ["a", 1, "ab"], "minLength": 2}),
        json!({"type": "integer", "enum": ["a", 1]}),
        json!({"const": "abc"}),
        json!({"const": {"a": [1]}}),
        json!({"type": "array"}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2}),
        json!({"type": "array", "uniqueItems": true}),
        json!({"type": "object"}),
        json!({"type": "object", "required": ["a"]}),
        json!({"type": "object", "properties": {"a": {}}, "required": ["a"]}),
        json!({"type": "object", "properties": {"a": {"type": "integer"}, "b-c": {"type": "string"}}}),
        json!({"type": "object", "properties": {"a": {"type": "integer", "default": 3}}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": {"type": "string"}}),
        json!({"type": "object", "properties": {"a": {"$ref": "#/types/Other"}, "class": {"type": "string"}}}),
        json!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 2}]}),
        json!({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "integer", "maximum": 1}]}),
        json!({"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b-c"]}]}),
        json!({"$ref": "#/types/Other"}),
        json!({"$ref": "#/types/Other", "anyOf": [{"type": "integer", "minimum": 2}, {"type": "string"}]}),
    ]
}

fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(2),
        json!(1.5),
        json!(-3),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("abc"),
        json!("abcd"),
        json!("a/b"),
        json!("b12"),
        json!("b12\n"),
        json!("2026-02-28"),
        json!("2026-02-30"),
        json!("2026-02-28T10:00:00Z"),
        json!("2026-02-28T10:00:00+02:00"),
        json!("2026-02-28T10:00:00"),
        json!("a@example.com"),
        json!("192.0.2.1"),
        json!("192.0.2.300"),
        json!("2001:db8::1"),
        json!("https://example.com/a?b"),
        json!("/relative"),
        json!("123e4567-e89b-12d3-a456-426614174000"),
        json!("not a host"),
        json!([]),
        json!([1]),
        json!([1, 1]),
        json!([1, 2, 3]),
        json!(["a"]),
        json!([{"a": 1}, {"a": 1}]),
        json!({}),
        json!({"a": 1}),
        json!({"a": "x"}),
        json!({"a": null}),
        json!({"a": [1]}),
        json!({"b-c": "x"}),
        json!({"a": 1, "b-c": "x"}),
        json!({"a": 1, "b-c": 2}),
        json!({"a": 2, "class": "x"}),
        json!({"a": 2, "class": 1}),
    ]
}

/// Whether a type takes a value, by the validator.
fn takes(schema: &Value, value: &Value) -> bool {
    let whole = json!({"$defs": {"Other": {"type": ["integer", "string"]}}, "allOf": [prim::referred(schema, "#/$defs/")]});
    jsonschema::options().should_validate_formats(true).build(&whole).unwrap().is_valid(value)
}

#[test]
fn zod_takes_what_json_schema_takes() {
    let Some(workspace) = Workspace::new("typed") else { return };
    let mut types = json!({"Other": {"type": ["integer", "string"]}});
    for (i, schema) in schemas().into_iter().enumerate() {
        types[format!("T{i}")] = schema;
    }
    let document = json!({"id": "typed", "description": "Types", "types": types, "routes_map": []}).to_string();
    assert_eq!(prim::check_text(&document).findings, []);
    workspace.add(&manifest(&prim::read(&document).unwrap()));
    let expected: Vec<Vec<bool>> = schemas().iter().map(|schema| values().iter().map(|value| takes(schema, value)).collect()).collect();
    workspace.write("packages/typed/cases.json", &json!({"schemas": schemas(), "values": values(), "expected": expected}).to_string());
    workspace.write(
        "packages/typed/cases.test.ts",
        r#"
import { expect, test } from "bun:test";
import { schemas, values, expected } from "./cases.json";
import * as api from "./src/api.ts";
test("alike", () => {
  const other: unknown[] = [];
  schemas.forEach((schema, i) => {
    const zod = (api as any)[`T${i}`];
    values.forEach((value, j) => {
      if (zod.safeParse(value).success !== expected[i]![j]) other.push([schema, value, expected[i]![j]]);
    });
  });
  expect(other).toEqual([]);
});
"#,
    );
    let (passed, text) = workspace.bun(&["test", "packages/typed/cases"]);
    assert!(passed, "{text}");
    let (passed, text) = workspace.bun(&["--bun", "run", "tsc", "--noEmit"]);
    assert!(passed, "{text}");
}
