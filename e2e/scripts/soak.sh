#!/usr/bin/env bash
# Every boundary of the loop by itself and random ones, then SOAK_ROUNDS (5) times
# the test bed's own tests and the whole loop's, so that what happens once in ten
# times happens here.
set -euo pipefail

# Bed tests that are left out of every run take part.
export SOAK=1
make soak-loop
for round in $(seq "${SOAK_ROUNDS:-5}"); do
    printf '\n=== round %s\n' "$round"
    make test-bed test-e2e
done
