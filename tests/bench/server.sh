# What the scripts beside this share: a folder of their own, servers and plug-ins in it, all ended by their ids.
# To be sourced. Sets: root, bin (the built programs), work (the folder).
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${CARGO_TARGET_DIR:-$root/target}/release
pids=()

begin() { # folder on the disk to measure
    cd "$root"
    cargo build --quiet --release --package stagepost --package stagepost-bench
    work=$(mktemp -d "$(realpath "$1")/stagepost-bench.XXXXXX")
    trap finish EXIT
}

finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait || true
    rm -rf "$work"
}

stop() { # process that `start` began
    kill "$1"
    wait "$1" || true
}

plug_in() { # source, name, further flags: compiles it; `server` finds it by its name
    "${CC:-cc}" -O2 -fPIC -shared -fvisibility=hidden -Iinclude "${@:3}" -o "$work/lib$2.so" "$1"
}

no_op_plug_ins() { # compiles noop-1 to noop-5
    for number in 1 2 3 4 5; do plug_in tests/faults/noop.c "noop-$number" "-DNAME=\"noop-$number\""; done
}

configure() { # name of a server, port, names of its plug-ins
    cat > "$work/$1.toml" <<EOF
hostname = "mx.example.test"
state_dir = "$work/$1.state"
[[listen]]
name = "measured"
address = "127.0.0.1:$2"
[limits]
sessions_max = 20000
sessions_per_address_max = 20000
[[local_domain]]
name = "example.test"
mailboxes = "any"
[plugins]
dir = "$work"
EOF
    for plugin in "${@:3}"; do printf '[[plugin]]\nname = "%s"\npath = "%s"\n' "$plugin" "$plugin"; done >> "$work/$1.toml"
}

start() { # name of a configured server, command to run it under; sets `started`
    local log="$work/$1.log"
    # An older start's line is not to be taken for this one's.
    : > "$log"
    "${@:2}" "$bin/stagepost" run --config "$work/$1.toml" 2> "$log" &
    started=$!
    pids+=("$started")
    until grep -q listening "$log"; do
        kill -0 "$started" || { cat "$log"; exit 1; }
        sleep 0.1
    done
}
