#!/usr/bin/env bash
# Milliseconds from a document's text to the files of its package, in process:
# `search` alone, and all documents in FLYWHEEL_SPECS. Beside it copier, a tool
# that fills templates, with a template of ten files. Without those documents our
# own are measured, and without copier there is no ratio; both are said.
set -euo pipefail

COPIER=9.19.1
specs=${FLYWHEEL_SPECS:-../shared/data/prim.sh}

mapfile -t documents < <(find "$specs/prims" "$specs/site-prims" -name '*.yaml' 2>/dev/null | sort)
first=$specs/prims/search.prim.yaml
if [ ! -f "$first" ]; then
    echo "SKIPPED: no prims/search.prim.yaml in $specs (FLYWHEEL_SPECS): our own documents instead" >&2
    documents=(tests/scaffold/documents/*.yaml)
    first=tests/scaffold/documents/notes.yaml
fi
# The one that is measured alone is also one of all.
ordered=("$first")
for document in "${documents[@]}"; do [ "$document" = "$first" ] || ordered+=("$document"); done
ours=$(cargo run --locked --quiet --release --example bench-scaffold -- "${ordered[@]}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# copier_ms prints the median of five renderings, each a process as people start it.
copier_ms() {
    local tools="$FLYWHEEL_CACHE/tools/copier-$COPIER" n
    if [ ! -x "$tools/bin/copier" ]; then
        rm -rf "$tools"
        python3 -m venv "$tools" && "$tools/bin/pip" install --quiet --disable-pip-version-check "copier==$COPIER" || return 1
    fi >&2
    mkdir -p "$work/template"
    printf 'name:\n  type: str\n  default: search\nroutes:\n  type: int\n  default: 3\n' >"$work/template/copier.yml"
    for n in 0 1 2 3 4 5 6 7 8 9; do
        printf '# {{ name }} %s\n{%% for route in range(routes) %%}\nexport const {{ name }}{{ route }} = {{ route }};\n{%% endfor %%}\n' "$n" >"$work/template/file$n.ts.jinja"
    done
    for n in 1 2 3 4 5; do
        local begin=$EPOCHREALTIME
        "$tools/bin/copier" copy --quiet --defaults "$work/template" "$work/out$n" >&2 || return 1
        awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", (b - a) * 1000 }'
    done >"$work/times" || return 1
    [ "$(find "$work/out1" -name '*.ts' | wc -l)" = 10 ] || return 1
    sort -n "$work/times" | sed -n 3p
}
if ! copier=$(copier_ms); then
    echo "SKIPPED: copier $COPIER can't be installed or run here, so there is no ratio" >&2
    copier=null
fi
OURS=$ours COPIER_MS=$copier python3 - <<'EOF'
import json, os
ours, copier = json.loads(os.environ["OURS"]), json.loads(os.environ["COPIER_MS"])
ratio = copier and round(copier / ours["one_spec_p50_ms"])
print(json.dumps({"bench": "scaffold", **ours, "copier_ms": copier, "copier_ratio": ratio}, separators=(",", ":")))
EOF
