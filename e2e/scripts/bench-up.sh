#!/usr/bin/env bash
# Seconds from nothing to up, from up to up, and from up to nothing.
set -euo pipefail

testbed="$FLYWHEEL_CACHE/bin/testbed"
seconds() {
    local begin=$EPOCHREALTIME
    "$@" >&2
    awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }'
}
"$testbed" down >&2
"$testbed" build >&2
up=$(seconds "$testbed" up)
again=$(seconds "$testbed" up)
down=$(seconds "$testbed" down)
printf '{"bench":"up","unit":"s","up":%s,"again":%s,"down":%s}\n' "$up" "$again" "$down"
