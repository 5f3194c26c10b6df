//! An answer that costs something (x402): 402 with terms, a payment signed for
//! them, the answer with a receipt. Terms are held against what was declared and
//! the money is reserved before anything is signed.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::sleep;

use super::{
    budget::{Budget, OverBudget, Reservation},
    http::{Ask, Call, sent},
    tally::Tally,
};
use crate::{
    ports::clock::Clock,
    ports::payments::{
        Challenge, Declared, Mismatch, Payer, Price, RECEIPT_HEADERS, REQUIRED_HEADERS, Receipt as Said, Terms, Version, settlement_failed,
    },
    suite::{Answer, Mode, Payment, Receipt, Trouble},
};

/// Longest word of a refusal that is repeated; a signature is longer.
const LONGEST_WORD: usize = 60;

/// Whoever pays, and how.
pub struct Cashier {
    /// The wallet; without one nothing is paid.
    pub payer: Option<Arc<dyn Payer>>,
    /// What may be spent.
    pub budget: Budget,
    /// What is declared for every test that declares nothing itself.
    pub declared: Payment,
    /// Whose rules hold: prim.sh's client looks at the amount alone.
    pub mode: Mode,
    /// How long after "Settlement failed" another payment is signed, once.
    pub again_after: Duration,
    /// Whether a payment that was refused is sent once more, as long after: the same one,
    /// which costs no more. A facilitator or a chain may have had no answer just then.
    pub resends: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// One request that may cost something.
pub struct Purchase<'a> {
    /// Whoever carries its requests.
    pub ask: &'a dyn Ask,
    /// The request, unpaid.
    pub call: Call,
    /// How long each of its requests may take.
    pub patience: Duration,
    /// What its test declares.
    pub declared: Option<&'a Payment>,
    /// What it comes to.
    pub tally: &'a Tally,
}

impl Cashier {
    /// Asks, and pays if that is what it takes.
    pub async fn buy(&self, purchase: &Purchase<'_>) -> Result<Answer, Trouble> {
        let first = purchase.send(None).await?;
        if first.status != 402 {
            return Ok(first);
        }
        let header = self.required(&first);
        // prim.sh's client knows no terms in the body, and takes an empty header for none.
        let none = self.mode == Mode::Primsh && header.as_deref().is_none_or(str::is_empty);
        if none || header.is_none() && first.cut.is_some() {
            return Ok(first);
        }
        let read = match (self.mode, &header) {
            (Mode::Primsh, Some(header)) => Challenge::read_loosely(header),
            (_, header) => Challenge::read(header.as_deref(), &first.body),
        };
        let challenge = read.map_err(|e| Trouble::Wrong(e.to_string()))?;
        let Some(payer) = &self.payer else {
            return Err(Trouble::Declined("the service asks for a payment, and there is no wallet: set AGENT_PRIVATE_KEY".into()));
        };
        let (terms, declared) = self.choose(&challenge, purchase.declared)?;
        let mut answer = self.paid(purchase, payer.as_ref(), &terms, &declared).await?;
        if answer.status == 402 && self.settlement_failed(&answer)? {
            sleep(self.again_after).await;
            answer = self.paid(purchase, payer.as_ref(), &terms, &declared).await?;
        }
        Ok(answer)
    }

    /// The terms in a header. prim.sh's client asks for the older name first, and has
    /// several of one name as one.
    fn required(&self, answer: &Answer) -> Option<String> {
        match self.mode {
            Mode::Ours => REQUIRED_HEADERS.iter().find_map(|name| first(answer, name)).map(str::to_owned),
            Mode::Primsh => REQUIRED_HEADERS.iter().rev().find_map(|name| answer.header(name)),
        }
    }

    /// Whether a payment was good, and its settlement failed. prim.sh's client looks
    /// at one place.
    fn settlement_failed(&self, answer: &Answer) -> Result<bool, Trouble> {
        if self.mode == Mode::Ours {
            return Ok(settlement_failed(self.required(answer).as_deref(), receipt(answer), &answer.body));
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            // It looks into whatever it is, and nothing is in null.
            Ok(Value::Null) if answer.cut.is_none() => Err(Trouble::Wrong("TypeError: the answer to the payment is null".into())),
            Ok(body) => Ok(answer.cut.is_none() && body["error"] == "Settlement failed"),
            Err(_) => Ok(false),
        }
    }

    /// The way to pay, and what it was held against.
    fn choose(&self, challenge: &Challenge, test: Option<&Payment>) -> Result<(Terms, Declared), Trouble> {
        let asked = challenge.accepts.first().ok_or_else(|| wrong(&Mismatch::NoWay))?;
        let cap = self.budget.per_request();
        if self.mode == Mode::Primsh {
            if asked.amount > cap {
                return Err(declined(&OverBudget::Request { amount: asked.amount, cap }));
            }
            // The first way that its client knows how to pay is the one that it takes.
            let known = |way: &&Terms| {
                let network = way.caip2().filter(|network| self.declared.network.as_deref().is_none_or(|only| only == *network));
                way.scheme == "exact" && network.is_some()
            };
            let way = challenge.accepts.iter().find(known).ok_or_else(|| wrong(&Mismatch::NoWay))?;
            let declared = self.as_asked(way, cap);
            declared.check(way).map_err(|mismatch| wrong(&mismatch))?;
            // It signs for the domain that is said, and for none where none is.
            if way.domain.is_none() {
                return Err(wrong(&Mismatch::Domain("(none)".into())));
            }
            return Ok((way.clone(), declared));
        }
        let declared = self.declared(test);
        match challenge.choose(&declared) {
            Ok(terms) => Ok((terms.clone(), declared)),
            // Its own declaration is broken, or only our cap.
            Err(Mismatch::TooMuch { asked, cap: most }) if most == cap => Err(declined(&OverBudget::Request { amount: asked, cap })),
            Err(mismatch) => Err(wrong(&mismatch)),
        }
    }

    /// What the command line declares, and what a service asks where it does not.
    fn as_asked(&self, way: &Terms, cap: u128) -> Declared {
        Declared {
            network: self.declared.network.clone().or_else(|| way.caip2().map(str::to_owned)).unwrap_or_default(),
            asset: self.declared.asset.clone().or_else(|| Some(way.asset.clone())),
            domain: way.domain.clone(),
            pay_to: self.declared.pay_to.clone(),
            price: Price::AtMost(cap),
        }
    }

    /// What a test declares, and what the run declares where it does not.
    fn declared(&self, test: Option<&Payment>) -> Declared {
        let none = Payment::default();
        let (test, run) = (test.unwrap_or(&none), &self.declared);
        let cap = self.budget.per_request();
        let price = match (test.amount.or(run.amount), test.max.or(run.max)) {
            (Some(amount), _) => Price::Exactly(amount),
            (None, most) => Price::AtMost(most.map_or(cap, |most| most.min(cap))),
        };
        let of = |field: fn(&Payment) -> &Option<String>| field(test).clone().or_else(|| field(run).clone());
        Declared {
            network: of(|p| &p.network).unwrap_or_default(),
            asset: of(|p| &p.asset),
            domain: None,
            pay_to: of(|p| &p.pay_to),
            price,
        }
    }

    async fn paid(&self, purchase: &Purchase<'_>, payer: &dyn Payer, terms: &Terms, declared: &Declared) -> Result<Answer, Trouble> {
        let mut reserved = self.budget.reserve(terms.amount, self.clock.now().as_second().unsigned_abs()).map_err(|e| declined(&e))?;
        let payment = payer.authorize(terms, declared).await.map_err(|e| Trouble::Declined(e.message))?;
        reserved.sent(payment.valid_before);
        let header = (payment.header.to_owned(), secrecy::ExposeSecret::expose_secret(&payment.value).to_owned());
        purchase.tally.paying(Receipt {
            version: match terms.version {
                Version::V1 => 1,
                Version::V2 => 2,
            },
            network: declared.network.clone(),
            asset: terms.asset.clone(),
            amount: payment.amount,
            pay_to: terms.pay_to.clone(),
            payer: payer.address().to_owned(),
            settled: false,
            transaction: None,
            refused: None,
        });
        let mut answer = purchase.send(Some(header.clone())).await?;
        purchase.tally.refused(self.refusal(&answer));
        if self.resends && answer.status == 402 && !self.settlement_failed(&answer)? {
            sleep(self.again_after).await;
            // Whoever does not answer now has answered before.
            if let Ok(second) = purchase.send(Some(header)).await {
                answer = second;
                if answer.status != 402 {
                    purchase.tally.refused(None);
                }
            }
        }
        settle(purchase.tally, &answer, reserved);
        Ok(answer)
    }

    /// Why a payment was refused, in the words of the terms that came back or of the
    /// receipt.
    fn refusal(&self, answer: &Answer) -> Option<String> {
        let header = (answer.status == 402).then(|| self.required(answer))?;
        let terms = || Challenge::read(header.as_deref(), &answer.body).ok().map(|challenge| challenge.error);
        let receipt = receipt(answer).and_then(|header| Said::read(header).ok()).map(|said| said.error);
        // Words alone: a payment that is repeated there is repeated no further.
        let in_words = |said: &String| !said.is_empty() && said.split(' ').all(is_word);
        receipt.filter(in_words).or_else(|| terms().filter(in_words))
    }
}

/// Notes what the service says became of a payment.
fn settle(tally: &Tally, answer: &Answer, reserved: Reservation) {
    let Some(said) = receipt(answer).and_then(|header| Said::read(header).ok()) else { return };
    // A hash, by whatever chain: nothing else that a service says is repeated as one.
    let hash = Some(said.transaction).filter(|hash| !hash.is_empty() && hash.bytes().all(|b| b.is_ascii_alphanumeric()));
    tally.paid(said.success, hash);
    if said.success {
        reserved.spent();
    }
}

impl Purchase<'_> {
    async fn send(&self, payment: Option<(String, String)>) -> Result<Answer, Trouble> {
        let mut call = self.call.clone();
        call.headers.extend(payment);
        sent(self.ask, &call, self.patience, self.tally).await
    }
}

/// The header with the receipt.
fn receipt(answer: &Answer) -> Option<&str> {
    RECEIPT_HEADERS.iter().find_map(|name| first(answer, name))
}

fn first<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn is_word(word: &str) -> bool {
    word.len() <= LONGEST_WORD && word.chars().all(|c| c.is_ascii_graphic())
}

fn wrong(mismatch: &Mismatch) -> Trouble {
    Trouble::Wrong(format!("not paid: {mismatch}"))
}

fn declined(over: &OverBudget) -> Trouble {
    Trouble::Declined(over.to_string())
}
