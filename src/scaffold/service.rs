//! The body of each handler. What the store does in it is in `service/stored.rs`.

mod stored;

pub(super) use stored::{chooses, orders};

use std::collections::BTreeSet;

use super::{
    backend::{Argument, Asked, Command, Source},
    claims::Claim,
    native::{self, Collection, Native, Op, Sent},
    plan::{Plan, Planned, Work},
    refusals::{self, Why},
    schema, schemas, shapes,
    text::{array, call, fits, prop, string},
    types, vendor,
};
use crate::prim::{Body, DeclaredError, Method, QueryKind, Route, RoutePrice};

/// Refusals of a vendor that a caller may see, where the route declares them.
const PASSED: [u16; 7] = [400, 404, 409, 410, 413, 422, 429];

/// A handler: what it takes from its input, its lines, and what they need.
pub(super) struct Handler {
    pub takes: String,
    pub does: String,
    pub waits: bool,
    pub needs: BTreeSet<&'static str>,
}

/// The handler of a route.
pub(super) fn handler(plan: &Plan<'_>, planned: &Planned<'_>) -> Handler {
    let each = each(plan, planned);
    let mut draft = Draft {
        route: planned.route,
        collections: &plan.collections,
        fields: listed(plan, planned),
        lacks: &planned.lacks,
        unique: unique(plan, planned, each.as_ref()),
        distinct: Vec::new(),
        each,
        unset: shapes::lacks_unset(plan.document, planned),
        declared: plan.declared,
        asked: &planned.asked,
        payer: planned.price != RoutePrice::Free,
        // Who has the internal key looks after what everybody has.
        open: (native::open(planned.route, planned.price) || (planned.price == RoutePrice::Free && (planned.guarded || leads(planned))))
            && planned.work.kept().is_some_and(|kept| plan.owned(kept.collection)),
        guarded: planned.guarded,
        input: Vec::new(),
        lines: Vec::new(),
        needs: BTreeSet::new(),
        waits: false,
    };
    if planned.guarded {
        draft.take(&["env", "request"]);
        draft.line("    requireInternalKey(request, env);");
    }
    match (&planned.work, &planned.claim) {
        (Work::Missing(_), _) => {
            draft.lines.push(call(4, "throw notImplemented", &[string(&planned.route.operation)], ";"));
            draft.needs.insert("ServiceError");
        }
        (Work::Command(command), _) => draft.run(command, &plan.document.env),
        (Work::Provider(kept), claim) => draft.provided(kept.as_ref(), claim.as_ref()),
        (Work::Native(native), _) => draft.native(native),
        (Work::Claim, Some(claim)) => {
            draft.claimed(claim, false);
            draft.input.push("body");
            draft.end("{ ...body, status: \"redeemed\" }");
        }
        (Work::Claim, None) => {}
        (Work::Waits(turns, param), _) => draft.tell(turns, param),
        (Work::Schema, _) => {
            draft.needs.insert("schema");
            draft.line("    return schema;");
        }
        (Work::Ports, _) => {
            draft.needs.insert("ports");
            draft.take(&["env"]);
            draft.line(call(4, "return ports", &["env".into(), string(schema::PORTS)], ";"));
        }
        (Work::Validate, _) => {
            draft.needs.extend(["schema", "validate"]);
            draft.take(&["body"]);
            let mut arguments = vec!["schema".to_owned(), "body".into()];
            arguments.extend(draft.route.error(400).filter(|e| e.code != "invalid_request").map(|e| string(&e.code)));
            draft.line(call(4, "return validate", &arguments, ";"));
        }
    }
    draft.input.sort_unstable();
    draft.input.dedup();
    let takes = if draft.input.is_empty() { String::new() } else { format!("{{ {} }}", draft.input.join(", ")) };
    Handler { takes, does: draft.lines.join("\n"), waits: draft.waits, needs: draft.needs }
}

/// Whether a route leads elsewhere.
fn leads(planned: &Planned<'_>) -> bool {
    planned.work.kept().is_some_and(|native| matches!(native.op, Op::Follow { .. }))
}

/// The fields of what a route lists.
fn listed<'a>(plan: &'a Plan<'_>, planned: &Planned<'_>) -> Vec<&'a str> {
    let lists = |native: &&Native| matches!(native.op, Op::List | Op::Count | Op::Clear);
    let Some(Native { collection, .. }) = planned.work.kept().filter(lists) else { return Vec::new() };
    let makes = |native: &Native| native.collection == *collection && matches!(native.op, Op::Create { .. } | Op::Put { .. });
    let made = plan.routes.iter().filter(|other| other.work.kept().is_some_and(makes));
    made.flat_map(|made| match types::taken(plan.document, made.route).and_then(|kind| types::fields(plan.document, kind)) {
        Some(fields) => fields.keys().map(String::as_str).collect::<Vec<_>>(),
        None => schemas::fields(plan, made).iter().map(|field| field.name.as_str()).collect(),
    })
    .collect()
}

/// How one is made of what a route makes several of.
fn each<'a>(plan: &Plan<'a>, planned: &Planned<'_>) -> Option<Each<'a>> {
    let Some(Native { op: Op::Batch, collection, .. }) = planned.work.kept() else { return None };
    let makes = |native: &Native| native.collection == *collection && matches!(native.op, Op::Create { signed: None });
    let made = plan.routes.iter().find(|other| other.work.kept().is_some_and(makes))?;
    Some(Each {
        route: made.route,
        // What a type of its own says of them was looked at already.
        parses: matches!(made.route.request, Body::Json(_)) && types::taken(plan.document, planned.route).is_none(),
    })
}

/// The route that makes one of what another makes several of.
struct Each<'a> {
    route: &'a Route,
    /// Whether each has to be what it takes.
    parses: bool,
}

/// Fields that no two have alike of what a route makes or changes.
fn unique<'a>(plan: &Plan<'a>, planned: &Planned<'a>, each: Option<&Each<'a>>) -> Vec<(String, &'a DeclaredError)> {
    match &planned.work {
        // What is said of one holds for several.
        Work::Native(Native { op: Op::Batch, collection, .. }) => plan.unique(*collection, each.map_or(planned.route, |each| each.route)),
        Work::Native(Native {
            op: Op::Create { .. } | Op::Put { bytes: false, once: false } | Op::Change | Op::Replace,
            collection,
            ..
        }) => plan.unique(*collection, planned.route),
        _ => Vec::new(),
    }
}

/// A handler while it is written.
struct Draft<'a> {
    route: &'a Route,
    collections: &'a [Collection],
    /// Fields of what it lists.
    fields: Vec<&'a str>,
    declared: bool,
    asked: &'a Asked,
    /// Whether nothing that its type could be is there before it is set.
    unset: bool,
    /// Parameters of its query that nothing kept has.
    lacks: &'a [String],
    /// Fields that none has twice, and lines of the next scope about them.
    unique: Vec<(String, &'a DeclaredError)>,
    distinct: Vec<String>,
    /// How one is made where several are.
    each: Option<Each<'a>>,
    /// Whether who pays is known.
    payer: bool,
    /// Whether it is about everybody's items.
    open: bool,
    /// Whether only who has the internal key calls it.
    guarded: bool,
    /// What it takes from its input.
    input: Vec<&'static str>,
    lines: Vec<String>,
    needs: BTreeSet<&'static str>,
    waits: bool,
}

impl Draft<'_> {
    fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn take(&mut self, input: &[&'static str]) {
        self.input.extend(input);
    }

    /// Answers with an expression's value, or with nothing where that is declared.
    fn end(&mut self, expression: &str) {
        if self.route.response == Body::None {
            self.line(format!("    {expression};"));
        } else {
            self.line(format!("    return {expression};"));
        }
    }

    /// The same with a call of the store.
    fn end_stored(&mut self, method: &str, arguments: &[String]) {
        if self.route.response == Body::None {
            self.stored("", method, arguments);
        } else {
            self.stored("return ", method, arguments);
        }
    }

    fn stored(&mut self, left: &str, method: &str, arguments: &[String]) {
        self.needs.insert("store");
        self.take(&["env"]);
        self.line(call(4, &format!("{left}store.open(env).{method}"), arguments, ";"));
    }

    fn items(&self, collection: usize) -> String {
        format!("store.{}Items", self.collections.get(collection).map_or("", |c| c.name.as_str()))
    }

    /// Writes down for whom (`owner`, or who pays; nobody where that is empty), within
    /// what, and with what codes something is done.
    fn scope(&mut self, within: &[String], whys: &[Why], owner: Option<&str>) -> Vec<String> {
        let mut entries = Vec::new();
        match owner {
            Some("") => {}
            Some(owner) => entries.push(format!("      {owner},")),
            None if self.payer => {
                self.take(&["payer"]);
                entries.push("      owner: payer,".into());
            }
            None if self.open => {
                entries.push("      anyone: true,".into());
                entries.extend(self.guarded.then(|| "      everything: true,".into()));
            }
            None => {}
        }
        if !within.is_empty() {
            self.take(&["params"]);
            let params: Vec<_> = within.iter().map(|name| format!("params[{}]", string(name))).collect();
            entries.push(array(6, "within: ", &params, ","));
        }
        entries.extend(refusals::codes(self.route, whys, 6));
        entries.append(&mut self.distinct);
        if entries.is_empty() {
            return Vec::new();
        }
        self.line("    const scope = {");
        // A refusal's status is a literal, and not any number.
        let literal = if entries.iter().any(|line| line == "      },") { " as const" } else { "" };
        self.lines.extend(entries);
        self.line(format!("    }}{literal};"));
        vec!["scope".into()]
    }

    /// What was sent; no fields where the route takes no JSON.
    fn body(&mut self) -> String {
        if !matches!(self.route.request, Body::Json(_)) {
            return "{}".into();
        }
        self.take(&["body"]);
        "body".into()
    }

    /// The collection and the item's name.
    fn one(&mut self, native: &Native) -> Vec<String> {
        let mut arguments = vec![self.items(native.collection)];
        if let Some(param) = &native.param {
            self.take(&["params"]);
            arguments.push(format!("params[{}]", string(param)));
        }
        match &native.sent {
            Some(Sent::Body(field)) => {
                self.take(&["body"]);
                arguments.push(format!("body[{}]", string(field)));
            }
            Some(Sent::Query(name)) => {
                self.take(&["query"]);
                arguments.push(format!("query[{}]", string(name)));
            }
            None => {}
        }
        arguments
    }

    /// Takes what a caller must have; `turn` is what can be given back.
    fn claimed(&mut self, claim: &Claim, back: bool) {
        self.take(&["body"]);
        let whys = match claim {
            Claim::Turn { .. } => [Why::Early].as_slice(),
            Claim::Code { .. } => &[Why::Taken, Why::Unknown, Why::Unset],
        };
        let scope = self.scope(&[], whys, Some(""));
        let name = string(&self.route.name);
        let (method, arguments) = match claim {
            Claim::Turn { seconds, field } => {
                if field.is_none() {
                    self.input.retain(|input| *input != "body");
                }
                let whose = field.as_ref().map_or("\"everybody\"".into(), |field| format!("body.{field}"));
                ("turn", vec![name, whose, seconds.to_string()])
            }
            Claim::Code { variable, field } => ("redeem", vec![name, format!("body.{field}"), format!("env[{}]", string(variable))]),
        };
        self.stored(if back { "const turn = " } else { "" }, method, &[arguments, scope].concat());
    }

    fn provided(&mut self, kept: Option<&Native>, claim: Option<&Claim>) {
        if let Some(claim) = claim {
            self.claimed(claim, true);
            self.forward("const call: Call =");
            self.needs.insert("Call");
            self.end(&format!("turn.during(() => {}.forward(call))", self.provider()));
            return;
        }
        let Some(native) = kept else { return self.forward("return") };
        let whys = refusals::of(native, self.collections);
        let kept = self.collections.get(native.collection);
        let outer = kept.and_then(|collection| collection.within);
        match &native.op {
            Op::Create { signed } => {
                if let Some(signed) = signed {
                    self.proved(signed);
                }
                let scope = self.scope(&native.within, &whys, signed.as_ref().map(|_| "owner"));
                self.created(native, scope);
            }
            // What a vendor has of bytes is looked for here before it is asked for them.
            Op::Upload if matches!(self.route.response, Body::Json(_)) => {
                let scope = self.scope(&native.within, &whys, None);
                self.created(native, scope);
            }
            Op::Put { once: false, .. } => {
                let scope = self.scope(&native.within, &whys, None);
                let one = self.one(native);
                // Before a vendor has anything of it: a name may be another wallet's.
                self.stored("", "settable", &[one.clone(), scope.clone()].concat());
                self.made();
                self.needs.insert("fieldsOf");
                self.line("    const fields = fieldsOf(made);");
                let arguments = [one, vec!["fields".into()], scope].concat();
                if self.route.response == Body::Bytes {
                    self.stored("", "put", &arguments);
                    self.line("    return made;");
                } else {
                    self.end_stored("put", &arguments);
                }
            }
            Op::Change | Op::Replace => {
                let method = if native.op == Op::Change { "change" } else { "replace" };
                let scope = self.scope(&native.within, &whys, None);
                let one = self.one(native);
                self.stored("", "changeable", &[one.clone(), scope.clone()].concat());
                self.made();
                self.needs.insert("fieldsOf");
                self.line("    const fields = fieldsOf(made);");
                self.end_stored(method, &[one, vec!["fields".into()], scope].concat());
            }
            Op::Remove { emptied, retired } => {
                let scope = self.scope(&native.within, &whys, None);
                let one = self.one(native);
                if *emptied {
                    self.emptied(&one, &scope);
                } else {
                    self.stored("", "changeable", &[one.clone(), scope.clone()].concat());
                }
                self.made();
                match retired {
                    Some(status) => self.stored("", "retire", &[one, vec![string(status)], scope].concat()),
                    None => self.stored("", "remove", &[one, scope].concat()),
                }
                self.line("    return made;");
            }
            Op::Read { bytes: false } if !vendor::fails(self.route) => self.native(native),
            Op::Count => self.native(native),
            Op::List if outer.is_none() || !vendor::fails(self.route) => self.native(native),
            Op::List
            | Op::Search
            | Op::Tally
            | Op::Batch
            | Op::Edge { .. }
            | Op::Take { .. }
            | Op::Clear
            | Op::Upload
            | Op::Part
            | Op::SetPart { .. }
            | Op::Unset
            | Op::Put { .. }
            | Op::Step { makes: true, .. } => {
                let around = kept.map(|collection| collection.around(&native.within));
                if let (Some(outer), Some((within, Some(param), _))) = (outer, around) {
                    let inside =
                        Native { collection: outer, op: Op::Under, param: Some(param.clone()), sent: None, within: within.to_vec() };
                    self.checked(&inside);
                }
                self.forward("return");
            }
            Op::Read { .. }
            | Op::Follow { .. }
            | Op::Become { .. }
            | Op::Switch { .. }
            | Op::Renew
            | Op::Step { .. }
            | Op::Flip { .. }
            | Op::Under => {
                self.checked(native);
                self.forward("return");
            }
        }
    }

    /// Throws where something lies within an item, unless the query says that it goes as well.
    fn emptied(&mut self, one: &[String], scope: &[String]) {
        const FORCED: [&str; 3] = ["force", "recursive", "cascade"];
        let mut arguments = [one, scope].concat();
        let value = |kind: QueryKind| match kind {
            QueryKind::Flag => Some("true"),
            QueryKind::Text => Some("\"true\""),
            QueryKind::Integer | QueryKind::Number => None,
        };
        let mut params = self.route.query.iter().filter(|param| FORCED.contains(&param.name.as_str()));
        if let Some((param, value)) = params.find_map(|param| Some((param, value(param.kind)?))) {
            let forced = format!("query[{}] === {value}", string(&param.name));
            self.take(&["query"]);
            if scope.is_empty() {
                arguments.push("{}".into());
            }
            arguments.push(forced);
        }
        self.stored("", "emptied", &arguments);
    }

    /// Throws where the item that a route is about is not the caller's.
    fn checked(&mut self, native: &Native) {
        let whys = refusals::of(native, self.collections);
        let scope = self.scope(&native.within, &whys, None);
        let arguments = [self.one(native), scope].concat();
        let check = if self.route.method == Method::Get { "peek" } else { "changeable" };
        self.stored("", check, &arguments);
    }

    /// Keeps what a vendor makes, under the id that it gives it.
    fn created(&mut self, native: &Native, scope: Vec<String>) {
        let items = self.items(native.collection);
        self.stored("", "ready", &[vec![items.clone()], scope.clone()].concat());
        self.made();
        self.needs.insert("madeBy");
        let key = self.collections.get(native.collection).and_then(|c| c.key.clone()).unwrap_or_else(|| "id".into());
        let mut what = vec!["made".to_owned(), string(&key)];
        what.extend(self.failure().map(|code| string(&code)));
        self.line(call(4, "const fields = madeBy", &what, ";"));
        self.end_stored("create", &[vec![items, "fields".into()], scope].concat());
    }

    fn made(&mut self) {
        self.waits = true;
        self.forward("const made = await");
    }

    fn failure(&self) -> Option<String> {
        self.route.error(502).filter(|error| error.code != "provider_error").map(|error| error.code.clone())
    }

    /// A call of the vendor; `const call: Call =` only writes down what is asked.
    fn forward(&mut self, left: &str) {
        self.needs.insert("provider");
        self.take(&["env", "request"]);
        let asks = left.contains("Call");
        self.line(if asks { format!("    {left} {{") } else { format!("    {left} {}.forward({{", self.provider()) });
        self.lines.extend(["      env,", "      request,"].map(String::from));
        if let Some(operation) = &self.asked.operation {
            self.take(&["params"]);
            self.line(prop(6, "operation", operation));
            self.line("      params,");
        }
        self.body_and_answer();
        if let Some(code) = self.failure() {
            self.line(format!("      failure: {},", string(&code)));
        }
        // What a declared provider lacks is 501; who is not declared has its own answer.
        if let Some((status, code)) = refusals::unset(self.route).filter(|unset| !self.declared && *unset != (501, "not_configured")) {
            self.line(format!("      unset: [{status}, {}],", string(code)));
        }
        let declared = PASSED.into_iter().filter_map(|status| self.route.error(status));
        let codes: Vec<_> = declared.map(|error| format!("        {}: {},", error.status, string(&error.code))).collect();
        if !codes.is_empty() {
            self.line("      declared: {");
            self.lines.extend(codes);
            self.line("      },");
        }
        self.line(if asks { "    };" } else { "    });" });
    }

    /// Who is asked.
    fn provider(&self) -> String {
        self.asked.provider.as_ref().map_or_else(|| "provider(env)".into(), |name| format!("provider(env, {})", string(name)))
    }

    /// What goes to whoever answers, and what comes.
    fn body_and_answer(&mut self) {
        if matches!(self.route.request, Body::Json(_)) {
            self.take(&["body"]);
            self.line("      body,");
        }
        match self.route.response {
            Body::Json(_) => {}
            Body::Bytes => self.line("      answer: \"bytes\","),
            Body::None => self.line("      answer: \"nothing\","),
        }
    }

    /// Runs a program.
    fn run(&mut self, Command(words): &Command, pass: &[String]) {
        self.needs.insert("run");
        self.take(&["env"]);
        let words: Vec<_> = words.iter().map(|word| self.word(word)).collect();
        self.line(array(4, "const command = ", &words, ";"));
        if self.route.request == Body::Bytes {
            self.waits = true;
            self.take(&["request"]);
            self.line("    const bytes = new Uint8Array(await request.arrayBuffer());");
        }
        self.line("    return run(command, {");
        self.line("      env,");
        if self.route.request == Body::Bytes {
            self.line("      bytes,");
        }
        if !pass.is_empty() {
            let names: Vec<_> = pass.iter().map(|name| string(name)).collect();
            self.line(array(6, "pass: ", &names, ","));
        }
        self.body_and_answer();
        self.line("    });");
    }

    fn word(&mut self, Argument { before, value, after }: &Argument) -> String {
        let Some(value) = value else { return string(before) };
        let value = match value {
            Source::Path(name) => ("params", name),
            Source::Query(name) => ("query", name),
            Source::Body(name) => ("body", name),
        };
        self.needs.insert("argument");
        self.take(&[value.0]);
        let mut arguments = vec![format!("{}[{}]", value.0, string(value.1))];
        if !before.is_empty() || !after.is_empty() {
            arguments.push(string(before));
        }
        if !after.is_empty() {
            arguments.push(string(after));
        }
        format!("argument({})", arguments.join(", "))
    }

    /// How long turns are still waited for.
    fn tell(&mut self, turns: &[String], param: &str) {
        self.take(&["query"]);
        let names: Vec<_> = turns.iter().map(|turn| string(turn)).collect();
        self.line(array(4, "const turns = ", &names, ";"));
        let whose = format!("query[{}] ?? \"\"", string(param));
        let line = format!("    const whose = {whose};");
        debug_assert!(fits(&line), "names of parameters are short");
        self.line(line);
        self.end_stored("waits", &["turns".into(), "whose".into()]);
    }
}
