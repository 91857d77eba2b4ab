#!/usr/bin/env bash
# Sets plug-ins beside milters, in one run: this server with 0, 1 and 5 no-op plug-ins, and Postfix with 0, 1 and 5 milters
# that do as little. Both accept, queue durably, and do not deliver. CPU is that of server and filters together.
# Usage: tests/bench/milter.sh FOLDER, a folder on the disk to measure (not one mounted `discard`).
set -euo pipefail
source "$(dirname "$0")/server.sh"
source "$(dirname "$0")/postfix.sh"

begin "${1:?usage: tests/bench/milter.sh FOLDER}"
get_postfix
no_op_plug_ins
plug_in tests/plugins/hold.c hold

targets=()
measure() { # name, port, of what `started` tells
    targets+=(--target "$1=127.0.0.1:$2" --pid "$1=$started")
}
configure stagepost-0 2640 hold
configure stagepost-1 2641 noop-1 hold
configure stagepost-5 2645 noop-{1..5} hold
for filters in 0 1 5; do
    start "stagepost-$filters"
    measure "stagepost-$filters" "264$filters"
    start_postfix "postfix-$filters" "265$filters" "$filters"
    measure "postfix-$filters" "265$filters"
done
mail=(--from a@example.test --to b@example.test --size 4096)
for sessions in 1 20; do
    "$bin/bench" load "${targets[@]}" "${mail[@]}" --sessions "$sessions" --rounds "${ROUNDS:-5}"
done
