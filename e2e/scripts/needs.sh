#!/usr/bin/env bash
# Says plainly what this machine lacks to build Flywheel. Debian packages that
# the test bed runs are installed by the test bed itself.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$1: $2"); }
need cargo "Rust 1.95 with rustup: https://rustup.rs"
need go "Go 1.25 or later: https://go.dev/dl"
need cc "a C compiler: apt-get install gcc libc6-dev"
need npm "Node's package manager, for Bun and the kit's packages: apt-get install npm"
need git "apt-get install git"
need curl "apt-get install curl"

if [ ${#missing[@]} -gt 0 ]; then
    echo "this machine lacks:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi
