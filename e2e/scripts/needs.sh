#!/usr/bin/env bash
# Says plainly what this machine lacks to build Flywheel. Debian packages that
# the test bed runs are installed by the test bed itself.
set -euo pipefail

# The forge's sources (e2e/forge/go.mod) take no older one.
go_wanted=1.26.2

missing=()
need() { command -v "$1" >/dev/null || missing+=("$1: $2"); }
need cargo "Rust 1.95 with rustup: https://rustup.rs"
need cc "a C compiler: apt-get install gcc libc6-dev"
need npm "Node's package manager, for Bun and the kit's packages: apt-get install npm"
need git "apt-get install git"
need curl "apt-get install curl"

# What is installed counts, not what a go.mod could make Go fetch.
if ! go_version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null); then
    missing+=("go: Go $go_wanted or later: https://go.dev/dl")
else
    here=${go_version#go} here=${here%%[!0-9.]*}
    # A development version (devel ...) has no number and is taken.
    if [ -n "$here" ] && ! printf '%s\n' "$go_wanted" "$here" | sort -V -C; then
        missing+=("go: $go_version is too old, the forge needs Go $go_wanted or later: https://go.dev/dl")
    fi
fi

if [ ${#missing[@]} -gt 0 ]; then
    echo "this machine lacks:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi
