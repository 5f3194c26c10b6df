//! An answer that costs something (x402): 402 with terms, a payment signed for
//! them, the answer with a receipt. Terms are held against what was declared and
//! the money is reserved before anything is signed.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::sleep;

use super::{
    budget::{Budget, OverBudget, Reservation},
    http::{Ask, Call},
};
use crate::{
    ports::clock::Clock,
    ports::payments::{
        Challenge, Declared, Mismatch, Payer, Price, RECEIPT_HEADERS, REQUIRED_HEADERS, Receipt as Said, Terms, Version, settlement_failed,
    },
    suite::{Answer, Mode, Payment, Receipt, Trouble},
};

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
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// An answer, or why there is none, and what was paid for it.
pub type Paid = (Result<Answer, Trouble>, Vec<Receipt>);

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
}

impl Cashier {
    /// Asks, and pays if that is what it takes.
    pub async fn buy(&self, purchase: &Purchase<'_>) -> Paid {
        let mut receipts = Vec::new();
        let answer = self.steps(purchase, &mut receipts).await;
        (answer, receipts)
    }

    async fn steps(&self, purchase: &Purchase<'_>, receipts: &mut Vec<Receipt>) -> Result<Answer, Trouble> {
        let first = purchase.send(None).await?;
        if first.status != 402 {
            return Ok(first);
        }
        let header = self.required(&first);
        if header.is_none() && self.mode == Mode::Primsh {
            // Its client knows no terms in the body.
            return Ok(first);
        }
        let challenge = Challenge::read(header, &first.body).map_err(|e| Trouble::Wrong(e.to_string()))?;
        let Some(payer) = &self.payer else {
            return Err(Trouble::Declined("the service asks for a payment, and there is no wallet: set AGENT_PRIVATE_KEY".into()));
        };
        let (terms, declared) = self.choose(&challenge, purchase.declared)?;
        let mut answer = self.paid(purchase, payer.as_ref(), &terms, &declared, receipts).await?;
        if answer.status == 402 && self.settlement_failed(&answer) {
            sleep(self.again_after).await;
            answer = self.paid(purchase, payer.as_ref(), &terms, &declared, receipts).await?;
        }
        Ok(answer)
    }

    /// The terms in a header. prim.sh's client asks for the older name first.
    fn required<'a>(&self, answer: &'a Answer) -> Option<&'a str> {
        let mut names = REQUIRED_HEADERS;
        if self.mode == Mode::Primsh {
            names.reverse();
        }
        names.iter().find_map(|name| first(answer, name))
    }

    /// Whether a payment was good, and its settlement failed. prim.sh's client looks
    /// at one place.
    fn settlement_failed(&self, answer: &Answer) -> bool {
        match self.mode {
            Mode::Ours => settlement_failed(self.required(answer), receipt(answer), &answer.body),
            Mode::Primsh => serde_json::from_slice::<Value>(&answer.body).is_ok_and(|body| body["error"] == "Settlement failed"),
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
            let ways = challenge.accepts.iter().map(|way| (way, self.as_asked(way, cap)));
            let mut refused = Mismatch::NoWay;
            for (way, declared) in ways {
                match declared.check(way) {
                    Ok(()) => return Ok((way.clone(), declared)),
                    Err(mismatch) => refused = mismatch,
                }
            }
            return Err(wrong(&refused));
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
            domain: None,
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

    async fn paid(
        &self,
        purchase: &Purchase<'_>,
        payer: &dyn Payer,
        terms: &Terms,
        declared: &Declared,
        receipts: &mut Vec<Receipt>,
    ) -> Result<Answer, Trouble> {
        let mut reserved = self.budget.reserve(terms.amount, self.clock.now().as_second().unsigned_abs()).map_err(|e| declined(&e))?;
        let payment = payer.authorize(terms, declared).await.map_err(|e| Trouble::Declined(e.message))?;
        reserved.sent(payment.valid_before);
        let header = (payment.header.to_owned(), secrecy::ExposeSecret::expose_secret(&payment.value).to_owned());
        let mut receipt = Receipt {
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
        };
        let answer = purchase.send(Some(header)).await;
        if let Ok(answer) = &answer {
            settle(&mut receipt, answer, reserved);
        }
        receipts.push(receipt);
        answer
    }
}

/// Notes what the service says became of a payment.
fn settle(receipt: &mut Receipt, answer: &Answer, reserved: Reservation) {
    let said = self::receipt(answer).and_then(|header| Said::read(header).ok());
    if let Some(said) = said {
        receipt.settled = said.success;
        receipt.transaction = Some(said.transaction).filter(|hash| !hash.is_empty());
    }
    if receipt.settled {
        reserved.spent();
    }
}

impl Purchase<'_> {
    async fn send(&self, payment: Option<(String, String)>) -> Result<Answer, Trouble> {
        let mut call = self.call.clone();
        // A payment is for one server: it follows nobody elsewhere.
        call.follow &= payment.is_none();
        call.headers.extend(payment);
        self.ask.ask(&call, self.patience).await.map_err(|e| Trouble::Broken(e.to_string()))
    }
}

/// The header with the receipt.
fn receipt(answer: &Answer) -> Option<&str> {
    RECEIPT_HEADERS.iter().find_map(|name| first(answer, name))
}

fn first<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn wrong(mismatch: &Mismatch) -> Trouble {
    Trouble::Wrong(format!("not paid: {mismatch}"))
}

fn declined(over: &OverBudget) -> Trouble {
    Trouble::Declined(over.to_string())
}
