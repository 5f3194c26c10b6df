#!/usr/bin/env bash
# gofmt and go vet over the test bed's own Go. The modules around Kubernetes,
# Gitea and gVisor are a main each: gofmt alone, since vet would build them again.
set -euo pipefail

unformatted=$(git ls-files 'e2e/*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
    printf 'gofmt would change:\n%s\n' "$unformatted" >&2
    exit 1
fi
for module in e2e/testbed e2e/images; do
    (cd "$module" && go vet ./... && { [ "$module" != e2e/testbed ] || go vet -tags bed ./...; })
done
