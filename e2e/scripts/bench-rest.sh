#!/usr/bin/env bash
# Calls that the controller makes while nothing happens: writes to the API server,
# from its audit log, and requests to the forge, from its access log, over
# BENCH_SECONDS (90), against what a controller that writes its status at every
# resync would make.
set -euo pipefail

seconds=${BENCH_SECONDS:-90}
account=system:serviceaccount:flywheel-system:flywheel-controller
forge_log="$FLYWHEEL_STATE/full/logs/forge-access.log"

"$FLYWHEEL_CACHE/bin/testbed" factory | kubectl apply --server-side -f - >&2
kubectl -n flywheel wait factory/prim --for=condition=Ready --timeout=60s >&2

writes() {
    jq -r --arg user "$account" 'select(.user.username == $user and (.verb | IN("create","update","patch","delete"))) | .verb' "$AUDIT_LOG" | wc -l
}
requests() { grep -c flywheel-bot "$forge_log" || true; }

writes_before=$(writes) requests_before=$(requests)
timeout "$seconds" kubectl -n flywheel get factory prim --watch >&2 || true
resync=$(kubectl -n flywheel-system get deploy flywheel-controller -o jsonpath='{.spec.template.spec.containers[0].env[?(@.name=="FLYWHEEL_RESYNC_SECONDS")].value}')
memory=$(awk '/VmRSS/ {print $2}' "/proc/$(pgrep -f '^/usr/local/bin/flywheel controller' | head -n 1)/status")
printf '{"bench":"rest","seconds":%s,"resync_seconds":%s,"api_writes":%s,"forge_requests":%s,"naive_api_writes":%s,"controller_rss_kib":%s}\n' \
    "$seconds" "$resync" "$(($(writes) - writes_before))" "$(($(requests) - requests_before))" "$((seconds / resync))" "$memory"
