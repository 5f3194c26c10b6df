//! An idea instead of a document: the Factory's model is asked once for it, in some
//! rounds, and what it wrote is the document from then on. What was used of the model
//! is in the status before it is asked anew, so that a crash costs one call at most.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    draft::{Draft, Hold},
    naming,
    seen::{Asked, Base, IdeaSeen, ModelSeen, Told},
};
use crate::{
    api::{
        conditions::{ConditionType, Reason},
        primitive::IdeaStatus,
    },
    decide::{
        Action, Question, retry,
        waits::{HELD, POLL, SOON, age},
    },
    ports::error::{Class, PortError},
};

const KIND: ConditionType = ConditionType::DocumentWritten;

/// What is to be said of the idea, and asked for it.
pub(super) fn judge(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let Some(idea) = &seen.idea else {
        (draft.status.idea, draft.status.document) = (None, None);
        return;
    };
    let known = seen.previous.idea.as_ref().filter(|known| known.hash == idea.hash);
    if let (Some(known), Some(_)) = (known, &seen.previous.document) {
        let message = match known.rounds {
            0 => Cow::from("the base branch had the package before the idea was looked at: its document is taken"),
            1 => "the model wrote it in 1 round".into(),
            rounds => format!("the model wrote it in {rounds} rounds").into(),
        };
        return draft.good(KIND, Reason::Verified, message);
    }
    draft.status.document = None;
    let new = || IdeaStatus {
        hash: idea.hash.clone(),
        since: Time(draft.now.at),
        rounds: 0,
        input_tokens: 0,
        output_tokens: 0,
        cost_usd: None,
        problems: Vec::new(),
    };
    let status = draft.status.idea.take_if(|known| known.hash == idea.hash).unwrap_or_else(new);
    if let (Some(document), true) = (&idea.there, known.is_none()) {
        (draft.status.idea, draft.status.document) = (Some(status), Some(document.clone()));
        return proposed_next(draft, "the base branch has the package: its document is taken");
    }
    match &idea.asked {
        Asked::Ended(told) => ended(draft, idea, told, status),
        Asked::Queued | Asked::Going if known.is_some() => {
            let model = name(idea);
            let (reason, message) = match idea.asked {
                Asked::Queued => (Reason::Queued, format!("{model} is asked for the document as soon as it has answered others")),
                _ => (Reason::Asking, format!("{model} is asked for the document")),
            };
            draft.status.idea = Some(status);
            draft.bad(KIND, Hold::going(reason, message, POLL));
        }
        Asked::Nothing | Asked::Queued | Asked::Going => begin(draft, idea, status),
    }
}

fn name(idea: &IdeaSeen) -> String {
    idea.model.as_ref().map_or_else(|_| "the model".into(), |model| format!("model {}", model.name))
}

/// A conversation came to its end: what it took is written down, whatever it was.
fn ended(draft: &mut Draft<'_>, idea: &IdeaSeen, told: &Told, mut status: IdeaStatus) {
    take_over(&mut status, told);
    if let Some(document) = &told.document {
        (draft.status.idea, draft.status.document) = (Some(status), Some(document.clone()));
        return proposed_next(draft, "the model wrote it");
    }
    let Some(failed) = &told.failed else { return begin(draft, idea, status) };
    let class = failed.class;
    // Whoever gives it another key, or another model, need not wait.
    let other = idea.model.as_ref().is_ok_and(|model| model.account != told.model.account);
    let wait = retry::delay(class, Some(status.since.0), draft.now.at).saturating_sub(age(Some(told.at), draft.now.at));
    if wait.is_zero() || other {
        return begin(draft, idea, status);
    }
    draft.status.idea = Some(status);
    if retry::stalls(class) {
        draft.bad(KIND, Hold::stalled(failed.reason, failed.message.clone(), wait.min(HELD)));
    } else {
        draft.bad(KIND, Hold::going(failed.reason, failed.message.clone(), wait));
    }
}

fn take_over(status: &mut IdeaStatus, told: &Told) {
    (status.rounds, status.input_tokens, status.output_tokens) = (told.rounds, told.input_tokens, told.output_tokens);
    status.problems.clone_from(&told.problems);
    status.cost_usd = cost(&told.model, told.input_tokens, told.output_tokens);
}

/// Notes what came of a conversation that went on when the object was paused: the next
/// process would not know it.
pub(super) fn keep(draft: &mut Draft<'_>) {
    let Some(IdeaSeen { hash, asked: Asked::Ended(told), .. }) = &draft.seen.idea else { return };
    if let Some(status) = draft.status.idea.as_mut().filter(|known| known.hash == *hash) {
        take_over(status, told);
        draft.status.document.clone_from(&told.document);
    }
}

fn proposed_next(draft: &mut Draft<'_>, how: &str) {
    draft.good(KIND, Reason::Verified, how);
    draft.hold(Hold::going(Reason::Proposing, "the idea has its document, which is proposed next", SOON));
}

/// Asks, where somebody can be asked, and its rounds are not used up.
fn begin(draft: &mut Draft<'_>, idea: &IdeaSeen, status: IdeaStatus) {
    let seen = draft.seen;
    let (rounds, problems) = (status.rounds, status.problems.join("; "));
    let noted = seen.previous.idea.as_ref() == Some(&status);
    let question = Question {
        hash: idea.hash.clone(),
        rounds: 0,
        before: (status.rounds, status.input_tokens, status.output_tokens),
        problems: status.problems.clone(),
    };
    draft.status.idea = Some(status);
    let model = match &idea.model {
        Ok(model) => model,
        Err(error) => return fails(draft, error),
    };
    let left = i64::from(model.rounds) - rounds;
    if left <= 0 {
        let message = format!(
            "model {} wrote no strict document in {rounds} rounds: change spec.idea, or write spec.document. {problems}",
            model.name
        );
        return draft.bad(KIND, Hold::stalled(Reason::NotStrict, message, draft.now.resync));
    }
    match &seen.base {
        Err(error) => return fails(draft, error),
        Ok(Base { package: Some(package), .. }) if let (Err(error), true) = (&package.content, idea.fresh) => {
            return fails(draft, error);
        }
        Ok(_) => {}
    }
    if let Some((name, holder)) = &seen.claimed {
        return naming::taken(draft, name, holder);
    }
    let message = format!("model {} is asked for the document", model.name);
    // What was used so far is written down first.
    if noted {
        draft.actions.push(Action::AskModel(Box::new(Question { rounds: u32::try_from(left).unwrap_or(0), ..question })));
    }
    draft.bad(KIND, Hold::going(Reason::Asking, message, if noted { POLL } else { SOON }));
}

fn fails(draft: &mut Draft<'_>, error: &PortError) {
    let mut again = retry::delay(error.class, draft.since_false(KIND), draft.now.at);
    if error.class == Class::Invalid {
        again = again.min(HELD);
    }
    let hold = if retry::stalls(error.class) { Hold::stalled } else { Hold::going };
    draft.bad(KIND, hold(error.reason, error.message.clone(), again));
}

/// US dollars, exact to a millionth and rounded up; none without prices.
fn cost(model: &ModelSeen, input: i64, output: i64) -> Option<String> {
    if model.input_price.is_none() && model.output_price.is_none() {
        return None;
    }
    // Prices are millionths of a dollar for a million tokens.
    let part = |tokens: i64, price: Option<u64>| u128::from(tokens.unsigned_abs()) * u128::from(price.unwrap_or_default());
    let micros = (part(input, model.input_price) + part(output, model.output_price)).div_ceil(1_000_000);
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    Some(text.trim_end_matches('0').trim_end_matches('.').into())
}
