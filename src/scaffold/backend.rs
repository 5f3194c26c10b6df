//! What a route says itself of who answers it. Where that can't be done, nothing
//! else answers in its place: it is 501, and says why.

use super::{
    native::{Collection, Native, Op},
    plan::Work,
    types,
    vendor::Vendor,
};
use crate::prim::{Auth, BackendPattern, Body, Document, Path, Route, RouteBackend, RoutePrice};

/// A program, and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command(pub Vec<Argument>);

/// A word of a command: text, and a value of the request within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub before: String,
    pub value: Option<Source>,
    pub after: String,
}

/// Where a value of a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Path(String),
    Query(String),
    Body(String),
}

/// Who of several vendors is asked, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Its name, where there are others; else the usual one is asked.
    pub provider: Option<String>,
    /// An operation of its own.
    pub operation: Option<String>,
    /// Whether that is one of a library.
    pub library: bool,
}

/// Whether somebody outside answers, where the route says.
pub(super) fn outside(said: Option<&RouteBackend>) -> Option<bool> {
    said.map(|backend| matches!(backend.pattern, BackendPattern::RestJson | BackendPattern::Sdk))
}

/// Gives vendors the operations of their libraries that routes name.
pub(super) fn libraries(document: &Document, vendors: &mut [Vendor]) {
    for (route, backend) in document.routes.iter().filter_map(|route| Some((route, route.backend.as_ref()?))) {
        let meant = |vendor: &&mut Vendor| backend.provider.as_ref().is_none_or(|name| *name == vendor.name);
        if backend.pattern == BackendPattern::Sdk
            && let Some(vendor) = vendors.iter_mut().find(meant)
        {
            vendor.calls(backend.operation.as_ref().unwrap_or(&route.operation));
        }
    }
}

/// Who is asked, and for what; else why nobody can be.
pub(super) fn asked(route: &Route, vendors: &[Vendor]) -> Result<Asked, String> {
    let said = route.backend.as_ref();
    let Some(backend) = said.filter(|_| outside(said) == Some(true)) else {
        // A library has no routes of ours: it is asked for what the route is called.
        let library = vendors.first().is_some_and(|vendor| !vendor.operations.is_empty());
        return Ok(Asked { provider: None, operation: library.then(|| route.operation.clone()), library });
    };
    let found = match &backend.provider {
        Some(name) => vendors.iter().find(|vendor| vendor.name == *name).ok_or_else(|| format!("{name} is no active provider"))?,
        None => vendors.first().ok_or("no provider is active")?,
    };
    let library = backend.pattern == BackendPattern::Sdk;
    let operation = backend.operation.clone().or_else(|| library.then(|| route.operation.clone()));
    match (backend.pattern, &operation) {
        // One file is one client, and a library has no routes of ours.
        (BackendPattern::RestJson, _) if !found.operations.is_empty() => {
            return Err(format!("{} is called by its library in other routes", found.name));
        }
        (BackendPattern::RestJson, Some(operation)) => {
            let plain = operation.split_once(' ').filter(|(method, _)| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(method));
            let path = plain
                .and_then(|(_, path)| Path::parse(path).ok())
                .filter(|path| path.repeated().is_none())
                .ok_or_else(|| format!("{operation} is no method and path"))?;
            if let Some(unknown) = path.params().find(|name| route.path.params().all(|param| param != *name)) {
                return Err(format!("{operation} wants {unknown}, which is not in the route's path"));
            }
        }
        _ => {}
    }
    Ok(Asked { provider: backend.provider.clone().filter(|_| vendors.len() > 1), operation, library })
}

/// What a route's own words decide alone.
pub(super) fn work(
    document: &Document,
    route: &Route,
    price: RoutePrice,
    native: Option<&Native>,
    failed: Option<&String>,
) -> Option<Work> {
    let signed = native.is_some_and(|native| matches!(native.op, Op::Create { signed: Some(_) }));
    if route.auth == Some(Auth::Wallet) && price == RoutePrice::Free && !signed {
        return Some(Work::Missing("it is for wallets, and a free route knows none".into()));
    }
    if let Some(reason) = failed {
        return Some(Work::Missing(reason.clone()));
    }
    let backend = route.backend.as_ref()?;
    (backend.pattern == BackendPattern::Cli).then(|| match command(document, route, &backend.command) {
        Ok(command) => Work::Command(command),
        Err(reason) => Work::Missing(reason),
    })
}

/// Why the store can't keep what a route takes.
pub(super) fn unkept(document: &Document, route: &Route, native: &Native, collections: &[Collection]) -> Option<String> {
    let takes =
        matches!(native.op, Op::Create { .. } | Op::Put { bytes: false, .. } | Op::Change | Op::Replace | Op::SetPart { .. } | Op::Renew);
    let kind = types::taken(document, route).filter(|_| takes)?;
    let Some(fields) = types::fields(document, kind) else { return Some(format!("{} is no object, and nothing else is kept", kind.name)) };
    let makes = native.op == Op::Create { signed: None };
    let named = |collection: &&Collection| native.sent.is_some() || (makes && !collection.makes_names());
    let kept = collections.get(native.collection).filter(named);
    let key = kept.and_then(|collection| collection.key.as_ref());
    key.filter(|key| !fields.contains_key(*key)).map(|key| format!("{} has no field {key}, by which its items are found", kind.name))
}

fn command(document: &Document, route: &Route, words: &[String]) -> Result<Command, String> {
    let arguments = words.iter().enumerate().map(|(i, word)| {
        let whole = || Argument { before: word.clone(), value: None, after: String::new() };
        let Some((before, rest)) = word.split_once('{') else { return Ok(whole()) };
        let Some((name, after)) = rest.split_once('}') else { return Ok(whole()) };
        if i == 0 {
            return Err("its program is named by the request".to_owned());
        }
        if after.contains('{') {
            return Err(format!("{word} holds more than one value"));
        }
        let value = source(document, route, name)
            .ok_or_else(|| format!("{{{name}}} is no parameter of the path or the query, and no body.FIELD that the route takes"))?;
        Ok(Argument { before: before.into(), value: Some(value), after: after.into() })
    });
    Ok(Command(arguments.collect::<Result<_, _>>()?))
}

fn source(document: &Document, route: &Route, name: &str) -> Option<Source> {
    if route.path.params().any(|param| param == name) {
        return Some(Source::Path(name.into()));
    }
    if route.query.iter().any(|param| param.name == name) {
        return Some(Source::Query(name.into()));
    }
    let field = name.strip_prefix("body.").filter(|_| matches!(route.request, Body::Json(_)))?;
    let plain = !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let known =
        types::taken(document, route).is_none_or(|kind| types::fields(document, kind).is_some_and(|fields| fields.contains_key(field)));
    (plain && known).then(|| Source::Body(field.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim;

    fn document(backend: &str) -> Document {
        let text = format!(
            "{{id: a, description: b, routes_map: [{{route: 'POST /v1/a/:id', operation_id: run_a, status: 200, description: c, request: json, response: json, query_params: [{{name: q, type: string}}], backend: {backend}}}]}}"
        );
        prim::read(&text).unwrap()
    }

    #[test]
    fn a_command_takes_values_of_the_request_and_no_program() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let document = document("{pattern: cli, command: [a]}");
        let route = &document.routes[0];
        let made = command(&document, route, &words("convert --id={id} {q} {body.text} { {}x")).map(|command| command.0);
        assert_eq!(made, Err("{} is no parameter of the path or the query, and no body.FIELD that the route takes".into()));
        let made = command(&document, route, &words("convert --id={id}! {q} {body.text} {")).unwrap().0;
        let values: Vec<_> = made.iter().map(|argument| argument.value.clone()).collect();
        let [path, query, body] = [Source::Path("id".into()), Source::Query("q".into()), Source::Body("text".into())];
        assert_eq!(values, [None, Some(path), Some(query), Some(body), None]);
        assert_eq!((made[1].before.as_str(), made[1].after.as_str()), ("--id=", "!"));
        assert!(command(&document, route, &words("{q} a")).is_err());
        assert!(command(&document, route, &words("a {q}{id}")).is_err());
    }

    #[test]
    fn who_is_not_there_is_not_asked() {
        let document = document("{pattern: rest-json, operation: GET /x}");
        let route = &document.routes[0];
        assert_eq!(asked(route, &[]), Err("no provider is active".into()));
        assert_eq!(outside(route.backend.as_ref()), Some(true));
    }
}
