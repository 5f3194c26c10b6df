//! The idea of a Primitive: what was asked for it, and who can be asked.

use std::{sync::Arc, time::Duration};

use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::{
    super::{
        connections,
        context::Context,
        ideas::{Author, Of},
    },
    again, package,
};
use crate::{
    api::{
        conditions::Reason,
        factory::Factory,
        primitive::{Document, Primitive},
    },
    decide::primitive::{Asked, Base, IdeaSeen, ModelSeen, Package, Seen},
    ports::error::{Class, PortError},
    prim::Price,
};

/// Hash of an idea's text.
fn hash(idea: &str) -> String {
    Sha256::digest(idea).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The idea as far as its own object and this process know it; none where the spec
/// has none. A conversation that nobody needs any more is given up.
pub(super) fn see(object: &Primitive, cx: &Context) -> Option<IdeaSeen> {
    let status = object.status.as_ref();
    let hash = object.spec.idea.as_deref().map(hash);
    let noted = status.and_then(|status| status.idea.as_ref());
    let written = status.is_some_and(|status| status.document.is_some());
    let settled = written && noted.is_some_and(|noted| Some(&noted.hash) == hash.as_ref());
    let wanted = hash.as_deref().filter(|_| !settled && object.metadata.deletion_timestamp.is_none());
    let asked = cx.ideas.look(&of(object), wanted);
    Some(IdeaSeen {
        hash: hash?,
        model: Err(PortError::new(Class::Waiting, Reason::NotChecked, "nobody was looked for to ask")),
        asked,
        fresh: noted.is_none() && status.is_none_or(|status| status.proposed_hash.is_none()),
        there: None,
    })
}

/// Which object a conversation is about.
fn of(object: &Primitive) -> Of {
    (object.namespace().unwrap_or_default(), object.name_any(), object.uid().unwrap_or_default())
}

/// The document that is proposed: the spec's, or the one that was written for its
/// idea; with where it stands.
pub(super) fn document<'a>(object: &'a Primitive, idea: Option<&IdeaSeen>) -> Result<(&'static str, &'a Document), PortError> {
    let Some(idea) = idea else {
        let given = object.spec.document.as_ref().ok_or_else(|| PortError::invalid("spec.document", "is missing, and so is spec.idea"))?;
        return Ok(("spec.document", given));
    };
    let status = object.status.as_ref();
    let about = status.and_then(|status| status.idea.as_ref()).is_some_and(|noted| noted.hash == idea.hash);
    let written = status.and_then(|status| status.document.as_ref()).filter(|_| about);
    let waiting = || PortError::new(Class::Waiting, Reason::Asking, "spec.idea has no document yet");
    written.map(|document| ("status.document", document)).ok_or_else(waiting)
}

/// Looks for who can be asked, where somebody is to be.
pub(super) async fn reach(object: &Primitive, seen: &mut Seen, factory: &Factory, cx: &Context) -> Option<Author> {
    let (Some(idea), Err(_)) = (&mut seen.idea, &seen.document) else { return None };
    if let (true, Ok(Base { package: Some(Package { content: Ok(content), .. }), .. })) = (idea.fresh, &seen.base) {
        let there = package::document(&content.files, &factory.spec.prices);
        idea.there = there.ok().and_then(|(document, _)| serde_json::from_value(document.given().clone()).ok());
    }
    if seen.deleting || matches!(idea.asked, Asked::Queued | Asked::Going) {
        return None;
    }
    match author(object, factory, cx).await {
        Ok(author) => {
            idea.model = Ok(author.seen.clone());
            Some(author)
        }
        Err(error) => {
            idea.model = Err(again(&error));
            None
        }
    }
}

async fn author(object: &Primitive, factory: &Factory, cx: &Context) -> Result<Author, PortError> {
    let name = factory.name_any();
    let spec = factory.spec.model.as_ref().ok_or_else(|| {
        let what = format!("Factory {name} names no model in its spec.model: name one there, or write spec.document");
        PortError::invalid("spec.idea", what)
    })?;
    let connection = connections::model(factory, spec, cx).await.map_err(|error| connections::of_factory(factory, &error))?;
    let seen = ModelSeen {
        name: spec.name.clone(),
        account: format!("{} of {}", spec.name, connection.account()),
        rounds: spec.max_rounds.unsigned_abs(),
        input_price: price("inputPrice", spec.input_price.as_deref())?,
        output_price: price("outputPrice", spec.output_price.as_deref())?,
    };
    let model = connection.ask(cx, |model| async move { Ok(model) }).await.map_err(|error| connections::of_factory(factory, &error))?;
    let for_whom = factory.clone();
    Ok(Author {
        model,
        seen,
        timeout: Duration::from_secs(spec.timeout_seconds.unsigned_abs().into()),
        idea: object.spec.idea.clone().unwrap_or_default(),
        id: object.name_any(),
        judge: Arc::new(move |document| match serde_json::from_value(document.given().clone()) {
            Ok(given) => package::wanted("the document", &given, Some(&for_whom)).err().map(|error| error.message).into_iter().collect(),
            Err(error) => vec![error.to_string()],
        }),
    })
}

fn price(field: &str, text: Option<&str>) -> Result<Option<u64>, PortError> {
    let parsed = text.map(str::parse::<Price>).transpose();
    parsed.map(|price| price.map(Price::micros)).map_err(|error| PortError::invalid(&format!("spec.model.{field}"), error))
}
