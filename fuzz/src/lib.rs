//! The pure files under test, as they are in the crate, without the crate.

#[path = "../../src/suite/mod.rs"]
pub mod suite;

/// What services say of payments.
#[path = "."]
pub mod payments {
    #[path = "../../src/ports/payments/challenge.rs"]
    mod challenge;
    #[path = "../../src/ports/payments/networks.rs"]
    pub mod networks;
    #[path = "../../src/ports/payments/receipt.rs"]
    mod receipt;
    #[path = "../../src/ports/payments/terms.rs"]
    mod terms;

    pub use challenge::{Challenge, settlement_failed};
    pub use receipt::Receipt;
    pub use terms::{Declared, Price};
}
