//! A payment header or body from anybody: it is read or refused; and what is chosen of
//! it is within what was declared.
#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flywheel_fuzz::payments::{Challenge, Declared, Price, Receipt, settlement_failed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let encoded = STANDARD.encode(data);
    let text = String::from_utf8_lossy(data);
    let declared = Declared { network: "eip155:84532".into(), asset: None, domain: None, pay_to: None, price: Price::AtMost(5000) };
    for header in [Some(encoded.as_str()), Some(text.as_ref()), None] {
        if let Ok(challenge) = Challenge::read(header, data)
            && let Ok(terms) = challenge.choose(&declared)
        {
            assert!(terms.amount <= 5000 && terms.caip2() == Some("eip155:84532") && terms.scheme == "exact");
        }
        settlement_failed(header, header, data);
        if let Some(header) = header {
            let _ = Receipt::read(header);
        }
    }
});
