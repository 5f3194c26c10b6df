#!/usr/bin/env bash
# Runs scenarios inside the network of a test bed that has one of its own
# (CLUSTER=no-node); what they are built of is fetched out here.
#
#   scenarios.sh [OPTION…] FILTER…   as the test binary takes them
set -euo pipefail

tests=(cargo test --locked --test e2e)
"${tests[@]}" --no-run
nsenter --net="$BED_NETNS" -- "${tests[@]}" --offline -- "$@"
