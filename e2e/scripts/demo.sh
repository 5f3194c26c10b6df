#!/usr/bin/env bash
# Applies a Factory for the test bed's real forge, zone and edge, waits until the
# controller has checked them all, and shows what it says.
set -euo pipefail

factory=$("$FLYWHEEL_CACHE/bin/testbed" factory)
echo
echo "— kubectl apply"
kubectl apply --server-side -f - <<<"$factory"

echo
echo "— kubectl wait"
if ! kubectl -n flywheel wait factory/prim --for=condition=Ready --timeout=60s; then
    kubectl -n flywheel get factory prim -o wide
    exit 1
fi

echo
echo "— kubectl get factories"
kubectl -n flywheel get factories
echo
echo "— its conditions"
kubectl -n flywheel get factory prim -o jsonpath='{range .status.conditions[*]}{.type}{"\t"}{.status}{"\t"}{.reason}{"\t"}{.message}{"\n"}{end}' |
    awk -F '\t' '{ printf "%-22s  %-7s  %-22s  %s\n", $1, $2, $3, $4 }'
echo
echo "— what the forge, the zone and the edge are"
echo "forge  ${FORGE_URL%/}/prim/factory"
echo "zone   dig @${DNS_SERVER%:*} SOA $DNS_ZONE"
echo "edge   https://$EDGE_ADDRESS"
echo
echo "next: eval \"\$(make env)\"; kubectl -n flywheel describe factory prim; make down"
