#!/usr/bin/env bash
# SOAK_ROUNDS (5) times the test bed's own tests and the whole loop's, so that
# what happens once in ten times happens here.
set -euo pipefail

for round in $(seq "${SOAK_ROUNDS:-5}"); do
    printf '\n=== round %s\n' "$round"
    make test-bed test-e2e
done
