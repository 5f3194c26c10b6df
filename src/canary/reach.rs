//! Which requests a model may make: to the services under test and nobody else.
//! A URL is read once, by the parser that sends it, and what is sent is put
//! together anew from the service's own address and the path that was read.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::limits::MOST_BODY;

/// Longest URL.
const LONGEST_URL: usize = 2000;
/// Most headers, and the longest name and value of one.
const MOST_HEADERS: usize = 20;
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 1024;
/// Methods that a model may use.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// Headers that say to whom a request goes, how it is framed, for whom it speaks or
/// what was paid: those are ours.
const OURS: [&str; 20] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
    "via",
    "forwarded",
    "cookie",
    "origin",
    "referer",
    "payment-signature",
    "payment-required",
    "payment-response",
    "x-payment",
    "x-payment-response",
    "x-payment-required",
];
/// What the names of others of them begin with.
const OUR_PREFIXES: [&str; 6] = ["proxy-", "x-forwarded-", "x-real-", "x-original-", "x-http-method", "sec-"];

/// The services that a model may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    origins: Vec<Url>,
}

/// A request that a model may make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Method, in capitals.
    pub method: String,
    /// Which service: its place in [`Reach::origins`].
    pub service: usize,
    /// Path and query, encoded. It begins with a slash.
    pub target: String,
    /// Headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body; its media type is among the headers.
    pub body: Option<String>,
}

impl Reach {
    /// The services at these URLs, each told once.
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a Url>) -> Self {
        let mut origins: Vec<Url> = Vec::new();
        for url in urls {
            let mut origin = url.clone();
            origin.set_path("/");
            origin.set_query(None);
            origin.set_fragment(None);
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        Self { origins }
    }

    /// Scheme, host and port of each service.
    pub fn origins(&self) -> &[Url] {
        &self.origins
    }

    /// The URL of a request, as the model writes it.
    pub fn url(&self, request: &Request) -> String {
        let origin = self.origins.get(request.service).map(Url::as_str).unwrap_or_default();
        format!("{}{}", origin.trim_end_matches('/'), request.target)
    }

    /// The request that a tool's arguments ask for; else what to tell the model.
    pub fn request(&self, arguments: &Value) -> Result<Request, String> {
        let method = arguments["method"].as_str().unwrap_or_default().to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            return Err(format!("method: must be one of {}", METHODS.join(", ")));
        }
        let (service, target) = self.target(arguments["url"].as_str().ok_or("url: must be a text")?)?;
        let mut headers = headers(&arguments["headers"])?;
        let body = match &arguments["body"] {
            Value::Null => None,
            Value::String(text) => {
                // Models write JSON as a text as often as as an object.
                let json = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object() || value.is_array());
                headers.entry("content-type".into()).or_insert_with(|| if json { "application/json" } else { "text/plain" }.into());
                Some(text.clone())
            }
            other => {
                headers.entry("content-type".into()).or_insert_with(|| "application/json".into());
                Some(other.to_string())
            }
        };
        if body.as_ref().is_some_and(|body| body.len() > MOST_BODY) {
            return Err(format!("body: has more than {MOST_BODY} bytes"));
        }
        if body.is_some() && matches!(method.as_str(), "GET" | "HEAD") {
            return Err(format!("body: {method} has none"));
        }
        Ok(Request { method, service, target, headers, body })
    }

    /// The service that a URL names, and the path and query it is asked for.
    fn target(&self, text: &str) -> Result<(usize, String), String> {
        if text.len() > LONGEST_URL {
            return Err(format!("url: has more than {LONGEST_URL} bytes"));
        }
        // Parsers drop or turn these, each in its own way.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("url: has a character that can't stand in one; encode it".into());
        }
        let whole = match (text.strip_prefix('/'), self.origins.as_slice()) {
            (Some(rest), [only]) if !rest.starts_with('/') => format!("{only}{rest}"),
            _ => text.to_owned(),
        };
        let url: Url = whole.parse().map_err(|e| format!("url: {e}; give a whole one, such as {}", self.example()))?;
        if !url.username().is_empty() || url.password().is_some() || authority(&whole).contains('@') {
            return Err("url: names a user; leave that out".into());
        }
        let same = |origin: &Url| {
            origin.scheme() == url.scheme()
                && origin.host_str() == url.host_str()
                && origin.port_or_known_default() == url.port_or_known_default()
        };
        let service = self.origins.iter().position(same).ok_or_else(|| self.elsewhere())?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok((service, format!("{}{query}", url.path())))
    }

    fn elsewhere(&self) -> String {
        let list = self.origins.iter().map(|origin| origin.as_str().trim_end_matches('/')).collect::<Vec<_>>().join(", ");
        format!("url: only the service under test can be reached: {list}. Nothing was sent.")
    }

    fn example(&self) -> String {
        self.origins.first().map(|origin| format!("{origin}v1/…")).unwrap_or_default()
    }
}

/// What stands between `//` and the next slash.
fn authority(url: &str) -> &str {
    let rest = url.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn headers(given: &Value) -> Result<BTreeMap<String, String>, String> {
    let given = match given {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(given) => given,
        _ => return Err("headers: must be an object of texts".into()),
    };
    if given.len() > MOST_HEADERS {
        return Err(format!("headers: are more than {MOST_HEADERS}"));
    }
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        let name = name.to_ascii_lowercase();
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(token) {
            return Err("headers: a name is none".into());
        }
        if OURS.contains(&name.as_str()) || OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(format!("headers.{name}: can't be set here; payments are made for you. Nothing was sent."));
        }
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return Err(format!("headers.{name}: must be a text")),
        };
        if value.len() > LONGEST_VALUE || !value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Err(format!("headers.{name}: must be visible ASCII, {LONGEST_VALUE} bytes at most"));
        }
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reach() -> Reach {
        Reach::new([&"https://lookup.prim.sh/v1/x?y#z".parse().unwrap(), &"https://lookup.prim.sh".parse().unwrap()])
    }

    fn asked(url: &str) -> Result<Request, String> {
        reach().request(&json!({"method": "get", "url": url}))
    }

    #[test]
    fn the_service_is_reached_however_its_url_is_written() {
        for (url, target) in [
            ("https://lookup.prim.sh", "/"),
            ("https://LOOKUP.prim.sh:443/v1/words/a%20b/nearby?limit=3#top", "/v1/words/a%20b/nearby?limit=3"),
            ("/v1/lookup", "/v1/lookup"),
            ("https://lookup.prim.sh/v1/../v2//x", "/v2//x"),
            ("https://lookup.prim.sh//evil.example/x", "//evil.example/x"),
        ] {
            let request = asked(url).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!((request.method.as_str(), request.service, request.target.as_str()), ("GET", 0, target), "{url}");
        }
        assert_eq!(reach().url(&asked("/v1/x?a=b").unwrap()), "https://lookup.prim.sh/v1/x?a=b");
    }

    #[test]
    fn nobody_else_is_reached_however_it_is_written() {
        for url in [
            "http://lookup.prim.sh/",
            "https://lookup.prim.sh:8443/",
            "https://lookup.prim.sh./",
            "https://lookup.prim.sh.evil.example/",
            "https://evil.example/lookup.prim.sh",
            "https://lookup.prim.sh@evil.example/",
            "https://evil.example#@lookup.prim.sh/",
            "https://evil.example\\@lookup.prim.sh/",
            "https://me@lookup.prim.sh/",
            "https://:pass@lookup.prim.sh/",
            "https://@lookup.prim.sh/",
            "//evil.example/",
            "/\\evil.example/",
            "///evil.example",
            "https:evil.example/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://lookup.prim.sh\t.evil.example/",
            "https://lookup.prim.sh /",
            "https://lookup.prim.sh\n/",
            "https://lооkup.prim.sh/",
            "https://xn--lkup-55da.prim.sh/",
            "https://sub.lookup.prim.sh/",
            "ftp://lookup.prim.sh/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "javascript:alert(1)",
            "unix:/run/x.sock",
            "v1/lookup",
            "",
        ] {
            assert!(asked(url).is_err(), "{url:?} was let through: {:?}", asked(url));
        }
        assert!(asked(&format!("https://lookup.prim.sh/{}", "x".repeat(3000))).is_err());
    }

    #[test]
    fn a_path_alone_needs_one_service() {
        let two = Reach::new([&"https://a.prim.sh".parse().unwrap(), &"https://b.prim.sh".parse().unwrap()]);
        assert!(two.request(&json!({"method": "GET", "url": "/v1/x"})).is_err());
        assert_eq!(two.request(&json!({"method": "GET", "url": "https://b.prim.sh/v1/x"})).unwrap().service, 1);
    }

    #[test]
    fn headers_that_are_ours_can_not_be_set() {
        let with = |name: &str, value: Value| reach().request(&json!({"method": "GET", "url": "/", "headers": {name: value}}));
        for name in [
            "Host",
            "hOsT",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Upgrade",
            "Proxy-Authorization",
            "Proxy-Connection",
            "X-Forwarded-Host",
            "X-Forwarded-For",
            "X-Real-IP",
            "Forwarded",
            "X-Original-URL",
            "X-HTTP-Method-Override",
            "PAYMENT-SIGNATURE",
            "X-PAYMENT",
            "Cookie",
            "Sec-Fetch-Site",
            "",
            "a b",
            "a:b",
            "a\r\nhost",
            ":authority",
            "naïve",
        ] {
            assert!(with(name, json!("x")).is_err(), "{name:?}");
        }
        for value in [json!("a\r\nHost: evil"), json!("a\0"), json!("é"), json!(["x"]), json!(null), json!("x".repeat(5000))] {
            assert!(with("x-note", value.clone()).is_err(), "{value}");
        }
        assert_eq!(with("X-Request-Id", json!(7)).unwrap().headers["x-request-id"], "7");
        let many: serde_json::Map<_, _> = (0..50).map(|i| (format!("x-{i}"), json!("y"))).collect();
        assert!(reach().request(&json!({"method": "GET", "url": "/", "headers": many})).is_err());
    }

    #[test]
    fn a_body_has_a_media_type_and_an_end() {
        let post = |body: Value| reach().request(&json!({"method": "POST", "url": "/v1/x", "body": body}));
        for (body, sent, kind) in [
            (json!({"a": 1}), "{\"a\":1}", "application/json"),
            (json!("{\"a\": 1}"), "{\"a\": 1}", "application/json"),
            (json!("hello"), "hello", "text/plain"),
            (json!([1]), "[1]", "application/json"),
        ] {
            let request = post(body).unwrap();
            assert_eq!((request.body.as_deref(), request.headers["content-type"].as_str()), (Some(sent), kind));
        }
        assert!(post(json!("x".repeat(MOST_BODY + 1))).is_err());
        assert!(reach().request(&json!({"method": "GET", "url": "/", "body": "x"})).is_err());
        for method in ["CONNECT", "TRACE", "OPTIONS", "", "GET /", "G\r\nET"] {
            assert!(reach().request(&json!({"method": method, "url": "/"})).is_err(), "{method:?}");
        }
        for odd in [json!(null), json!([]), json!("x"), json!({}), json!({"method": 1, "url": 2})] {
            assert!(reach().request(&odd).is_err(), "{odd}");
        }
    }
}
