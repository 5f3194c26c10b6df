#!/usr/bin/env bash
# Runs make targets one after the other, each with its time, up to the first that
# fails, and ends with a table of where the time went.
set -uo pipefail

names=() times=() results=()
failed=0
for stage in "$@"; do
    printf '\n=== %s\n' "$stage"
    begin=$SECONDS
    if make "$stage"; then result=passed; else result=FAILED failed=1; fi
    names+=("$stage") times+=($((SECONDS - begin))) results+=("$result")
    [ $failed = 0 ] || break
done

printf '\n%-20s %8s  %s\n' stage seconds result
for i in "${!names[@]}"; do printf '%-20s %8d  %s\n' "${names[$i]}" "${times[$i]}" "${results[$i]}"; done
printf '%-20s %8d  of %d stages, %d run\n' total "$SECONDS" $# "${#names[@]}"
exit $failed
