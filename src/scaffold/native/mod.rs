//! Which routes a store of the service's own can answer: those that make, list,
//! read, change and remove one kind of thing, move it from one status to another,
//! or keep what it has one of. A route is taken only where its meaning is plain
//! from method, path and operation id together; all others are left to people.
//! Read `infer.rs` next.

mod infer;
mod lifetime;
mod makers;
mod members;
mod ones;
mod statuses;
mod verbs;

pub(super) use infer::{ALONE, infer};

use crate::prim::{Auth, Route, RoutePrice, singular, words};

/// A kind of thing that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collection {
    /// What it is called in code, unique in the document: an identifier.
    pub name: String,
    /// What its items are stored under, unique too: where they lie, so that it stays
    /// whatever else the document says by and by.
    pub home: String,
    /// The collection whose items it lies within, by its place in the list.
    pub within: Option<usize>,
    /// How many parameters of their paths that name no item are between that item and these.
    pub below: usize,
    /// The field by which callers name an item.
    pub key: Option<String>,
    /// Whether names and ids are whole numbers.
    pub numbers: bool,
    /// Whether items lie apart by parameters of their paths that name no item, and within none.
    pub apart: bool,
    /// Whether names, and what there is one of, are each wallet's own.
    pub own: bool,
    /// Whether every wallet may put its own into what these lie within.
    pub joined: bool,
    /// The status that an item begins with.
    pub status: Option<String>,
    /// Whether an item may end by itself.
    pub ends: bool,
    /// Whether some are made for nothing still, and so have no owner, while others pay.
    pub unowned: bool,
    /// How many one wallet may have.
    pub most: Option<u64>,
    /// Numbers of an item that begin at nothing.
    pub counts: Vec<String>,
    /// The field that says when an item was last changed.
    pub changed: Option<String>,
}

/// What a route does to a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Native {
    /// The collection, by its place in the list.
    pub collection: usize,
    /// What is done.
    pub op: Op,
    /// The parameter that names the item, where there is one.
    pub param: Option<String>,
    /// What names it in a body or a query, where the path does not.
    pub sent: Option<Sent>,
    /// Parameters before it, the outermost first.
    pub within: Vec<String>,
}

impl Collection {
    /// Parameters before an item's own: those that name what is around the item that it
    /// lies within, that one's own where there is one, and those between it and this.
    pub fn around<'a>(&self, params: &'a [String]) -> (&'a [String], Option<&'a String>, &'a [String]) {
        let between = if self.within.is_some() { self.below } else { params.len() };
        let (outer, between) = params.split_at(params.len().saturating_sub(between));
        let (own, around) = outer.split_last().unzip();
        (around.unwrap_or_default(), own, between)
    }

    /// Whether an item has a name made up unless somebody wants one: where paths call the
    /// item by nothing but what it is, `/projects/:project`, that is no field of it.
    pub fn makes_names(&self) -> bool {
        const NAMES: [&str; 10] = ["key", "name", "domain", "email", "address", "url", "symbol", "username", "ticker", "handle"];
        let noun = self.home.split('/').rfind(|word| !word.is_empty() && *word != ":").map(|word| singular(&words(word).join("_")));
        let itself = |key: &String| noun.as_ref() == Some(key) && !NAMES.contains(&key.as_str());
        self.key.as_ref().is_some_and(|key| is_made(key) || itself(key))
    }
}

impl Native {
    /// Whether its path says all, so that a body may be left away.
    pub fn bare(&self) -> bool {
        matches!(
            self.op,
            Op::Become { .. } | Op::Switch { .. } | Op::Renew | Op::Step { .. } | Op::Flip { .. } | Op::Put { once: true, .. }
        )
    }
}

/// Where a request names an item outside of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A field of its body.
    Body(String),
    /// A parameter of its query.
    Query(String),
}

/// What is done to a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Adds an item.
    Create {
        /// How the caller proves whose it is, where a payment does not.
        signed: Option<Signed>,
    },
    /// Adds an item of bytes.
    Upload,
    /// Stores an item under a name.
    Put {
        /// Whether it is bytes.
        bytes: bool,
        /// Whether one that is there is a conflict.
        once: bool,
    },
    /// Lists items.
    List,
    /// Lists those that a body asks for.
    Search,
    /// Answers how many there are.
    Count,
    /// Answers how many there are of each choice.
    Tally,
    /// Adds several items.
    Batch,
    /// Answers the newest, or the oldest.
    Edge {
        /// Whether it is the oldest.
        oldest: bool,
    },
    /// Hands out the oldest.
    Take {
        /// Whether it stays until it is removed, and is handed out again if it is not.
        keeps: bool,
        /// The status that it has from then on, where it is handed out no more than once.
        to: Option<String>,
    },
    /// Removes all that the query fits.
    Clear,
    /// Answers one item.
    Read {
        /// Whether it is bytes.
        bytes: bool,
    },
    /// Leads to where one says, by the first of these fields that it has.
    Follow {
        /// The fields.
        fields: Vec<String>,
    },
    /// Changes fields of one.
    Change,
    /// Gives one other fields.
    Replace,
    /// Gives one a status.
    Become {
        /// The status.
        to: String,
        /// The only one that may become it.
        from: Option<String>,
        /// Whether one that has it is a conflict.
        once: bool,
    },
    /// Turns a switch of one on or off.
    Switch {
        /// The field with the switch.
        field: String,
        /// Whether it is on afterwards.
        on: bool,
        /// Whether one that is so already is a conflict.
        once: bool,
    },
    /// Lets one live on.
    Renew,
    /// Adds to a number of one, takes from it, or sets it to nothing.
    Step {
        /// Which way: 1, -1 or 0.
        way: i8,
        /// The field with the number.
        field: String,
        /// Whether one that is not there is made.
        makes: bool,
    },
    /// Turns a switch of one over.
    Flip {
        /// The field with the switch.
        field: String,
    },
    /// Removes one.
    Remove {
        /// Whether what lies within it must be gone before.
        emptied: bool,
        /// The status of one that is ended for good and keeps its name.
        retired: Option<String>,
    },
    /// Answers what there is one of.
    Part,
    /// Changes it.
    SetPart {
        /// Whether it has no other fields afterwards.
        whole: bool,
    },
    /// Takes all of its fields away.
    Unset,
    /// Something else that is done within an item, which so must be the caller's.
    Under,
}

impl Op {
    /// Whether it brings into being what others are about.
    pub fn makes(&self) -> bool {
        matches!(
            self,
            Self::Create { .. } | Self::Upload | Self::Put { .. } | Self::Batch | Self::SetPart { .. } | Self::Step { makes: true, .. }
        )
    }
}

/// A message whose signature proves whose wallet it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// The message, `<field>` for fields of the body.
    pub message: String,
    /// The field with the wallet's address.
    pub address: String,
    /// How far the message's time may be from ours, in seconds.
    pub seconds: u64,
}

/// What a document keeps, and what answers each of its routes, or why nothing does.
pub(super) struct Found {
    pub collections: Vec<Collection>,
    pub routes: Vec<Result<Native, String>>,
}

/// Whether only who knows the internal key may call it.
pub(super) fn guarded(route: &Route) -> bool {
    route.auth == Some(Auth::Internal) || route.prose().any(|text| text.to_ascii_lowercase().contains("x-internal-key"))
}

/// Whether a route is anybody's, payers and others, by the document's own word.
pub(super) fn open(route: &Route, price: RoutePrice) -> bool {
    route.auth == Some(Auth::None) && price == RoutePrice::Free && !guarded(route)
}

/// Whether a field names an item by a word that is made up unless somebody wants one.
pub(super) fn is_made(key: &str) -> bool {
    let last = words(key).pop().unwrap_or_default();
    ["code", "slug", "token", "hash", "ref", "reference", "short_code", "shortcode"].contains(&key)
        || ["uid", "guid", "jti"].contains(&last.as_str())
}

/// Whether a parameter or a field names an item by an id of our making.
pub(super) fn is_id(param: &str) -> bool {
    words(param).last().is_some_and(|word| ["id", "uuid"].contains(&word.as_str())) || param.ends_with("Id")
}
