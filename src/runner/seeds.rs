//! The variables that a run starts with. Names and forms are prim.sh's, so that its
//! plans run as they are.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    ports::{error::PortError, payments::Payer},
    suite::{Mode, Plan},
};

/// Whoever the tests speak for.
pub struct Agent<'a> {
    /// A wallet that signs.
    pub payer: Option<&'a dyn Payer>,
    /// An address alone, where there is no wallet.
    pub address: Option<String>,
}

/// The variables of a run that begins now. Texts given by name come last, and win.
pub async fn seeds(
    plan: &Plan,
    agent: &Agent<'_>,
    now: Timestamp,
    given: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, PortError> {
    let runner = match plan.mode {
        Mode::Ours => "flywheel",
        Mode::Primsh => "canary-runner",
    };
    let stamp = stamp(now);
    let mut seeds: BTreeMap<String, String> = [
        ("test_prefix".to_owned(), format!("gate-{}", now.as_millisecond())),
        ("runner".to_owned(), runner.to_owned()),
        ("iso_timestamp".to_owned(), stamp.clone()),
    ]
    .into();
    if let Some(payer) = agent.payer {
        let address = payer.address().to_owned();
        let signature = payer.sign_message(&format!("Register {address} with prim.sh at {stamp}")).await?;
        seeds.insert("eip191_sig".into(), signature);
        seeds.insert("agent_address".into(), address);
    } else if let Some(address) = &agent.address {
        seeds.insert("agent_address".into(), address.clone());
    }
    seeds.extend(given);
    Ok(seeds)
}

/// A time as JavaScript's `toISOString` writes it, in whose form prim.sh's results have it.
pub fn stamp(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite;

    #[test]
    fn a_time_has_three_digits_of_a_second() {
        for (time, written) in [
            ("2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678Z"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02T03:04:05.02Z", "2026-01-02T03:04:05.020Z"),
        ] {
            assert_eq!(stamp(time.parse().unwrap()), written);
        }
    }

    #[tokio::test]
    async fn the_names_are_prim_shs() {
        let plan = suite::read(r#"{"plan":"p","version":1,"network":"n","context":"","groups":[],"tests":[]}"#, Mode::Primsh).unwrap();
        let now: Timestamp = "2026-11-28T23:10:05.0421Z".parse().unwrap();
        let agent = Agent { payer: None, address: Some("0xA".into()) };
        let seeds = seeds(&plan, &agent, now, [("runner".into(), "mine".into())]).await.unwrap();
        let expected = [
            ("agent_address", "0xA"),
            ("iso_timestamp", "2026-11-28T23:10:05.042Z"),
            ("runner", "mine"),
            ("test_prefix", "gate-1795907405042"),
        ];
        assert_eq!(seeds, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }
}
