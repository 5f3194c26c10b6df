//! The list of routes. It is read, computed anew and replaced as a whole, on the
//! condition that it is still the one that was read: Caddy looks a single entry up
//! before it locks the list, and would change its neighbour.

use async_trait::async_trait;
use reqwest::{
    Method, StatusCode,
    header::{ETAG, HeaderValue, IF_MATCH},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Caddy, http};
use crate::{
    api::conditions::Reason,
    ports::{
        edge::{Edge, Route, RouteRemoved, RouteSet},
        error::{Class, PortError},
    },
};

/// How often a change is tried anew when the list changed in between.
const TRIES: usize = 5;

#[async_trait]
impl Edge for Caddy {
    async fn hosts(&self) -> Result<Vec<String>, PortError> {
        let response = self.client.get(self.list.clone()).send().await.map_err(|e| http::no_answer(&self.server, e))?;
        if !response.status().is_success() {
            return Err(self.failure(response, |said| self.refused(said)).await);
        }
        let body = http::body(&self.server, response, http::MAX_BODY).await?;
        let list: Subroute = serde_json::from_slice(&body).map_err(|e| self.missing().because(e))?;
        Ok(list.routes.unwrap_or_default().iter().flat_map(hosts).map(str::to_owned).collect())
    }

    async fn routes(&self) -> Result<Vec<Route>, PortError> {
        Ok(self.read().await?.entries.iter().filter_map(understand).collect())
    }

    async fn set_route(&self, route: &Route) -> Result<RouteSet, PortError> {
        let wanted = entry(route);
        for _ in 0..TRIES {
            let mut list = self.read().await?;
            let taken = list.entries.iter().find(|e| id(e) != Some(&route.id) && hosts(e).any(|host| host == route.host.as_str()));
            if let Some(other) = taken {
                return Ok(RouteSet::HostTaken(id(other).unwrap_or("a route without an id").to_owned()));
            }
            let mut same = list.entries.iter_mut().filter(|e| id(e) == Some(&route.id));
            match (same.next(), same.next()) {
                (Some(there), None) if *there == wanted => return Ok(RouteSet::Unchanged),
                (Some(there), None) => *there = wanted.clone(),
                // Caddy takes two entries of one id, and then finds either.
                _ => {
                    list.entries.retain(|e| id(e) != Some(&route.id));
                    list.entries.push(wanted.clone());
                }
            }
            if self.replace(&list).await? {
                return Ok(RouteSet::Set);
            }
        }
        Err(self.overtaken())
    }

    async fn remove_route(&self, wanted: &str) -> Result<RouteRemoved, PortError> {
        for _ in 0..TRIES {
            let mut list = self.read().await?;
            let before = list.entries.len();
            list.entries.retain(|e| id(e) != Some(wanted));
            if list.entries.len() == before {
                return Ok(RouteRemoved::Absent);
            }
            if self.replace(&list).await? {
                return Ok(RouteRemoved::Removed);
            }
        }
        Err(self.overtaken())
    }
}

/// The list as it was read.
struct List {
    entries: Vec<Value>,
    /// It is null, which can only be replaced by another call.
    null: bool,
    etag: HeaderValue,
}

impl Caddy {
    fn entries_url(&self) -> reqwest::Url {
        let mut url = self.list.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("routes");
        }
        url
    }

    async fn read(&self) -> Result<List, PortError> {
        let response = self.client.get(self.entries_url()).send().await.map_err(|e| http::no_answer(&self.server, e))?;
        if !response.status().is_success() {
            return Err(self.failure(response, |said| self.refused(said)).await);
        }
        let early = response.headers().get(ETAG).cloned();
        // Caddy knows the list's Etag only after it has written it: a trailer.
        let body = http::limited(&self.server, response, http::MAX_BODY).await?;
        let etag = early.or_else(|| body.trailers()?.get(ETAG).cloned());
        let entries: Option<Vec<Value>> = serde_json::from_slice(&body.to_bytes()).map_err(|e| self.missing().because(e))?;
        let etag = etag.ok_or_else(|| {
            let problem = format!(
                "{} does not tell the Etag of its routes, so they can't be changed safely; is it a Caddy 2.6 or later?",
                self.server
            );
            PortError::new(Class::Bug, Reason::UnexpectedAnswer, problem)
        })?;
        Ok(List { null: entries.is_none(), entries: entries.unwrap_or_default(), etag })
    }

    /// Replaces the list. False when it is no more the one that was read.
    async fn replace(&self, list: &List) -> Result<bool, PortError> {
        let method = if list.null { Method::PUT } else { Method::PATCH };
        let request = self.client.request(method, self.entries_url()).header(IF_MATCH, list.etag.clone()).json(&list.entries);
        let response = request.send().await.map_err(|e| http::no_answer(&self.server, e))?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::PRECONDITION_FAILED => Ok(false),
            _ => Err(self.failure(response, |said| self.refused(said)).await),
        }
    }

    fn refused(&self, said: &str) -> PortError {
        PortError::new(Class::Invalid, Reason::Invalid, format!("{} can't load the routes: {said}", self.server))
    }

    fn overtaken(&self) -> PortError {
        PortError::new(
            Class::Conflict,
            Reason::Conflict,
            format!("the routes at {} changed {TRIES} times while one was being set: see who else writes them", self.server),
        )
    }
}

fn entry(route: &Route) -> Value {
    json!({
        "@id": route.id,
        "match": [{ "host": [route.host.as_str()] }],
        "handle": [{ "handler": "reverse_proxy", "upstreams": [{ "dial": route.upstream.to_string() }] }],
        "terminal": true,
    })
}

fn understand(value: &Value) -> Option<Route> {
    let route = Route {
        id: id(value)?.to_owned(),
        host: hosts(value).next()?.parse().ok()?,
        upstream: value.pointer("/handle/0/upstreams/0/dial")?.as_str()?.parse().ok()?,
    };
    (entry(&route) == *value).then_some(route)
}

fn id(entry: &Value) -> Option<&str> {
    entry.get("@id")?.as_str()
}

fn hosts(entry: &Value) -> impl Iterator<Item = &str> {
    let matchers = entry.get("match").and_then(Value::as_array).into_iter().flatten();
    matchers.filter_map(|matcher| matcher.get("host")?.as_array()).flatten().filter_map(Value::as_str)
}

#[derive(Deserialize)]
struct Subroute {
    routes: Option<Vec<Value>>,
}
