//! The body of each handler.

use super::{
    native::{Native, Op},
    plan::{Planned, Work},
    text::{call, string},
};
use crate::prim::{Body, QueryKind, QueryParam, Route, RoutePrice};

/// Query parameters that choose a page.
const PAGING: [(&str, &str); 4] = [("limit", "limit"), ("offset", "offset"), ("after", "after"), ("cursor", "after")];

/// Refusals of a vendor that a caller may see, where the route declares them.
const PASSED: [u16; 7] = [400, 404, 409, 410, 413, 422, 429];

/// A handler: what it takes from its input, and its lines.
pub(super) struct Handler {
    pub takes: String,
    pub does: String,
    /// Whether it throws a ServiceError of its own.
    pub throws: bool,
}

/// The handler of a route.
pub(super) fn handler(planned: &Planned<'_>) -> Handler {
    let owner = planned.price != RoutePrice::Free;
    let mut draft = Draft { route: planned.route, owner, input: Vec::new(), lines: Vec::new(), throws: false };
    if planned.guarded {
        draft.input.extend(["env", "request"]);
        draft.line("    requireInternalKey(request, env);");
    }
    match &planned.work {
        Work::Missing(_) => {
            draft.lines.push(call(4, "throw notImplemented", &[string(&planned.route.operation)], ";"));
            draft.throws = true;
        }
        Work::Provider => draft.forward(),
        Work::Native(native) => draft.store(native),
    }
    draft.input.sort_unstable();
    draft.input.dedup();
    let takes = if draft.input.is_empty() { String::new() } else { format!("{{ {} }}", draft.input.join(", ")) };
    Handler { takes, does: draft.lines.join("\n"), throws: draft.throws }
}

/// A handler while it is written.
struct Draft<'a> {
    route: &'a Route,
    /// Whether items belong to who pays.
    owner: bool,
    /// What it takes from its input.
    input: Vec<&'static str>,
    lines: Vec<String>,
    throws: bool,
}

impl Draft<'_> {
    fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn forward(&mut self) {
        self.input.extend(["env", "request"]);
        self.lines.extend(["    return forward({", "      env,", "      request,"].map(String::from));
        if matches!(self.route.request, Body::Json(_)) {
            self.input.push("body");
            self.line("      body,");
        }
        match self.route.response {
            Body::Json(_) => {}
            Body::Bytes => self.line("      answer: \"bytes\","),
            Body::None => self.line("      answer: \"nothing\","),
        }
        if let Some(error) = self.route.error(502).filter(|error| error.code != "provider_error") {
            self.line(format!("      failure: {},", string(&error.code)));
        }
        let declared = PASSED.into_iter().filter_map(|status| self.route.error(status));
        let codes: Vec<_> = declared.map(|error| format!("        {}: {},", error.status, string(&error.code))).collect();
        if !codes.is_empty() {
            self.line("      declared: {");
            self.lines.extend(codes);
            self.line("      },");
        }
        self.line("    });");
    }

    fn store(&mut self, native: &Native) {
        self.input.push("env");
        if self.owner {
            self.input.push("payer");
        }
        let collection = string(&native.collection);
        match &native.op {
            Op::Create { key } => self.create(collection, key.as_deref()),
            Op::List => self.list(&collection),
            Op::Read { param } => self.one("return storeOf(env).read", collection, param),
            Op::Change { param } => {
                self.input.push("body");
                self.one("return storeOf(env).change", collection, param);
            }
            Op::Remove { param } if self.route.response == Body::None => {
                self.one("storeOf(env).remove", collection, param);
                self.line("    return null;");
            }
            Op::Remove { param } => self.one("return storeOf(env).remove", collection, param),
        }
    }

    fn create(&mut self, collection: String, key: Option<&str>) {
        self.input.push("body");
        let mut arguments = vec![collection];
        arguments.extend(key.map(|key| format!("body.{key}")));
        arguments.push("body".into());
        arguments.extend(self.owner.then(|| "payer".into()));
        if key.is_none() {
            self.line(call(4, "return storeOf(env).create", &arguments, ";"));
            return;
        }
        self.line(call(4, "const item = storeOf(env).claim", &arguments, ";"));
        self.line("    if (item === undefined) {");
        let declared = self.route.error(409).map(|error| (error.code.as_str(), error.description.as_str()));
        let (code, text) = declared.unwrap_or(("conflict", "It is there already."));
        self.line(call(6, "throw new ServiceError", &["409".into(), string(code), string(text)], ";"));
        self.lines.extend(["    }", "    return item;"].map(String::from));
        self.throws = true;
    }

    /// A call about one item: its id, new fields, whose it must be, and codes
    /// where the route has others than the usual.
    fn one(&mut self, function: &str, collection: String, param: &str) {
        let mut arguments = vec![collection, format!("params[{}]", string(param))];
        arguments.extend(self.input.contains(&"body").then(|| "body".to_owned()));
        self.input.push("params");
        let others = [(404, "missing", "not_found"), (403, "foreign", "forbidden")].into_iter();
        let other = |(status, key, usual)| Some((key, self.route.error(status).filter(|error| error.code != usual)?));
        let codes: Vec<_> =
            others.filter_map(other).map(|(key, error): (&str, _)| format!("      {key}: {},", string(&error.code))).collect();
        if self.owner {
            arguments.push("payer".into());
        } else if !codes.is_empty() {
            arguments.push("undefined".into());
        }
        if !codes.is_empty() {
            self.line("    const codes = {");
            self.lines.extend(codes);
            self.line("    };");
            arguments.push("codes".into());
        }
        self.line(call(4, function, &arguments, ";"));
    }

    fn list(&mut self, collection: &str) {
        let query = &self.route.query;
        let mut paging: Vec<(&str, &str)> = Vec::new();
        for (name, field) in PAGING {
            let pages = |param: &QueryParam| param.name == name && param.kind != QueryKind::Flag;
            // `after` and `cursor` are one thing; beside the other, each is a field like any.
            if query.iter().any(pages) && !paging.iter().any(|(_, there)| *there == field) {
                paging.push((name, field));
            }
        }
        let matching = query.len() > paging.len();
        if !query.is_empty() {
            self.input.push("query");
            let mut names: Vec<_> = paging.iter().map(|(name, _)| *name).collect();
            names.extend(matching.then_some("...match"));
            self.line(format!("    const {{ {} }} = query;", names.join(", ")));
        }
        let field = |(name, field): &(&str, &str)| if name == field { (*name).to_owned() } else { format!("{field}: {name}") };
        let mut fields: Vec<String> = paging.iter().map(field).collect();
        fields.extend(self.owner.then(|| "owner: payer".into()));
        fields.extend(matching.then(|| "match".into()));
        if fields.is_empty() {
            self.line(format!("    return storeOf(env).list({collection}, {{}});"));
            return;
        }
        self.line(format!("    return storeOf(env).list({collection}, {{"));
        self.lines.extend(fields.iter().map(|field| format!("      {field},")));
        self.line("    });");
    }
}
