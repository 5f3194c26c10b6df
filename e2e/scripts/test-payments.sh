#!/usr/bin/env bash
# Our wallet pays services on a real chain, by a real facilitator, and what the
# wallets have moves by the price. Runs beside a chain of its own:
#
#   testbed with-payments e2e/scripts/test-payments.sh
set -euo pipefail

# The chain's dollar is what its source says.
solc=0.8.37
tools="$FLYWHEEL_CACHE/tools/solc-$solc"
if [ ! -d "$tools" ]; then
    echo "fetching solc $solc from npm (2 MB)"
    rm -rf "$tools.new"
    mkdir -p "$tools.new"
    npm install --prefix "$tools.new" --silent --no-audit --no-fund --ignore-scripts "solc@$solc"
    mv "$tools.new" "$tools"
fi
if ! diff -q <(node e2e/chain/compile.mjs "$tools") e2e/chain/Dollar.bin; then
    echo "e2e/chain/Dollar.bin is not what Dollar.sol compiles to: node e2e/chain/compile.mjs $tools >e2e/chain/Dollar.bin" >&2
    exit 1
fi

"$FLYWHEEL_CACHE/bin/testbed" program bun >/dev/null
export FLYWHEEL_REQUIRE_BUN=1 FLYWHEEL_REQUIRE_PAYMENTS=1
cargo test --locked --test it -- payments:: --nocapture --test-threads 1
