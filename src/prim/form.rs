//! The strict form of a document: every key, its shape and what it is about.
//! The checker goes by it, and the JSON Schema is written from it.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{
    patterns::{
        AS_OF, BODY, COLOUR, ERROR_CODE, HOST, ID, OPERATION, PARAGRAPH, PARAM, PRICE, PROSE, QUERY, ROUTE, ROW_PRICE, SENTENCE, SIZE,
        TYPE, URL, VARIABLE, VENDOR, VERSION, WORDS,
    },
    shape::{Field, Is, Object, Shape, Then, When},
    status, types,
};

/// The largest port, and the least that needs no privilege.
const PORTS: (i64, i64) = (1024, 65535);

/// Shapes of a document and of the types in it.
pub(super) struct Form {
    pub document: Shape,
    pub kind: Shape,
}

/// The strict form.
pub(super) static FORM: LazyLock<Form> = LazyLock::new(|| Form { document: document(), kind: types::shape() });

/// What the schema calls itself.
const ID_OF_SCHEMA: &str = "https://flywheel.prim.sh/schemas/prim.v1alpha1.json";

/// The strict form as JSON Schema 2020-12.
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID_OF_SCHEMA,
        "title": "prim.yaml",
        "description": "The strict form of a primitive's document. What only the checker can say is in docs/document.md.",
    });
    if let (Value::Object(all), Value::Object(own)) = (&mut schema, FORM.document.schema()) {
        all.extend(own);
    }
    schema["$defs"] = json!({"type": FORM.kind.schema()});
    schema
}

pub(super) fn needed(key: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { key, about, shape, required: true }
}

pub(super) fn may(key: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { key, about, shape, required: false }
}

fn object(fields: Vec<Field>) -> Shape {
    Shape::Object(Object { fields, ..Object::default() })
}

fn open() -> Shape {
    Shape::Object(Object { open: true, ..Object::default() })
}

fn texts() -> Shape {
    Shape::list(Shape::Text(&PARAGRAPH))
}

fn variables() -> Shape {
    Shape::List { of: Box::new(Shape::Text(&VARIABLE)), least: 0, unique: true }
}

fn document() -> Shape {
    let mut fields = vec![
        needed("id", Shape::Text(&ID), "The primitive's id: its directory, its host name's first label, its object's name."),
        may("name", Shape::Text(&WORDS), "What its health check calls it; <id>.sh where absent."),
        needed("description", Shape::Text(&SENTENCE), "One line about it."),
        may("version", Shape::Text(&VERSION), "The version that its health check reports; 0.1.0 where absent."),
        may("endpoint", Shape::Text(&HOST), "Its host name; <id>.<zone> where absent."),
        may("status", Shape::Word(status::WORDS), "How far it is, as somebody wrote it down: information, never authority."),
        may("note", Shape::Text(&PARAGRAPH), "What to know about its status."),
        may("type", Shape::Text(&WORDS), "What kind of thing it is, in a word of your own."),
        may(
            "category",
            Shape::Word(&["crypto", "compute", "storage", "comms", "intelligence", "identity", "ops", "physical", "meta"]),
            "Where catalogues list it.",
        ),
        may("port", Shape::Integer(PORTS.0, PORTS.1), "The port it has on a developer's machine; a Factory sets its own."),
        may("order", Shape::Integer(0, 9999), "Its place in catalogues; 999 where absent."),
        may("show_on_index", Shape::Flag, "Whether catalogues show it; true where absent."),
        may("env", variables(), "Environment variables that it needs."),
        may("factory", factory(), "How its service is built."),
        may("deploy", deploy(), "How it was deployed before. A Factory reads none of it but the size."),
        may("interfaces", interfaces(), "Which surfaces are generated; true where absent."),
        may("gates", gates(), "What its gates were told before. A Factory's policy says it now."),
        may("pricing", Shape::list(row()), "The price list, for people. Rows name no route."),
        may("providers", Shape::list(provider()), "The vendors behind it."),
        may("types", Shape::Map { key: &TYPE, of: Box::new(Shape::Itself) }, "The types of bodies, by name: a part of JSON Schema each."),
        needed("routes_map", Shape::list(route()), "Its routes; an empty list makes a service with a health check alone."),
        may("wraps", Shape::Text(&WORDS), "The service that it wraps."),
        may("quick_start", texts(), "Lines on how to start using it."),
        may("tips", texts(), "Lines worth knowing."),
        may("limits", texts(), "Its limits, in prose."),
        may("ownership", Shape::Text(&PARAGRAPH), "Who owns what is made, in prose."),
    ];
    fields.extend(landing());
    Shape::Object(Object { fields, ..Object::default() })
}

/// Keys of the landing page: kept, and read by nothing here.
fn landing() -> Vec<Field> {
    let words = || Shape::Text(&SENTENCE);
    let about = "For the landing page; kept as it is.";
    vec![
        may("card_class", Shape::Text(&WORDS), about),
        may("phantom", Shape::Flag, about),
        may("accent", Shape::Text(&COLOUR), about),
        may("accent_dim", Shape::Text(&WORDS), about),
        may("accent_glow", Shape::Text(&WORDS), about),
        may("nounStyled", words(), about),
        may("tagline", words(), about),
        may("sub", words(), about),
        may("hero_badges", texts(), about),
        may("hero_example", Shape::Text(&PROSE), about),
        may("cta", object(vec![may("headline", words(), about), may("sub", words(), about)]), about),
        may("sections", Shape::list(open()), about),
        may("usage", Shape::Text(&PROSE), about),
        may("testing", open(), about),
    ]
}

fn factory() -> Shape {
    object(vec![
        may("max_body_size", Shape::Text(&SIZE), "The largest body that it takes; 1MB where absent."),
        may("metrics", Shape::Flag, "Whether it counts; true where absent."),
        may("free_service", Shape::Flag, "Whether all of it is free; false where absent."),
    ])
}

fn deploy() -> Shape {
    object(vec![
        may("max_body_size", Shape::Text(&SIZE), "The largest body that the edge lets through."),
        may("systemd_after", Shape::list(Shape::Text(&WORDS)), "Units to start after."),
        may("extra_caddy", Shape::list(Shape::Text(&PROSE)), "Text for an edge's configuration, which nothing here uses."),
        may("access_log", Shape::Flag, "Whether requests are logged."),
    ])
}

fn interfaces() -> Shape {
    let about = "Whether this surface is generated.";
    object(["mcp", "cli", "tools", "rest", "sdk"].into_iter().map(|key| may(key, Shape::Flag, about)).collect())
}

fn gates() -> Shape {
    object(vec![
        may("coverage_threshold", Shape::Integer(0, 100), "Per cent of lines that tests must reach."),
        may("allow_todo", Shape::Flag, "Whether unfinished code passes."),
        may("skip_smoke", Shape::Flag, "Whether live tests are left out."),
        may("approved_by", Shape::Text(&PROSE), "Who let it through."),
    ])
}

fn row() -> Shape {
    object(vec![
        needed("op", Shape::Text(&WORDS), "What is sold."),
        needed("price", Shape::Text(&ROW_PRICE), "For how much."),
        may("provider_cost", Shape::Text(&WORDS), "What it costs us."),
        may("pricing_type", Shape::Word(&["static", "dynamic"]), "Whether the price stands still."),
        may("as_of", Shape::Text(&AS_OF), "When that was so."),
        may("estimate", Shape::Text(&WORDS), "What to expect of a dynamic price."),
        may("note", Shape::Text(&SENTENCE), "What to know about it."),
    ])
}

fn provider() -> Shape {
    Shape::Object(Object {
        fields: vec![
            needed("name", Shape::Text(&VENDOR), "The vendor's name in the registry of providers."),
            may("env", variables(), "Environment variables that its client needs."),
            needed("status", Shape::Word(&["active", "planned", "deprecated"]), "Whether it is used."),
            may("default", Shape::Flag, "Whether it is the one among several; false where absent."),
            may("url", Shape::Text(&URL), "Where it is described."),
            may("description", Shape::Text(&SENTENCE), "What to know about it."),
            may("signup", Shape::Word(&["self-service", "manual", "sales-only"]), "How one gets an account."),
            may("pricing_model", Shape::Word(&["payg", "monthly", "annual", "free"]), "How it is paid."),
            may("sandbox", Shape::Either(vec![Shape::Flag, Shape::Text(&SENTENCE)]), "Whether it can be tried."),
            may("sandbox_note", Shape::Text(&SENTENCE), "How it can be tried."),
        ],
        others: &[("env_key", "env")],
        ..Object::default()
    })
}

/// Statuses of a success, and of what leads elsewhere.
pub(super) const SUCCESSES: [i64; 9] = [200, 201, 202, 204, 301, 302, 303, 307, 308];

fn route() -> Shape {
    let body = || Shape::Text(&BODY).or_null();
    let writes = Is::Begins(&["POST", "PUT", "PATCH"]);
    let bodiless = SUCCESSES.into_iter().filter(|status| *status == 204 || *status >= 300);
    Shape::Object(Object {
        fields: vec![
            needed("route", Shape::Text(&ROUTE), "Method and path; :name is a parameter, a final :name* takes slashes."),
            needed("operation_id", Shape::Text(&OPERATION), "Its name in code, tools and clients."),
            needed(
                "status",
                Shape::Numbers(&SUCCESSES),
                "The status of a success: 200, 201, 202 or 204, or of a redirect: 301, 302, 303, 307 or 308.",
            ),
            needed("description", Shape::Text(&SENTENCE), "One line about it."),
            may("request", body(), "The body: a type's name, json, bytes, or null for none. POST, PUT and PATCH must say it."),
            needed("response", body(), "The answer: a type's name, json, bytes, or null for none."),
            may("params", Shape::list(param()), "What its path parameters are."),
            may("query_params", Shape::list(query()), "Its query parameters."),
            may("errors", Shape::list(error()), "The errors that it declares; a status may be there more than once."),
            may("price", Shape::Text(&PRICE), "What a call costs: free, or dollars."),
            may("auth", Shape::Word(&["none", "wallet", "internal"]), "Who may call: anyone, whoever pays, or who has the internal key."),
            may("idempotent", Shape::Flag, "Whether a call that is repeated changes nothing more."),
            may("backend", backend(), "What implements it: a pattern, or a mapping with its settings."),
            may("notes", Shape::Text(&PARAGRAPH), "More about it, in prose."),
            may("stdin_field", Shape::Text(&PARAM), "The field of the body that a command line may take from standard input."),
        ],
        others: &[("request_type", "request"), ("response_type", "response")],
        when: [
            When { key: "route", is: writes, then: Then::Needs("request") },
            When { key: "route", is: Is::Begins(&["GET"]), then: Then::Nothing("request") },
        ]
        .into_iter()
        .chain(bodiless.map(|status| When { key: "status", is: Is::Number(status), then: Then::Nothing("response") }))
        .collect(),
        ..Object::default()
    })
}

fn param() -> Shape {
    object(vec![
        needed("name", Shape::Text(&PARAM), "Its name in the path."),
        needed("type", Shape::Word(&["string", "integer"]), "What it is."),
        may("description", Shape::Text(&SENTENCE), "About it."),
        may("minimum", number(), "The least that an integer may be."),
        may("maximum", number(), "The most that an integer may be."),
    ])
}

fn query() -> Shape {
    object(vec![
        needed("name", Shape::Text(&QUERY), "Its name."),
        needed("type", Shape::Word(&["string", "integer", "number", "boolean"]), "What it is."),
        may("description", Shape::Text(&SENTENCE), "About it."),
        may("required", Shape::Flag, "Whether a request must have it; false where absent."),
        may("minimum", number(), "The least number that it may be."),
        may("maximum", number(), "The greatest."),
        may("default", number(), "The number that it is where a request leaves it out."),
    ])
}

/// A whole number that a person would write down.
fn number() -> Shape {
    Shape::Integer(-1_000_000_000, 1_000_000_000)
}

fn error() -> Shape {
    object(vec![
        needed("status", Shape::Integer(400, 599), "Its HTTP status."),
        needed("code", Shape::Text(&ERROR_CODE), "Its stable code."),
        needed("description", Shape::Text(&SENTENCE), "When it happens."),
    ])
}

fn backend() -> Shape {
    const PATTERNS: &[&str] = &["native", "rest-json", "cli", "sdk"];
    let pattern = |is: &'static str, then: Then| When { key: "pattern", is: Is::Text(is), then };
    let detailed = Shape::Object(Object {
        fields: vec![
            needed("pattern", Shape::Word(PATTERNS), "Which pattern."),
            may("provider", Shape::Text(&VENDOR), "The provider that answers, for rest-json and sdk; the default one where absent."),
            may("operation", Shape::Text(&SENTENCE), "The provider's operation, or the method of its SDK."),
            may(
                "command",
                Shape::List { of: Box::new(Shape::Text(&PARAGRAPH)), least: 1, unique: false },
                "The program and its arguments, for cli: a list, since no shell reads it.",
            ),
        ],
        when: vec![pattern("cli", Then::Needs("command"))],
        ..Object::default()
    });
    Shape::Either(vec![Shape::Word(PATTERNS), detailed])
}
