//! What a handler has the store do.

use super::{
    super::{
        native::{Native, Op, Signed},
        refusals::{self, Why},
        text::{array, fits, prop, string},
        types,
    },
    Draft,
};
use crate::prim::{QueryKind, QueryParam, Segment};

/// Query parameters that choose what a list has, and what the store calls that. Of
/// several that say the same, the first does; each other is a field like any.
const CHOOSING: [(&str, &str); 25] = [
    ("limit", "limit"),
    ("per_page", "limit"),
    ("page_size", "limit"),
    ("offset", "offset"),
    ("page", "page"),
    ("after", "after"),
    ("cursor", "after"),
    ("starting_after", "after"),
    ("page_token", "after"),
    ("next_token", "after"),
    ("prefix", "prefix"),
    ("q", "search"),
    ("search", "search"),
    ("query", "search"),
    ("sort", "sort"),
    ("sort_by", "sort"),
    ("order_by", "sort"),
    ("order", "order"),
    ("sort_order", "order"),
    ("direction", "order"),
    ("dir", "order"),
    ("since", "since"),
    ("created_after", "since"),
    ("until", "until"),
    ("created_before", "until"),
];

/// Whether a parameter says which page of a list there is, or in which order, and so
/// leaves nothing out.
pub(in crate::scaffold) fn orders(param: &QueryParam) -> bool {
    CHOOSING.iter().any(|choice| !["prefix", "search", "since", "until"].contains(&choice.1) && is_choice(choice, param))
}

/// Whether a parameter says which items a list has, by no field of theirs.
pub(in crate::scaffold) fn chooses(param: &QueryParam) -> bool {
    CHOOSING.iter().any(|choice| is_choice(choice, param))
}

fn is_choice((name, field): &(&str, &str), param: &QueryParam) -> bool {
    *name == param.name && may_choose(field, param.kind)
}

/// Whether a parameter of a kind can say that of a list; else it is a field like any.
fn may_choose(field: &str, kind: QueryKind) -> bool {
    let numeric = ["limit", "offset", "page"].contains(&field);
    match kind {
        QueryKind::Flag => false,
        QueryKind::Text => !numeric,
        QueryKind::Integer | QueryKind::Number => numeric || field == "after",
    }
}

impl Draft<'_> {
    /// Whether the query may say how long an item lives.
    fn lasting(&self) -> bool {
        self.route.query.iter().any(|param| types::SPANS.contains(&param.name.as_str()))
    }

    /// Writes down which conflicts are those of a field, for the scope that comes next.
    fn unique(&mut self) {
        self.distinct = refusals::unique_lines(&self.unique, 6);
    }

    /// What is stored: the body, with the time to live that may be in the query.
    fn fields(&mut self) -> String {
        let body = self.body();
        if !self.lasting() {
            return body;
        }
        self.needs.insert("lasting");
        self.take(&["query"]);
        self.line(format!("    const fields = lasting({body}, query);"));
        "fields".into()
    }

    /// What is told with a status: a result, or a reason.
    fn told(&mut self) -> &'static str {
        if self.body() == "body" { ", fields: body" } else { "" }
    }

    /// Takes the bytes that were sent.
    fn bytes(&mut self) {
        self.waits = true;
        self.take(&["request"]);
        self.line("    const bytes = new Uint8Array(await request.arrayBuffer());");
        self.line("    const type = request.headers.get(\"content-type\") ?? \"application/octet-stream\";");
        if self.lasting() {
            self.take(&["query"]);
            self.line("    const stored = { type, bytes, lasts: query };");
        } else {
            self.line("    const stored = { type, bytes };");
        }
    }

    pub(super) fn native(&mut self, native: &Native) {
        let whys = refusals::of(native, self.collections);
        match &native.op {
            Op::Create { signed: Some(signed) } => {
                self.proved(signed);
                let scope = self.scope(&native.within, &whys, Some("owner"));
                let fields = format!("{{ ...body, {}: owner, signature: undefined }}", signed.address);
                self.line(format!("    const fields = {fields};"));
                self.end_stored("create", &[vec![self.items(native.collection), "fields".into()], scope].concat());
            }
            Op::Create { signed: None } | Op::SetPart { .. } => {
                let body = if matches!(native.op, Op::Create { .. }) { self.fields() } else { self.body() };
                self.unique();
                let scope = self.scope(&native.within, &whys, None);
                let method = match native.op {
                    Op::SetPart { whole: true } => "replacePart",
                    Op::SetPart { whole: false } => "setPart",
                    _ => "create",
                };
                self.end_stored(method, &[vec![self.items(native.collection), body], scope].concat());
            }
            Op::Upload => {
                let scope = self.scope(&native.within, &whys, None);
                self.bytes();
                let arguments = [vec![self.items(native.collection), "stored".into()], scope].concat();
                self.end_stored("createBytes", &arguments);
            }
            Op::Put { bytes: true, .. } => {
                let scope = self.scope(&native.within, &whys, None);
                self.bytes();
                let arguments = [self.one(native), vec!["stored".into()], scope].concat();
                self.end_stored("putBytes", &arguments);
            }
            Op::Step { way, field, makes } => {
                let body = self.body();
                let scope = self.scope(&native.within, &whys, None);
                let makes = if *makes { ", makes: true" } else { "" };
                self.line(format!("    const step = {{ field: {}, way: {way}{makes} }};", string(field)));
                let arguments = [self.one(native), vec![body, "step".into()], scope].concat();
                self.end_stored("step", &arguments);
            }
            Op::Flip { field } => {
                let scope = self.scope(&native.within, &whys, None);
                let arguments = [self.one(native), vec![string(field)], scope].concat();
                self.end_stored("flip", &arguments);
            }
            Op::Put { bytes: false, .. } | Op::Change | Op::Replace | Op::Renew => {
                let body = self.fields();
                self.unique();
                let scope = self.scope(&native.within, &whys, None);
                let arguments = [self.one(native), vec![body], scope].concat();
                let method = match native.op {
                    Op::Put { once: true, .. } => "hold",
                    Op::Put { .. } => "put",
                    Op::Change => "change",
                    Op::Replace => "replace",
                    _ => "renew",
                };
                self.end_stored(method, &arguments);
            }
            Op::Become { to, from, once } => {
                let scope = self.scope(&native.within, &whys, None);
                let from = from.as_ref().map(|from| format!(", from: {}", string(from))).unwrap_or_default();
                let once = if *once { ", once: true" } else { "" };
                let fields = self.told();
                self.line(format!("    const status = {{ to: {}{from}{once}{fields} }};", string(to)));
                let arguments = [self.one(native), vec!["status".into()], scope].concat();
                self.end_stored("become", &arguments);
            }
            Op::Switch { field, on, once } => {
                let scope = self.scope(&native.within, &whys, None);
                let once = if *once { ", once: true" } else { "" };
                let fields = self.told();
                self.line(format!("    const status = {{ to: {on}, field: {}{once}{fields} }};", string(field)));
                let arguments = [self.one(native), vec!["status".into()], scope].concat();
                self.end_stored("become", &arguments);
            }
            Op::Follow { fields } => {
                self.as_it_is();
                let scope = self.scope(&native.within, &whys, None);
                let arguments = [self.one(native), scope].concat();
                self.stored("const item = ", "read", &arguments);
                let fields: Vec<_> = fields.iter().map(|field| string(field)).collect();
                self.line(array(4, "const fields = ", &fields, ";"));
                self.needs.insert("redirected");
                self.line(format!("    return redirected(item, {}, fields);", self.route.status));
            }
            Op::Read { bytes } => {
                self.as_it_is();
                let scope = self.scope(&native.within, &whys, None);
                let arguments = [self.one(native), scope].concat();
                // What is looked up about an item does not count as having read it.
                let about = matches!(self.route.path.segments.last(), Some(Segment::Literal(_)));
                let method = match (*bytes, about) {
                    (true, _) => "readBytes",
                    (false, true) => "peek",
                    (false, false) => "read",
                };
                self.end_stored(method, &arguments);
            }
            Op::Remove { emptied, retired } => {
                let scope = self.scope(&native.within, &whys, None);
                let one = self.one(native);
                if *emptied {
                    self.emptied(&one, &scope);
                }
                match retired {
                    Some(status) => {
                        self.line(format!("    const status = {};", string(status)));
                        self.end_stored("retire", &[one, vec!["status".into()], scope].concat());
                    }
                    None => self.end_stored("remove", &[one, scope].concat()),
                }
            }
            Op::List | Op::Count | Op::Clear => self.list(native, &whys),
            Op::Search => {
                let body = self.body();
                let scope = self.scope(&native.within, &whys, None);
                self.end_stored("search", &[vec![self.items(native.collection), body], scope].concat());
            }
            Op::Batch => {
                let body = self.body();
                self.unique();
                if let Some(each) = self.each.as_ref().filter(|each| each.parses) {
                    self.distinct.push(format!("      each: schemas.{}.body,", each.route.name));
                    self.needs.insert("schemas");
                }
                let scope = self.scope(&native.within, &whys, None);
                self.end_stored("createAll", &[vec![self.items(native.collection), body], scope].concat());
            }
            Op::Tally => {
                let scope = self.scope(&native.within, &whys, None);
                self.end_stored("tally", &[vec![self.items(native.collection)], scope].concat());
            }
            Op::Edge { .. } | Op::Take { .. } => {
                let scope = self.scope(&native.within, &whys, None);
                let method = if matches!(native.op, Op::Edge { .. }) { "edge" } else { "take" };
                let which = match &native.op {
                    Op::Edge { oldest: true } => "\"oldest\"".into(),
                    Op::Edge { .. } => "\"newest\"".into(),
                    Op::Take { to: Some(to), .. } => {
                        let fields = self.told();
                        self.line(format!("    const status = {{ to: {}{fields} }};", string(to)));
                        "status".into()
                    }
                    Op::Take { keeps: true, .. } => "{ keeps: true }".into(),
                    _ => "{}".to_owned(),
                };
                self.end_stored(method, &[vec![self.items(native.collection), which], scope].concat());
            }
            Op::Part | Op::Unset => {
                let unset = self.unset && !whys.contains(&Why::Missing);
                let whys = if unset { [whys, vec![Why::Missing]].concat() } else { whys };
                let scope = self.scope(&native.within, &whys, None);
                let method = match native.op {
                    Op::Part if self.unset => "requirePart",
                    Op::Part => "part",
                    _ => "unsetPart",
                };
                self.end_stored(method, &[vec![self.items(native.collection)], scope].concat());
            }
            // Found where a vendor does it alone.
            Op::Under => {}
        }
    }

    /// Whose wallet signed the body's message.
    pub(super) fn proved(&mut self, signed: &Signed) {
        self.waits = true;
        self.needs.insert("requireSignature");
        self.take(&["body"]);
        self.line("    const owner = await requireSignature(body, {");
        self.line(prop(6, "message", &signed.message));
        self.line(format!("      address: {},", string(&signed.address)));
        self.line(format!("      seconds: {},", signed.seconds));
        self.lines.extend(refusals::codes(self.route, &[Why::Unproven], 6));
        self.line("    });");
    }

    /// Refuses a call that asks for an item in another way than it is kept.
    fn as_it_is(&mut self) {
        if self.lacking() {
            self.take(&["query"]);
            self.stored("", "asItIs", &["query".into(), "lacks".into()]);
        }
    }

    /// Writes down the parameters that it can't follow, if there are any.
    fn lacking(&mut self) -> bool {
        let names: Vec<_> = self.lacks.iter().map(|name| string(name)).collect();
        if !names.is_empty() {
            self.line(array(4, "const lacks = ", &names, ";"));
        }
        !names.is_empty()
    }

    fn list(&mut self, native: &Native, whys: &[Why]) {
        let query = &self.route.query;
        let mut choosing: Vec<(&'static str, &'static str)> = Vec::new();
        for choice @ (name, field) in CHOOSING {
            // A page of a book, an order of a shop: what items have is a field of theirs.
            // One that is counted beside a limit is a page of the list all the same.
            let counted = field == "page" && choosing.iter().any(|(_, there)| *there == "limit");
            let theirs = ["page", "sort", "order", "since", "until"].contains(&field) && !counted && self.fields.contains(&name);
            if !theirs && query.iter().any(|param| is_choice(&choice, param)) && !choosing.iter().any(|(_, there)| *there == field) {
                choosing.push((name, field));
            }
        }
        let matching = query.len() > choosing.len();
        let mut arguments = vec![self.items(native.collection)];
        if !query.is_empty() {
            self.take(&["query"]);
            // `query` is what they all are taken from.
            let local = |(name, field): &(&'static str, &'static str)| if *name == "query" { *field } else { *name };
            let taken = |choice: &(&'static str, &'static str)| match local(choice) {
                local if local == choice.0 => local.to_owned(),
                local => format!("{}: {local}", choice.0),
            };
            let mut names: Vec<_> = choosing.iter().map(taken).collect();
            names.extend(matching.then(|| "...match".to_owned()));
            self.line(format!("    const {{ {} }} = query;", names.join(", ")));
            let field = |choice: &(&'static str, &'static str)| match local(choice) {
                local if local == choice.1 => local.to_owned(),
                local => format!("{}: {local}", choice.1),
            };
            let mut fields: Vec<String> = choosing.iter().map(field).collect();
            fields.extend(matching.then(|| "match".into()));
            if self.lacking() {
                fields.push("lacks".into());
            }
            let line = format!("    const selection = {{ {} }};", fields.join(", "));
            let broken = || format!("    const selection = {{\n      {},\n    }};", fields.join(",\n      "));
            self.line(if fits(&line) { line } else { broken() });
            arguments.push("selection".into());
        }
        let scope = self.scope(&native.within, whys, None);
        if query.is_empty() && !scope.is_empty() {
            arguments.push("{}".into());
        }
        arguments.extend(scope);
        if native.op == Op::Clear {
            self.end_stored("clear", &arguments);
        } else if native.op == Op::Count {
            self.stored("const { total } = ", "list", &arguments);
            self.end("{ count: total }");
        } else {
            self.end_stored("list", &arguments);
        }
    }
}
