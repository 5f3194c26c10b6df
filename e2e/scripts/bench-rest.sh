#!/usr/bin/env bash
# Calls that the controller makes while nothing happens: writes to the API server,
# from its audit log, and requests to the forge, from its access log, over
# BENCH_SECONDS (90), against what a controller that writes its status at every
# resync would make. Renewals of its Lease are counted apart: they show that it
# lives, whatever happens.
set -euo pipefail

seconds=${BENCH_SECONDS:-90}
account=system:serviceaccount:flywheel-system:flywheel-controller
forge_log="$FLYWHEEL_STATE/full/logs/forge-access.log"

"$FLYWHEEL_CACHE/bin/testbed" factory | kubectl apply --server-side -f - >&2
kubectl -n flywheel wait factory/prim --for=condition=Ready --timeout=60s >&2

# The API server writes these fields in this order, an event to a line.
all_writes() { grep -E "\"verb\":\"(create|update|patch|delete)\",\"user\":\{\"username\":\"$account\"" "$AUDIT_LOG" || true; }
renewals() { all_writes | grep -c '"resource":"leases"' || true; }
writes() { all_writes | grep -cv '"resource":"leases"' || true; }
# controller prints its process: on the host it has the name it has in its pod.
controller() {
    local arguments process
    for arguments in /proc/[0-9]*/cmdline; do
        if [ "$(tr '\0' ' ' 2>/dev/null <"$arguments")" = "/usr/local/bin/flywheel controller " ]; then
            process=${arguments%/cmdline}
            echo "${process#/proc/}"
            return
        fi
    done
    echo "the controller does not run" >&2
    return 1
}
requests() { grep -c flywheel-bot "$forge_log" || true; }

writes_before=$(writes) renewals_before=$(renewals) requests_before=$(requests)
timeout "$seconds" kubectl -n flywheel get factory prim --watch >&2 || true
resync=$(kubectl -n flywheel-system get deploy flywheel-controller -o jsonpath='{.spec.template.spec.containers[0].env[?(@.name=="FLYWHEEL_RESYNC_SECONDS")].value}')
process=$(controller)
memory=$(awk '/VmRSS/ {print $2}' "/proc/$process/status")
printf '{"bench":"rest","seconds":%s,"resync_seconds":%s,"api_writes":%s,"lease_renewals":%s,"forge_requests":%s,"naive_api_writes":%s,"controller_rss_kib":%s}\n' \
    "$seconds" "$resync" "$(($(writes) - writes_before))" "$(($(renewals) - renewals_before))" "$(($(requests) - requests_before))" "$((seconds / resync))" "$memory"
