#!/usr/bin/env bash
# Every document there is becomes a package, and every package passes the
# factory repository's checks under Bun and answers over HTTP as its document
# says; prints a row for each. The documents in use are read from FLYWHEEL_SPECS,
# and left out loudly where they are not. Then command lines are tried in a
# sandbox. With a test's name runs it alone.
set -euo pipefail

# Into the cache, where the test looks for it.
"$FLYWHEEL_CACHE/bin/testbed" program bun >/dev/null
export FLYWHEEL_REQUIRE_BUN=1
filters=("$@")
[ $# -gt 0 ] || filters=(scaffold:: room::)
cargo test --locked --test it -- "${filters[@]}" --nocapture --test-threads 1
