#!/usr/bin/env bash
# Applies a Factory for the test bed's real forge, zone and edge, then one
# Primitive for each given document, and shows how each becomes a branch, a pull
# request, a gate, a merge, a Deployment, an HTTPS name that answers, and Live: paid
# for on the test bed's chain, and used by a SCRIPTED model, behind which there is
# no language model. Behind the example lookup is a scripted vendor.
#
#   demo.sh [FILE…]   prim.yaml documents, or Primitive objects that hold one
set -euo pipefail

files=("$@")
[ ${#files[@]} -gt 0 ] || files=(manifests/examples/primitive-suggest.yaml manifests/examples/primitive-lookup.yaml)
namespace=flywheel
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

say() { printf '\n— %s\n' "$*"; }
get() { kubectl -n "$namespace" get "$@"; }

say "the Factory: forge, zone, edge"
"$FLYWHEEL_CACHE/bin/testbed" factory | kubectl apply --server-side -f -
if ! kubectl -n "$namespace" wait factory/prim --for=condition=Ready --timeout=60s; then
    get factory prim -o wide
    exit 1
fi

say "what its gates pay and ask with: the chain's test wallet, and a scripted model; and it keeps what is derived"
kubectl -n flywheel-gates create secret generic gate-wallet --from-file=privateKey="$TEST_WALLET_KEY_FILE" --dry-run=client -o yaml |
    kubectl apply --server-side -f -
kubectl -n "$namespace" patch factory prim --type merge -p "$(printf \
    '{"spec":{"policy":{"aggregates":true,"gates":{"contract":{"wallet":"gate-wallet"},"canary":{"model":{"url":"%s","name":"%s"}}}}}}' "$MODEL_URL" "$MODEL_NAME")"

# object FILE prints the Primitive of a document, or the one that FILE is. A document
# may have routes that nobody has written yet: it goes to Testing.
object() {
    if grep -qE '^kind: *Primitive *$' "$1"; then
        cat "$1"
        return
    fi
    local id
    id=$(sed -nE 's/^id: *"?([a-z0-9-]+)"? *(#.*)?$/\1/p' "$1" | head -1)
    [ -n "$id" ] || { echo "$1: no line \"id: …\"" >&2; return 1; }
    printf 'apiVersion: flywheel.prim.sh/v1alpha1\nkind: Primitive\nmetadata: {name: %s, namespace: %s}\nspec:\n  factoryRef: {name: prim}\n  stage: Testing\n  document:\n' "$id" "$namespace"
    sed -e '/^---/d' -e 's/^/    /' "$1"
}

# placeholders ID FILE makes a Secret for what the document names as a key: the
# operator's grant, with values that open nothing. A vendor's address is that of the
# scripted one.
placeholders() {
    local names
    names=$(grep -oE '\b[A-Z][A-Z0-9_]*_(KEY|TOKEN|SECRET|PASSWORD)\b' "$2" | sort -u)
    [ -n "$names" ] || return 0
    {
        printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: demo-%s\n  namespace: flywheel-keys\n' "$1"
        printf '  labels: {flywheel.prim.sh/primitive: %s}\n  annotations: {flywheel.prim.sh/allowed-factories: %s/prim}\nstringData:\n' "$1" "$namespace"
        for name in $names; do printf '  %s: "%s"\n' "$name" "$(head -c 18 /dev/urandom | base64)"; done
        for name in $(grep -oE '\b[A-Z][A-Z0-9_]*_API_URL\b' "$2" | sort -u); do printf '  %s: "%s"\n' "$name" "$VENDOR_URL"; done
    } | kubectl apply --server-side -f - >/dev/null
    echo "Secret demo-$1 in flywheel-keys: $(tr '\n' ' ' <<<"$names")"
}

say "kubectl apply"
ids=() waits=()
for file in "${files[@]}"; do
    object "$file" >"$work/object.yaml"
    id=$(sed -nE 's/^ +id: *"?([a-z0-9-]+)"?.*$/\1/p' "$work/object.yaml" | head -1)
    placeholders "$id" "$file"
    kubectl apply --server-side -f "$work/object.yaml"
    ids+=("$id")
done

say "kubectl get primitives --watch"
columns='PRIMITIVE:.metadata.name,PHASE:.status.phase,READY:.status.conditions[?(@.type=="Ready")].status,REASON:.status.conditions[?(@.type=="Ready")].reason,MESSAGE:.status.conditions[?(@.type=="Ready")].message'
get primitives --watch -o custom-columns="$columns" | sed -u -E 's/^(.{150}).*/\1/' &
failed=0
for id in "${ids[@]}"; do
    until=condition=Ready
    [ "$(get primitive "$id" -o jsonpath='{.spec.stage}')" != Live ] || until="jsonpath={.status.phase}=Live"
    kubectl -n "$namespace" wait "primitive/$id" --for="$until" --timeout="${DEMO_TIMEOUT:-300}s" >"$work/wait-$id" 2>&1 &
    waits+=($!)
done
for wait in "${waits[@]}"; do wait "$wait" || failed=1; done
kill %1 2>/dev/null || true

say "kubectl get prim,apr,gate"
get primitives,agentprs,gateruns
[ $failed -eq 0 ] || { get primitives -o wide; exit 1; }

# milestones KIND NAME prints "name time" lines.
milestones() { get "$1" "$2" -o jsonpath='{range .status.milestones[*]}{.name} {.at}{"\n"}{end}'; }

for id in "${ids[@]}"; do
    say "$id: from kubectl apply to answering"
    change=$(get primitive "$id" -o jsonpath='{.status.agentPR}')
    {
        echo "Applied $(get primitive "$id" -o jsonpath='{.metadata.creationTimestamp}')"
        milestones primitive "$id"
        [ -z "$change" ] || milestones agentpr "$change"
    } | while read -r name at; do echo "$(date -d "$at" +%s.%N) $name"; done | sort -n | awk '
        NR == 1 { first = last = $1 }
        !seen[$2]++ { printf "  %-10s %7.1f s  +%.1f\n", $2, $1 - first, $1 - last; last = $1 }'
done

for id in "${ids[@]}"; do
    host="$id.$DNS_ZONE"
    say "dig @${DNS_SERVER%:*} $host"
    dig "@${DNS_SERVER%:*}" +noall +answer "$host" A "a-$host" TXT
    address=$(dig "@${DNS_SERVER%:*}" +short "$host" A | head -1)
    say "GET https://$host/"
    curl -sS --max-time 10 --cacert "$EDGE_CA_FILE" --resolve "$host:443:$address" -w '\n(%{http_code}, TLS verified, %{time_total} s)\n' "https://$host/"
done

echo
echo "next: eval \"\$(make env)\"; kubectl -n $namespace describe primitives; make down"
