//! Which command of a service's command line makes a request, and with what words.
//! Pure, and of the document alone: the sandbox is not asked.

use url::{Url, form_urlencoded};

use super::plan::{Command, Request};
use crate::{runner::http::Call, suite::Answer};

/// The header that the command line's `--payment` sets.
pub const PAYMENT: &str = "payment-signature";
const KIND: &str = "content-type";
/// Longest word: the system's own limit is 128 KiB.
const LONGEST: usize = 96 * 1024;

/// A request as a command makes it.
pub struct Made {
    /// The command's name, and the words after it.
    pub words: Vec<String>,
    /// The request, with the media type that the command says it has.
    pub call: Call,
}

/// How a command makes a request. None where no command makes it: such as HEAD, a path
/// that is no route, or a header of its own.
pub fn made(commands: &[Command], call: &Call) -> Option<Made> {
    let fitting = commands.iter().filter_map(|command| Some((&command.request, words_of(command, call)?)));
    // As a service would choose among its routes.
    let (request, words) = fitting.max_by_key(|(request, _)| literals(request))?;
    let mut call = call.clone();
    for (_, kind) in call.headers.iter_mut().filter(|(name, _)| name == KIND) {
        *kind = media(request).into();
    }
    Some(Made { words, call })
}

/// The media type that a command says its body has.
fn media(request: &Request) -> &'static str {
    if request.body.as_deref() == Some("json") { "application/json" } else { "application/octet-stream" }
}

fn words_of(command: &Command, call: &Call) -> Option<Vec<String>> {
    if command.request.method != call.method {
        return None;
    }
    let mut options = path(&command.request, &call.url)?;
    for (name, value) in call.url.query_pairs() {
        let request = &command.request;
        let option = request.query.iter().find(|option| *request.names.get(*option).unwrap_or(option) == name)?;
        if options.iter().any(|(known, _)| known == option) {
            return None;
        }
        options.push((option.clone(), value.into_owned()));
    }
    if let Some(body) = &call.body {
        let text = std::str::from_utf8(body).ok()?;
        // A parameter of that name has the option.
        if options.iter().any(|(known, _)| known == "body") {
            return None;
        }
        // These would be read from elsewhere.
        if text.starts_with('@') || text == "-" {
            return None;
        }
        options.push(("body".into(), text.into()));
    }
    for (name, value) in &call.headers {
        // To whoever takes any bytes a text is some.
        let bytes = command.request.body.as_deref() == Some("bytes") && value == "text/plain";
        match name.as_str() {
            KIND if call.body.is_some() && (bytes || value == media(&command.request)) => {}
            PAYMENT if !command.parameters.properties.contains_key("payment") => options.push(("payment".into(), value.clone())),
            _ => return None,
        }
    }
    let has = |name: &String| options.iter().any(|(known, _)| known == name);
    let sound = |text: &str| text.len() <= LONGEST && !text.contains('\0');
    let known = |name: &str| name == "payment" || command.parameters.properties.contains_key(name);
    if !command.parameters.required.iter().all(has) || !options.iter().all(|(name, value)| known(name) && sound(value)) {
        return None;
    }
    let words = options.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]);
    Some(std::iter::once(command.name.clone()).chain(words).collect())
}

fn segments(request: &Request) -> impl Iterator<Item = &str> {
    let path = request.url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    path.split('/')
}

fn param(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn literals(request: &Request) -> usize {
    segments(request).filter(|segment| param(segment).is_none()).count()
}

/// The parameters of a path; none where it is another route's.
fn path(request: &Request, url: &Url) -> Option<Vec<(String, String)>> {
    let mut given = url.path_segments()?;
    let mut found = Vec::new();
    for segment in segments(request) {
        let Some(name) = param(segment) else {
            if given.next()? != segment {
                return None;
            }
            continue;
        };
        let value = if request.rest.as_deref() == Some(name) {
            let rest: Option<Vec<_>> = given.by_ref().map(part).collect();
            rest.filter(|rest| !rest.is_empty())?.join("/")
        } else {
            // A slash would be the next segment.
            part(given.next()?).filter(|value| !value.contains('/'))?
        };
        found.push((name.to_owned(), value));
    }
    given.next().is_none().then_some(found)
}

/// A segment as its value; none where the command line refuses it.
fn part(segment: &str) -> Option<String> {
    // As a form, but for its plus signs.
    let form = format!("x={}", segment.replace('+', "%2B").replace('&', "%26"));
    let (_, value) = form_urlencoded::parse(form.as_bytes()).next()?;
    (!["", ".", ".."].contains(&&*value) && !value.contains('\u{fffd}')).then(|| value.into_owned())
}

/// What of a request that a command makes a service goes by, however it is written.
pub struct Asked {
    method: String,
    /// Decoded.
    path: Vec<String>,
    /// In order of their names, which is not the order that they are written in.
    query: Vec<(String, String)>,
    body: Vec<u8>,
    kind: Option<String>,
    payment: Option<String>,
}

impl Asked {
    /// Of these parts; the headers' names are in lower case.
    pub fn new(method: &str, url: &Url, headers: &[(String, String)], body: &[u8]) -> Self {
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let decoded = |segment: &str| part(segment).unwrap_or_else(|| segment.into());
        let mut query: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        query.sort();
        Self {
            method: method.into(),
            path: url.path_segments().into_iter().flatten().map(decoded).collect(),
            query,
            body: body.to_vec(),
            kind: header(KIND),
            payment: header(PAYMENT),
        }
    }

    /// Which part of it is another, if one is; never what it is.
    pub fn differs(&self, ordered: &Self) -> Option<&'static str> {
        let same = [
            ("method", self.method == ordered.method),
            ("path", self.path == ordered.path),
            ("query", self.query == ordered.query),
            ("body", self.body == ordered.body),
            ("content-type", self.kind == ordered.kind),
            ("payment", self.payment == ordered.payment),
        ];
        same.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
    }
}

/// What a command came to, as far as the command line promises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed<'a> {
    /// Exit code; none where it was ended.
    pub code: Option<i32>,
    /// The beginning of its standard output.
    pub stdout: &'a str,
    /// The beginning of its standard error.
    pub stderr: &'a str,
}

/// Whether a command said what the service answered; else what it did. `most` is how
/// many bytes of a stream are kept.
pub fn promised(answer: &Answer, terms: Option<&[u8]>, printed: &Printed<'_>, most: usize) -> Result<(), String> {
    let (code, stream, text, wanted) = match answer.status {
        200..300 => (0, "standard output", printed.stdout, answer.body.as_slice()),
        402 => (4, "standard error", printed.stderr, terms.unwrap_or(&answer.body)),
        _ => (1, "standard error", printed.stderr, answer.body.as_slice()),
    };
    if printed.code != Some(code) {
        let found = printed.code.map_or_else(|| "is ended by a signal".into(), |code| format!("ends with {code}"));
        return Err(format!("the service answers {}, for which the command is to end with {code}, and it {found}", answer.status));
    }
    // Where it was cut, this is cut alike.
    let wanted = String::from_utf8_lossy(wanted.get(..most).unwrap_or(wanted));
    if answer.cut.is_none() && text != wanted {
        return Err(format!("the command's {stream} is not what the service answered"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn commands() -> Vec<Command> {
        let command = |name: &str, method: &str, path: &str, more: serde_json::Value| -> Command {
            let mut value = json!({
                "name": name, "request": { "method": method, "url": format!("https://notes.prim.sh{path}"), "query": [], "names": {}, "body": null },
                "parameters": { "properties": {}, "required": [] },
            });
            for (at, part) in more.as_object().unwrap() {
                *value.pointer_mut(at).unwrap() = part.clone();
            }
            serde_json::from_value(value).unwrap()
        };
        let any = |names: &[&str]| json!(names.iter().map(|name| ((*name).to_owned(), json!({}))).collect::<serde_json::Map<_, _>>());
        let mut files = command("get-file", "GET", "/v1/files/{path}", json!({"/parameters/properties": any(&["path"])}));
        files.request.rest = Some("path".into());
        vec![
            command("list", "GET", "/v1/notes", json!({"/request/query": ["limit"], "/parameters/properties": any(&["limit"])})),
            command("get", "GET", "/v1/notes/{id}", json!({"/parameters/properties": any(&["id"]), "/parameters/required": ["id"]})),
            command("latest", "GET", "/v1/notes/latest", json!({})),
            command(
                "make",
                "POST",
                "/v1/notes",
                json!({"/request/body": "json", "/parameters/properties": any(&["body"]), "/parameters/required": ["body"]}),
            ),
            command("put", "PUT", "/v1/blob", json!({"/request/body": "bytes", "/parameters/properties": any(&["body"])})),
            files,
            command(
                "sign",
                "POST",
                "/v1/signs/{path_body}",
                json!({
                    "/request/body": "json", "/request/query": ["query_body"], "/request/names": {"query_body": "body"},
                    "/parameters/properties": any(&["body", "path_body", "query_body"]),
                }),
            ),
            command("mark", "POST", "/v1/marks/{body}", json!({"/request/body": "json", "/parameters/properties": any(&["body"])})),
        ]
    }

    fn call(method: &str, target: &str, headers: &[(&str, &str)], body: Option<&str>) -> Call {
        Call {
            service: "notes.sh".into(),
            method: method.into(),
            url: format!("https://notes.prim.sh{target}").parse().unwrap(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: body.map(|body| body.as_bytes().to_vec()),
            follow: false,
            test: None,
        }
    }

    #[test]
    fn a_request_is_made_by_the_command_of_its_route() {
        let json = [("content-type", "application/json")];
        let paid = [("content-type", "application/json"), ("payment-signature", "e30=")];
        for (call, expected) in [
            (call("GET", "/v1/notes", &[], None), vec!["list"]),
            (call("GET", "/v1/notes?limit=3+%26", &[], None), vec!["list", "--limit", "3 &"]),
            (call("GET", "/v1/notes/a%20b+c%2Bd%26", &[], None), vec!["get", "--id", "a b+c+d&"]),
            (call("GET", "/v1/notes/--help", &[], None), vec!["get", "--id", "--help"]),
            (call("GET", "/v1/notes/latest", &[], None), vec!["latest"]),
            (call("GET", "/v1/files/a/b%20c", &[], None), vec!["get-file", "--path", "a/b c"]),
            (call("POST", "/v1/notes", &json, Some("{}")), vec!["make", "--body", "{}"]),
            (call("POST", "/v1/signs/a?body=b", &json, Some("{}")), vec!["sign", "--path_body", "a", "--query_body", "b", "--body", "{}"]),
            (call("POST", "/v1/notes", &paid, Some("{}")), vec!["make", "--body", "{}", "--payment", "e30="]),
        ] {
            let words = made(&commands(), &call).map(|made| made.words);
            assert_eq!(words.unwrap_or_default(), expected, "{} {}", call.method, call.url);
        }
    }

    #[test]
    fn a_text_is_bytes_to_whoever_takes_any() {
        let made = made(&commands(), &call("PUT", "/v1/blob", &[("content-type", "text/plain")], Some("x"))).unwrap();
        assert_eq!(made.words, ["put", "--body", "x"]);
        assert_eq!(made.call.headers, [("content-type".to_owned(), "application/octet-stream".to_owned())]);
    }

    #[test]
    fn what_no_command_makes_is_left() {
        let json = [("content-type", "application/json")];
        for call in [
            call("HEAD", "/v1/notes", &[], None),
            call("GET", "/", &[], None),
            call("GET", "/v1/none", &[], None),
            call("GET", "/v1/notes/", &[], None),
            call("GET", "/v1/notes/a/b", &[], None),
            call("GET", "/v1/notes/a%2Fb", &[], None),
            call("GET", "/v1/notes/%2e%2e", &[], None),
            call("GET", "/v1/notes/%FF", &[], None),
            call("GET", "/v1/notes/a%00", &[], None),
            call("GET", "/v1/notes?limit=1&limit=2", &[], None),
            call("GET", "/v1/notes?other=1", &[], None),
            call("GET", "/v1/notes", &[("x-key", "k")], None),
            call("POST", "/v1/notes", &[], None),
            call("POST", "/v1/notes", &[("content-type", "text/plain")], Some("{}")),
            call("POST", "/v1/notes", &json, Some("@/etc/passwd")),
            call("POST", "/v1/notes", &json, Some("-")),
            call("POST", "/v1/marks/m1", &json, Some("{}")),
            call("POST", "/v1/signs/a?query_body=b", &json, Some("{}")),
            call("POST", "/v1/signs/a?body=b&body=c", &json, Some("{}")),
            call("POST", "/v1/notes", &json, Some(&"x".repeat(LONGEST + 1))),
            call("POST", "/v1/notes", &[("content-type", "application/json"), ("x-payment", "e30=")], Some("{}")),
        ] {
            assert!(made(&commands(), &call).is_none(), "{} {}", call.method, call.url);
        }
    }

    #[test]
    fn a_command_says_what_was_answered() {
        let answer = |status: u16, body: &str| Answer { status, body: body.into(), ..Answer::default() };
        let printed = |code: Option<i32>, stdout: &'static str, stderr: &'static str| Printed { code, stdout, stderr };
        for (answer, terms, printed, holds) in [
            (answer(200, "ok"), None, printed(Some(0), "ok", ""), true),
            (answer(204, ""), None, printed(Some(0), "", "a warning"), true),
            (answer(200, "longer than kept"), None, printed(Some(0), "longer t", ""), true),
            (answer(200, "ok"), None, printed(Some(1), "ok", ""), false),
            (answer(200, "ok"), None, printed(None, "ok", ""), false),
            (answer(200, "ok"), None, printed(Some(0), "other", ""), false),
            (answer(200, "ok"), None, printed(Some(0), "", "ok"), false),
            (answer(404, "no"), None, printed(Some(1), "", "no"), true),
            (answer(404, "no"), None, printed(Some(0), "no", ""), false),
            (answer(302, ""), None, printed(Some(1), "", ""), true),
            (answer(402, "pay"), Some(&b"terms"[..]), printed(Some(4), "", "terms"), true),
            (answer(402, "pay"), Some(&b"terms"[..]), printed(Some(4), "", "pay"), false),
            (answer(402, "pay"), None, printed(Some(1), "", "pay"), false),
        ] {
            assert_eq!(promised(&answer, terms, &printed, 8).is_ok(), holds, "{answer:?} {printed:?}");
        }
    }

    #[test]
    fn two_ways_to_write_a_request_are_one() {
        let of = |url: &str, body: &str| {
            let kind = [("content-type".to_owned(), "application/json".to_owned())];
            Asked::new("GET", &format!("https://notes.prim.sh{url}").parse().unwrap(), &kind, body.as_bytes())
        };
        let ordered = of("/v1/a+b?q=x+y", "{}");
        assert_eq!(of("/v1/a%2Bb?q=x%20y", "{}").differs(&ordered), None);
        assert_eq!(of("/v1/a?q=1&limit=2", "").differs(&of("/v1/a?limit=2&q=1", "")), None);
        for (url, body, what) in [
            ("/v1/a+c?q=x+y", "{}", "path"),
            ("/v1/a+b/?q=x+y", "{}", "path"),
            ("/v1/a+b?q=x", "{}", "query"),
            ("/v1/a+b?q=x+y", "", "body"),
        ] {
            assert_eq!(of(url, body).differs(&ordered), Some(what), "{url}");
        }
    }
}
