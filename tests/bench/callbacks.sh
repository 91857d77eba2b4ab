#!/usr/bin/env bash
# Tells what plug-ins cost: a callback by the clock, and a whole message in what can be counted on a busy machine too:
# instructions, allocations and system calls, with no plug-in and with five no-op plug-ins on every stage. (Both have the
# one that holds messages, so that none is delivered.) Needs valgrind and strace; says so where they are missing.
# Usage: tests/bench/callbacks.sh [FOLDER], where the servers' queues go; the system's folder for temporary files without it.
set -euo pipefail
shopt -s inherit_errexit
source "$(dirname "$0")/server.sh"

begin "${1:-${TMPDIR:-/tmp}}"
no_op_plug_ins
plug_in tests/faults/noop.c noop-pool '-DNAME="noop-pool"' -DCLASS=EM_CLASS_BLOCKING
plug_in tests/plugins/later.c later -pthread
plug_in tests/plugins/hold.c hold
configure none 2660 hold
configure five 2665 noop-{1..5} hold
declare -A ports=([none]=2660 [five]=2665)
noops=()
for number in 1 2 3 4 5; do noops+=(--plugin "$work/libnoop-$number.so"); done

echo "## A callback in line, one on the pool, one answered later from another thread"
"$bin/bench" dispatch "${noops[@]}" --chain 1 --chain 5
"$bin/bench" dispatch --plugin "$work/libnoop-pool.so" --wait --only mail --asks 20000
"$bin/bench" dispatch --plugin "$work/liblater.so" --wait --only mail --asks 20000

echo "## CPU of a message, by the clock"
targets=()
for name in none five; do
    start "$name"
    targets+=(--target "$name=127.0.0.1:${ports[$name]}" --pid "$name=$started")
done
mail=(--from a@example.test --to b@example.test)
"$bin/bench" load "${targets[@]}" "${mail[@]}" --sessions 20 --seconds 1 --rounds "${ROUNDS:-15}"
for server in "${pids[@]}"; do stop "$server"; done
pids=()

missing() { # program: whether it is missing, and says what is left out
    command -v "$1" > /dev/null && return 1
    if [[ $EUID == 0 ]] && apt-get update > /dev/null && apt-get install --yes "$1" > /dev/null; then return 1; fi
    echo "$1 is missing: $2 are not counted"
}

# A run of each length; the difference leaves out start and end.
readonly SHORT=200 LONG=2200
send() { # server, messages
    "$bin/bench" send --target "$1=127.0.0.1:${ports[$1]}" "${mail[@]}" --messages "$2" > /dev/null
}
per_message() { # what was counted in the short run, and in the long one
    awk -v short="$1" -v long="$2" -v messages=$((LONG - SHORT)) 'BEGIN { printf "%.1f", (long - short) / messages }'
}
difference() { # what is counted, server
    local short long
    short=$("$1" "$2" $SHORT)
    long=$("$1" "$2" $LONG)
    per_message "$short" "$long"
}
row() { # title, with no plug-in, with five
    awk -v title="$1" -v none="$2" -v five="$3" 'BEGIN { printf "%-28s %12.1f %12.1f %12.1f\n", title, none, five, five - none }'
}

begin_empty() { # server: what an earlier run left in its queue is not to be read
    rm -rf "$work/$1.state"
}
instructions() { # server, messages
    begin_empty "$1"
    start "$1" valgrind --tool=callgrind "--callgrind-out-file=$work/callgrind"
    send "$1" "$2"
    stop "$started"
    sed -n 's/.*Collected : //p' "$work/$1.log"
}
allocations() { # server, messages
    begin_empty "$1"
    start "$1" valgrind --tool=dhat "--dhat-out-file=$work/dhat"
    send "$1" "$2"
    stop "$started"
    sed -n 's/.*Total: .* bytes in \([0-9,]*\) blocks/\1/p' "$work/$1.log" | tr -d ,
}
system_calls() { # server, messages: a line for each call, and the total
    begin_empty "$1"
    start "$1"
    : > "$work/strace.log"
    strace -f -c -U calls,name -o "$work/strace" -p "$started" 2> "$work/strace.log" &
    local tracer=$!
    until grep -q attached "$work/strace.log"; do sleep 0.1; done
    send "$1" "$2"
    kill -INT "$tracer"
    wait "$tracer" || true
    stop "$started"
    awk '$1 ~ /^[0-9]+$/ { print $2, $1 }' "$work/strace"
}

echo "## A message, counted"
printf '%-28s %12s %12s %12s\n' "for each message" "no plug-in" "five no-ops" "more"
if ! missing valgrind "instructions and allocations"; then
    for what in instructions allocations; do
        none=$(difference $what none)
        five=$(difference $what five)
        row "$what" "$none" "$five"
    done
fi
if ! missing strace "system calls"; then
    for name in none five; do
        for messages in $SHORT $LONG; do system_calls "$name" "$messages" > "$work/calls.$name.$messages"; done
    done
    calls() { # messages of the run
        awk -v call="$call" '$1 == call { found = $2 } END { print found + 0 }' "$work/calls.$name.$1"
    }
    # Calls of which there is one for every tenth message, or more.
    for call in total $(awk -v least=$((LONG / 10)) '$2 >= least && $1 != "total" { print $1 }' "$work"/calls.*.$LONG | sort -u); do
        title="system calls"
        [[ $call == total ]] || title="    $call"
        for name in none five; do
            declare "$name=$(per_message "$(calls $SHORT)" "$(calls $LONG)")"
        done
        row "$title" "$none" "$five"
    done
fi
if ! missing valgrind "instructions of a callback"; then
    echo "## A callback in line, counted"
    declare -A counted
    for chain in 1 5; do
        valgrind --tool=callgrind "--callgrind-out-file=$work/callgrind" --toggle-collect='*ask_each*' "$bin/bench" \
            dispatch "${noops[@]}" --chain $chain --only mail --asks 10000 --rounds 1 > /dev/null 2> "$work/log"
        counted[$chain]=$(sed -n 's/.*Collected : //p' "$work/log")
    done
    awk -v one="${counted[1]}" -v five="${counted[5]}" 'BEGIN {
        printf "instructions of a question to one plug-in: %.0f\n", one / 10000
        printf "instructions of each further plug-in: %.0f\n", (five - one) / 4 / 10000
    }'
fi
