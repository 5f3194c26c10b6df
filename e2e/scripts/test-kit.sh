#!/usr/bin/env bash
# The factory repository's own checks, in a copy of the working tree's files: its
# dependencies never land in the checkout.
set -euo pipefail

bun=$("$FLYWHEEL_CACHE/bin/testbed" program bun)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# New files count, files that were deleted don't.
git ls-files -z --cached --others --exclude-standard src/scaffold/factory |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar --null -T - -c | tar -x -C "$copy" --strip-components 3
cd "$copy"
export PATH="$bun:$PATH"
bun install --frozen-lockfile
bun run check
