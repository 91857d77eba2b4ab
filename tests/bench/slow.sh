#!/usr/bin/env bash
# Whether slow senders delay others: 100 messages a second by the clock, alone, beside 300 and beside 10,000 sessions that are in the
# middle of a message and send an octet of it every second (`drip.py`).
# Usage: tests/bench/slow.sh FOLDER, a folder on the disk to measure (not one mounted `discard`).
set -euo pipefail
source "$(dirname "$0")/server.sh"

begin "${1:?usage: tests/bench/slow.sh FOLDER}"
configure measured 2630
start measured

rate() { # name of the line in the table
    "$bin/bench" rate --target "$1=127.0.0.1:2630" --pid "$1=$started" --per-second 100 --rounds 3 --seconds 4 \
        --from a@example.test --to b@example.test --size 4096
}

rate alone
for senders in 300 10000; do
    # The descriptors that it and the server need count against the hard limit of open files.
    python3 tests/bench/drip.py 2630 "$senders" 60 > "$work/drip.log" & dripping=$!
    pids+=("$dripping")
    until grep -q dripping "$work/drip.log"; do
        kill -0 "$dripping" 2>/dev/null || { echo "the slow senders came to an end" >&2; exit 1; }
        sleep 0.2
    done
    rate "beside-$senders"
    stop "$dripping"
done
