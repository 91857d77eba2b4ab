#!/usr/bin/env bash
# Makes the tables of docs/performance.md: this server, five no-op plug-ins on every stage, beside the least possible
# receivers, in one run. Usage: tests/bench/table.sh FOLDER, a folder on the disk to measure (not one mounted `discard`).
set -euo pipefail

folder=$(realpath "${1:?usage: tests/bench/table.sh FOLDER}")
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
cargo build --quiet --release --package stagepost --package stagepost-bench
bin=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d "$folder/stagepost-bench.XXXXXX")
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait || true
    rm -rf "$work"
}
trap finish EXIT

compile() { # source, name, further flags
    "${CC:-cc}" -O2 -fPIC -shared -fvisibility=hidden -Iinclude "${@:3}" -o "$work/lib$2.so" "$1"
    printf '[[plugin]]\nname = "%s"\npath = "%s"\n' "$2" "$2" >> "$work/server.toml"
}

cat > "$work/server.toml" <<EOF
hostname = "mx.example.test"
state_dir = "$work/state"
[[listen]]
name = "measured"
address = "127.0.0.1:2630"
[limits]
sessions_max = 20000
sessions_per_address_max = 20000
[[local_domain]]
name = "example.test"
mailboxes = "any"
[plugins]
dir = "$work"
EOF
for number in 1 2 3 4 5; do compile tests/faults/noop.c "noop-$number" "-DNAME=\"noop-$number\""; done
compile tests/plugins/hold.c hold

start_server() { # name of its log: one for each start, so that an older start's line is not taken for this one's
    local log="$work/$1.log"
    "$bin/stagepost" run --config "$work/server.toml" 2> "$log" &
    server=$!
    pids+=("$server")
    until grep -q listening "$log"; do
        kill -0 "$server" || { cat "$log"; exit 1; }
        sleep 0.1
    done
}
start_receiver() { # mode, port, further arguments
    "$bin/bench" receive --mode "$1" --listen "127.0.0.1:$2" "${@:3}" > "$work/$1.log" 2>&1 &
    pids+=("$!")
    started=$!
}

start_server first
start_receiver none 2631; none=$started
start_receiver each 2632 --spool "$work/each.spool"; each=$started
start_receiver group 2633 --spool "$work/group.spool"; group=$started
sleep 0.5
targets=(--target stagepost=127.0.0.1:2630 --target none=127.0.0.1:2631 --target each=127.0.0.1:2632
    --target group=127.0.0.1:2633 --pid "stagepost=$server" --pid "none=$none" --pid "each=$each" --pid "group=$group")
mail=(--from a@example.test --to b@example.test)
for sessions in 1 20 100; do
    "$bin/bench" load "${targets[@]}" "${mail[@]}" --sessions "$sessions" --size 4096 --rounds 3
done
"$bin/bench" load "${targets[@]}" "${mail[@]}" --sessions 100 --per-session 1 --size 4096 --rounds 3
"$bin/bench" load "${targets[@]}" "${mail[@]}" --sessions 20 --size 51200 --rounds 3
"$bin/bench" rate "${targets[@]}" "${mail[@]}" --per-second 100 --rounds 3
"$bin/bench" connect "${targets[@]}" --sessions 20 --rounds 3
# Memory wants a server that has served no crowd yet.
kill "$server"
wait "$server" || true
start_server second
"$bin/bench" idle --target stagepost=127.0.0.1:2630 --pid "stagepost=$server" "${mail[@]}" --sessions 5000
