//! Where things lie in the runtime image, and how a package's program is started
//! there: the same in a gate as where it runs for good, or the gate would have
//! tested something else.

use sha2::{Digest, Sha256};

/// The program of this crate.
pub const FLYWHEEL: &str = "/usr/local/bin/flywheel";
/// What runs packages.
pub const BUN: &str = "/usr/local/bin/bun";
/// Where a package's files are laid out, and its programs run.
pub const WORK: &str = "/opt/factory/work";
/// Where containers find what they are given.
pub const INPUTS: &str = "/inputs";
/// Name of a bundle among them, and its key in a ConfigMap.
pub const BUNDLE: &str = "bundle.json.gz";
/// File with a service's command line, the same in a clean room's judge and its sandbox.
pub const CLI: &str = "/inputs/cli.ts";
/// File with the key of the wallet that a gate pays from, where it has one.
pub const WALLET: &str = "/keys/wallet/privateKey";
/// File with the key that a gate's model takes, where it has one.
pub const MODEL: &str = "/keys/model/key";
/// Port of a service.
pub const PORT: u16 = 3000;
/// The user of containers that run this crate's program.
pub const TRUSTED_USER: i64 = 65532;

/// The chain that payments are made on, in CAIP-2 form.
pub const NETWORK: &str = "X402_NETWORK";
/// The wallet that is paid.
pub const PAY_TO: &str = "X402_PAY_TO";
/// Who verifies and settles payments; without it none is accepted.
pub const FACILITATOR: &str = "X402_FACILITATOR_URL";

/// Settings of every program of a package. They stand after all others, so that
/// no name that a document asks for replaces one of them.
pub const SETTINGS: [(&str, &str); 6] = [
    ("PATH", "/usr/local/bin"),
    ("HOME", "/tmp"),
    ("TMPDIR", "/tmp"),
    ("DO_NOT_TRACK", "1"),
    ("NO_COLOR", "1"),
    ("BUN_RUNTIME_TRANSPILER_CACHE_PATH", "0"),
];

/// The entry file of a package.
pub fn entry(primitive: &str) -> String {
    format!("packages/{primitive}/src/index.ts")
}

/// A user for untrusted code: another for each `name`, since the limits on
/// processes count over all of a user's on the node.
pub fn untrusted_user(name: &str) -> i64 {
    let hash = Sha256::digest(name);
    1_000_000 + i64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % 1_000_000_000)
}
