#!/usr/bin/env bash
# How long a gate of 80 tests takes, ours and Hurl's in turn, against one server on
# loopback: at once, and with 20 ms of latency for each request. Whole commands are
# measured, from their start to their end, a release build of ours. Hurl runs the
# same tests in two ways: one file, which it sends in order on one connection, and a
# file for each of the sixteen chains with `--jobs 16`. `hurl_ms` and
# `loopback_ratio` are of the faster of the two; `latency_ratio` is of the one file,
# since what can run at once is said by our plan and found by the runner, and
# `latency_ratio_files` of the sixteen. `rss_mb` is the most memory that ours had.
set -euo pipefail

HURL=${1:?name the hurl program}
cargo build --locked --quiet --release --bin flywheel --example bench-gate
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
FLYWHEEL="$CARGO_TARGET_DIR/release/flywheel" SERVER="$CARGO_TARGET_DIR/release/examples/bench-gate" HURL="$HURL" WORK="$work" python3 - <<'EOF'
import glob, json, os, statistics, subprocess, sys, time

work = os.environ["WORK"]
rounds = int(os.environ.get("ROUNDS", "21"))
server = subprocess.Popen([os.environ["SERVER"], work], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
about = json.loads(server.stdout.readline())
quiet = open(os.devnull, "r+")

def run(command):
    """Milliseconds and the most memory in KiB of a command that must succeed."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    took = (time.perf_counter() - began) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command} ended with {child.returncode}: {errors.decode()}")
    return took, usage.ru_maxrss

def commands(kind):
    hurl = [os.environ["HURL"], "--test", "--no-color"]
    return {
        "ours": [os.environ["FLYWHEEL"], "gate", "run", f"{work}/{kind}.json"],
        "one": hurl + ["--jobs", "1", f"{work}/{kind}.hurl"],
        "files": hurl + ["--parallel", "--jobs", "16"] + sorted(glob.glob(f"{work}/{kind}/*.hurl")),
    }

def measure(kind):
    every = commands(kind)
    times, memory = {name: [] for name in every}, {name: 0 for name in every}
    for turn in range(rounds + 2):
        for name, command in every.items():
            took, most = run(command)
            memory[name] = max(memory[name], most)
            if turn >= 2:
                times[name].append(took)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name in every:
        print(f"{kind} {name}: median {medians[name]:.1f} ms, least {min(times[name]):.1f}, most {max(times[name]):.1f}; {memory[name] / 1024:.1f} MB", file=sys.stderr)
    return medians, memory

fast, memory = measure("fast")
slow, _ = measure("slow")
server.stdin.close()
server.wait()
path = about["critical_path"] * about["latency_ms"]
best = min(fast["one"], fast["files"])
print(json.dumps({
    "ours_ms": round(fast["ours"], 1),
    "hurl_ms": round(best, 1),
    "loopback_ratio": round(best / fast["ours"], 2),
    "latency_ratio": round(slow["one"] / slow["ours"], 2),
    "rss_mb": round(memory["ours"] / 1024, 1),
    "latency_ratio_files": round(slow["files"] / slow["ours"], 2),
    "latency_ours_ms": round(slow["ours"], 1),
    "critical_path_ms": path,
    "critical_path_ratio": round(slow["ours"] / path, 2),
    "hurl_rss_mb": round(min(memory["one"], memory["files"]) / 1024, 1),
    "tests": about["tests"],
    "rounds": rounds,
}, separators=(",", ":")))
EOF
