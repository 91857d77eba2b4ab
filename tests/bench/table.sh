#!/usr/bin/env bash
# Makes the tables of docs/performance.md: this server, five no-op plug-ins on every stage, beside the least possible
# receivers, and with --peers beside Postfix, Exim and Haraka, which queue and do not deliver; in one run.
# Usage: tests/bench/table.sh [--peers] FOLDER, a folder on the disk to measure (not one mounted `discard`).
set -euo pipefail
source "$(dirname "$0")/server.sh"
source "$(dirname "$0")/postfix.sh"
source "$(dirname "$0")/exim.sh"
source "$(dirname "$0")/haraka.sh"

with_peers=
if [[ ${1-} == --peers ]]; then with_peers=yes; shift; fi
begin "${1:?usage: tests/bench/table.sh [--peers] FOLDER}"
no_op_plug_ins
plug_in tests/plugins/hold.c hold
configure measured 2630 noop-{1..5} hold

start_receiver() { # mode, port, further arguments
    "$bin/bench" receive --mode "$1" --listen "127.0.0.1:$2" "${@:3}" > "$work/$1.log" 2>&1 &
    pids+=("$!")
    started=$!
}

start measured; server=$started
start_receiver none 2631; none=$started
start_receiver each 2632 --spool "$work/each.spool"; each=$started
start_receiver group 2633 --spool "$work/group.spool"; group=$started
targets=(--target stagepost=127.0.0.1:2630 --target none=127.0.0.1:2631 --target each=127.0.0.1:2632
    --target group=127.0.0.1:2633 --pid "stagepost=$server" --pid "none=$none" --pid "each=$each" --pid "group=$group")
if [[ $with_peers ]]; then
    get_postfix
    start_postfix postfix 2634 0
    targets+=(--target postfix=127.0.0.1:2634 --pid "postfix=$started")
    get_exim
    start_exim exim 2635
    targets+=(--target exim=127.0.0.1:2635 --pid "exim=$started")
    get_haraka
    start_haraka haraka 2636
    targets+=(--target haraka=127.0.0.1:2636 --pid "haraka=$started")
fi
sleep 0.5
mail=(--from a@example.test --to b@example.test)
for sessions in 1 20 100; do
    "$bin/bench" load "${targets[@]}" "${mail[@]}" --sessions "$sessions" --size 4096 --rounds 3
done
"$bin/bench" load "${targets[@]}" "${mail[@]}" --sessions 100 --per-session 1 --size 4096 --rounds 3
"$bin/bench" load "${targets[@]}" "${mail[@]}" --sessions 20 --size 51200 --rounds 3
"$bin/bench" rate "${targets[@]}" "${mail[@]}" --per-second 100 --rounds 3
"$bin/bench" connect "${targets[@]}" --sessions 20 --rounds 3
# Memory wants a server that has served no crowd yet.
stop "$server"
start measured
"$bin/bench" idle --target stagepost=127.0.0.1:2630 --pid "stagepost=$started" "${mail[@]}" --sessions 5000
