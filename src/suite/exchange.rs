//! What is sent and what comes back, without a socket.

use super::plan::Payment;

/// A request, ready to be sent. Its parts may hold secrets: [`Request::shown`] is
/// what reports may say.
#[derive(Clone)]
pub struct Request {
    /// Method, as it stands in the plan.
    pub method: String,
    /// URL.
    pub url: String,
    /// Headers, `content-type` included.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<Vec<u8>>,
    /// The same with secrets as `{{secret:NAME}}`.
    pub shown: Shown,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown.fmt(f)
    }
}

/// A request as reports may say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Method.
    pub method: String,
    /// URL.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body as text.
    pub body: Option<String>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, decoded, as far as it was read.
    pub body: Vec<u8>,
    /// Why the body ends where it does, if that is not its end: it broke off, or is
    /// larger than the runner reads.
    pub cut: Option<String>,
}

impl Answer {
    /// A header's value; those of several of that name are joined by `, `, as fetch does.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

/// Something to send.
#[derive(Clone, Debug)]
pub struct Task {
    /// What [`super::run::Run`] knows it by.
    pub ticket: Ticket,
    /// The test's place in the plan.
    pub test: usize,
    /// The request.
    pub request: Request,
    /// Milliseconds that it may take; the runner's own limit where absent.
    pub timeout_ms: Option<u64>,
    /// Whether no payment is to be tried.
    pub free: bool,
    /// What it may cost.
    pub payment: Option<Payment>,
    /// Which try this is, from 1.
    pub attempt: u32,
}

/// A test that is being run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) usize);

/// What a try took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// Milliseconds from the request to the answer's end.
    pub duration_ms: u64,
    /// Payments that were made.
    pub receipts: Vec<Receipt>,
    /// The last answer's status, whatever came of it.
    pub status: Option<u16>,
}

/// A payment that was made, without its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Version of the protocol: 1 or 2.
    pub version: u8,
    /// The chain.
    pub network: String,
    /// The token's address.
    pub asset: String,
    /// Atomic units.
    pub amount: u128,
    /// Who was paid.
    pub pay_to: String,
    /// Who paid.
    pub payer: String,
    /// Whether the service says that it is settled.
    pub settled: bool,
    /// The transaction's hash, where the service names one.
    pub transaction: Option<String>,
    /// Why the service did not take it, where it says so.
    pub refused: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answered, or not in time, or beyond a limit: nothing can be told.
    Broken(String),
    /// The service asks for a payment on other terms than declared, or refuses one
    /// that was made: its fault.
    Wrong(String),
    /// The runner itself declines, such as for its spending cap.
    Declined(String),
}

impl Trouble {
    /// What it was.
    pub fn text(&self) -> &str {
        match self {
            Self::Broken(text) | Self::Wrong(text) | Self::Declined(text) => text,
        }
    }
}
