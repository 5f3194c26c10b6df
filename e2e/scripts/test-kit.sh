#!/usr/bin/env bash
# The factory repository's own checks, in a copy: its dependencies never land in
# the checkout.
set -euo pipefail

bun=$(ls -d "$FLYWHEEL_CACHE"/tools/bun-*/ | tail -n 1)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git archive HEAD src/scaffold/factory | tar -x -C "$copy" --strip-components 3
cd "$copy"
export PATH="$bun:$PATH"
bun install --frozen-lockfile
bun run check
