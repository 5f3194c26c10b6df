//! The strict form of a plan as JSON Schema 2020-12. It says what `read/ours.rs` reads:
//! change both. What one place says of another, it can't: whether paths are JSONPaths,
//! schemas are schemas and those referred to are there.

use serde_json::{Value, json};

use super::read::{EXACT, LONGEST, METHODS, MOST_TESTS, MOST_TRIES, SCHEMAS};

/// The schema.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://flywheel.prim.sh/schemas/plan.v1alpha1.json",
        "title": "A gate's test plan",
        "description": "prim.sh's smoke-test plan, and what Flywheel adds to it: matchers, which are objects whose keys begin with $; headers, timeout_ms, retry, payment and schemas. A key that is null counts as absent, and one that is not listed is passed over, but for what is expected.",
        "type": "object",
        "required": ["groups", "tests"],
        "properties": {
            "plan": text("Its title."),
            "version": { "description": "Version of the form.", "enum": [1, null] },
            "network": text("The network that payments are on, for people."),
            "context": text("What whoever runs it should know."),
            "groups": { "description": "Groups, in order.", "type": "array", "items": group() },
            "tests": { "description": "Tests, in order.", "type": "array", "maxItems": MOST_TESTS, "items": test() },
            "schemas": {
                "description": "JSON Schemas (2020-12) by name, for {\"$schema\": \"#/schemas/NAME\"}. They may refer to each other.",
                "type": ["object", "null"],
                "propertyNames": { "pattern": "^[A-Za-z0-9_.-]+$" },
                "additionalProperties": { "type": ["object", "boolean"] },
            },
        },
        "$defs": { "pattern": pattern(), "status": status(), "units": units() },
    })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": ["string", "null"] })
}

fn formed(description: &str, pattern: &str) -> Value {
    json!({ "description": description, "type": ["string", "null"], "pattern": pattern })
}

fn flag(description: &str) -> Value {
    json!({ "description": description, "type": ["boolean", "null"] })
}

fn name(description: &str) -> Value {
    json!({ "description": description, "type": "string", "minLength": 1 })
}

fn texts(description: &str) -> Value {
    json!({ "description": description, "type": ["array", "null"], "items": { "type": "string" } })
}

fn whole(description: &str, least: u64, most: u64) -> Value {
    json!({ "description": description, "type": ["integer", "null"], "minimum": least, "maximum": most })
}

fn group() -> Value {
    json!({
        "type": "object",
        "required": ["id", "tests"],
        "properties": {
            "id": name("Id."),
            "name": text("Title."),
            "prompt": text("What a canary is told."),
            "tests": { "description": "Ids of its tests, in order.", "type": "array", "items": { "type": "string" } },
            "canary_only": flag("Whether only a canary runs it."),
            "interface": { "description": "What a canary uses: HTTP requests or a shell.", "enum": ["api", "cli", null] },
            "setup": text("Hook before a canary."),
            "cleanup": text("Hook after a canary."),
        },
    })
}

fn test() -> Value {
    json!({
        "type": "object",
        "required": ["id", "method", "endpoint", "expected"],
        "properties": {
            "id": name("Id, of which there is one in a plan."),
            "service": text("Name of the service: store.sh."),
            "test": text("Title."),
            "method": { "description": "Method. Each may have a body.", "enum": METHODS },
            "endpoint": name("URL with {{variables}} and {{secret:NAME}}."),
            "headers": {
                "description": "Headers of the request, with variables and secrets.",
                "type": ["object", "null"],
                "additionalProperties": { "type": "string" },
            },
            "input": { "description": "Body: null for none, a text for plain text, everything else for JSON. Variables and secrets in its texts are filled." },
            "expected": expected(),
            "depends_on": texts("Ids of tests that must have passed before. Who uses a variable comes after who fills it in any case."),
            "captures": {
                "description": "Variables that its answer fills, by name.",
                "type": ["object", "null"],
                "propertyNames": { "pattern": "^[A-Za-z0-9_]+$" },
                "additionalProperties": {
                    "anyOf": [
                        { "description": "A JSONPath (RFC 9535) into the body, to one value.", "type": "string" },
                        { "type": "object", "required": ["path"], "properties": { "path": { "type": "string" } }, "additionalProperties": false },
                        { "type": "object", "required": ["header"], "properties": { "header": { "type": "string", "minLength": 1 } }, "additionalProperties": false },
                    ],
                },
            },
            "notes": text("For people. Where \"free\" stands in it, no payment is tried."),
            "skip": flag("Whether it is left out. Those that depend on it run all the same."),
            "generated": flag("Whether it was derived from a document."),
            "timeout_ms": whole("Milliseconds that one request may take.", 1, LONGEST),
            "retry": {
                "description": "How it is tried again.",
                "type": ["object", "null"],
                "required": ["count"],
                "properties": {
                    "count": { "description": "Tries after the first.", "type": "integer", "minimum": 1, "maximum": MOST_TRIES },
                    "interval": whole("Milliseconds between two.", 0, LONGEST),
                    "interval_ms": whole("The same by another name.", 0, LONGEST),
                    "until": {
                        "description": "Until it passes, or until an answer is so, which is then judged.",
                        "anyOf": [
                            { "enum": ["pass", null] },
                            {
                                "type": "object",
                                "properties": { "status": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/status" }] }, "body": { "$ref": "#/$defs/pattern" } },
                                "additionalProperties": false,
                            },
                        ],
                    },
                },
                "not": { "type": "object", "required": ["interval", "interval_ms"], "properties": { "interval": { "type": "integer" }, "interval_ms": { "type": "integer" } } },
                "additionalProperties": false,
            },
            "payment": {
                "description": "What it may cost: terms that a service asks are held against these before anything is signed.",
                "type": ["object", "null"],
                "properties": {
                    "max": { "$ref": "#/$defs/units" },
                    "amount": { "$ref": "#/$defs/units" },
                    "pay_to": formed("Who is paid.", "^0x[0-9a-fA-F]{40}$"),
                    "asset": formed("The token's address.", "^0x[0-9a-fA-F]{40}$"),
                    "network": formed("The chain in CAIP-2 form.", "^eip155:[1-9][0-9]{0,18}$"),
                },
                "additionalProperties": false,
            },
        },
    })
}

fn expected() -> Value {
    json!({
        "description": "What the answer is to be.",
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": { "$ref": "#/$defs/status" },
            "body": { "$ref": "#/$defs/pattern" },
            "body_equals": text("Its body as text, with variables."),
            "headers": {
                "description": "What its headers are like, by name. A header that writes a number may be held against one.",
                "type": ["object", "null"],
                "additionalProperties": { "$ref": "#/$defs/pattern" },
            },
        },
        "additionalProperties": false,
    })
}

fn status() -> Value {
    let one = json!({ "type": "integer", "minimum": 100, "maximum": 599 });
    json!({
        "description": "A status, or several of which one is right.",
        "anyOf": [
            one,
            { "type": "object", "required": ["$oneOf"], "properties": { "$oneOf": { "type": "array", "minItems": 1, "items": one } }, "additionalProperties": false },
        ],
    })
}

fn units() -> Value {
    json!({
        "description": "Atomic units of the asset.",
        "anyOf": [
            { "type": "null" },
            { "type": "integer", "minimum": 0, "maximum": EXACT },
            { "type": "string", "pattern": "^[0-9]{1,38}$" },
        ],
    })
}

fn pattern() -> Value {
    let this = || json!({ "$ref": "#/$defs/pattern" });
    let range = |description: &str, bound: Value, more: Value| {
        let mut properties = json!({ "min": bound, "max": bound });
        more.as_object().into_iter().flatten().for_each(|(key, value)| properties[key] = value.clone());
        json!({ "description": description, "type": "object", "properties": properties, "additionalProperties": false })
    };
    json!({
        "description": "What a value is to be like. null is anything. A text is itself, with its variables filled, or one of the words string, non-empty string, number, number >= N, boolean, array, array (non-empty). An array holds its first entry against the answer's first. An object has these fields, and maybe others.",
        "anyOf": [
            { "type": ["null", "boolean", "number", "string"] },
            { "type": "array", "items": this() },
            { "type": "object", "propertyNames": { "not": { "pattern": "^\\$" } }, "additionalProperties": this() },
            {
                "description": "Matchers, all of which hold.",
                "type": "object",
                "minProperties": 1,
                "properties": {
                    "$nullable": this(),
                    "$optional": this(),
                    "$oneOf": { "description": "Like one of these.", "type": "array", "minItems": 1, "items": this() },
                    "$absent": { "description": "Not there.", "const": true },
                    "$number": range("A number within bounds.", json!({ "type": ["number", "null"] }), json!({ "integer": { "type": ["boolean", "null"] } })),
                    "$each": this(),
                    "$length": range(
                        "A text of so many characters, or an array of so many entries.",
                        json!({ "type": ["integer", "null"], "minimum": 0, "maximum": EXACT }),
                        json!({}),
                    ),
                    "$contains": { "description": "A text with this in it.", "type": "string" },
                    "$equals": { "description": "Exactly this value." },
                    "$schema": { "description": "As that schema of the plan says.", "type": "string", "pattern": format!("^{SCHEMAS}[A-Za-z0-9_.-]+$") },
                },
                "additionalProperties": false,
            },
        ],
    })
}
