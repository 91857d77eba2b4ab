# Haraka as a peer to measure: from npm, in a folder beside the unpacked peers, accepting and queueing only, on loopback, ended by its id.
# To be sourced behind postfix.sh.
# shellcheck shell=bash

haraka=$peers/haraka/node_modules/Haraka/bin/haraka

get_haraka() { # gets it by npm, unless it is there
    [[ -f $haraka ]] && return
    mkdir -p "$peers/haraka"
    npm install --silent --no-audit --no-fund --omit=dev --omit=optional --prefix "$peers/haraka" Haraka > /dev/null
}

start_haraka() { # name, port; sets `started`
    local home="$work/$1"
    mkdir -p "$home/plugins" "$home/queue"
    cp -r "${haraka%/bin/*}/config" "$home/config"
    printf 'listen=127.0.0.1:%s\nnodes=0\n' "$2" > "$home/config/smtp.ini"
    # Queued durably, never delivered.
    echo disabled=true > "$home/config/outbound.ini"
    printf '[main]\nlevel=warn\n' > "$home/config/log.ini"
    echo mx.example.test > "$home/config/me"
    echo take > "$home/config/plugins"
    cat > "$home/plugins/take.js" <<'EOF'
exports.hook_mail = (next, connection) => {
    connection.relaying = true
    next(OK)
}
exports.hook_rcpt = (next) => next(OK)
EOF
    node "$haraka" -c "$home" > "$home.log" 2>&1 &
    started=$!
    pids+=("$started")
    until (exec 3<> "/dev/tcp/127.0.0.1/$2") 2> /dev/null; do
        kill -0 "$started" || { cat "$home.log"; exit 1; }
        sleep 0.1
    done
}
