# Postfix as a peer to measure: unpacked without being installed, accepting and queueing only, on loopback, ended by its id.
# To be sourced behind server.sh.
# shellcheck shell=bash

peers=${CARGO_TARGET_DIR:-$root/target}/peers
master=$peers/usr/lib/postfix/sbin/master

get_postfix() { # unpacks Debian's package where `cargo verify` does, unless it is there
    [[ -x $master ]] && return
    [[ $EUID == 0 ]] || { echo "Postfix is missing: run as root, or run \`cargo verify\` as root once" >&2; exit 1; }
    mkdir -p "$peers/archives/partial"
    DEBIAN_FRONTEND=noninteractive apt-get -o Debug::NoLocking=1 -o "Dir::Cache::archives=$peers/archives" --yes \
        --no-install-recommends --download-only install postfix > /dev/null
    for archive in "$peers"/archives/*.deb; do dpkg-deb -x "$archive" "$peers"; done
}

# Users and group that every Debian has: Postfix wants some that are not root's, and no two the same.
owner=mail
drop_group=uucp
nobody=nobody

configure_postfix() { # name, port, values for smtpd_milters
    local home="$work/$1"
    mkdir -p "$home/queue" "$home/data"
    # Its daemons have another user than this script.
    chmod 711 "$work" "$home"
    chown "$owner" "$home/data"
    (
        cd "$home/queue"
        mkdir active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace
        chown "$owner" active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace
        chmod 700 active bounce corrupt defer deferred flush hold incoming private saved trace
        chgrp "$drop_group" public maildrop
        chmod 710 public
        chmod 730 maildrop
    )
    cat > "$home/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $home/queue
data_directory = $home/data
daemon_directory = $peers/usr/lib/postfix/sbin
command_directory = $peers/usr/sbin
shlib_directory = $peers/usr/lib/postfix
meta_directory = $home
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
mail_owner = $owner
setgid_group = $drop_group
default_privs = $nobody
myhostname = mx.example.test
mydestination = example.test
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
# Queued durably, never delivered.
smtpd_client_restrictions = check_client_access static:HOLD
smtpd_relay_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
in_flow_delay = 0
default_process_limit = 6000
smtpd_client_connection_count_limit = 0
smtpd_milters = ${*:3}
EOF
    cat > "$home/master.cf" <<EOF
127.0.0.1:$2 inet n - n - 6000 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
EOF
}

relay_by_postfix() { # name of a configured one, where it sends to: what goes to waits.test waits for a flush
    sed -i /static:HOLD/d "$work/$1/main.cf"
    cat >> "$work/$1/main.cf" <<EOF
relay_domains = waits.test goes.test
relayhost = [${2%:*}]:${2##*:}
smtp_host_lookup = native
transport_maps = inline:{ { waits.test = waiting:[${2%:*}]:${2##*:} } }
defer_transports = waiting
EOF
    for transport in smtp waiting relay; do echo "$transport unix - - n - - smtp"; done >> "$work/$1/master.cf"
    cat >> "$work/$1/master.cf" <<EOF
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
flush unix n - n 1000? 0 flush
pickup unix n - n 60 1 pickup
showq unix n - n - - showq
EOF
}

start_relaying_postfix() { # name, port, where it sends to; sets `started`
    relay_to=$3
    start_postfix "$1" "$2" 0
    relay_to=
}

start_postfix() { # name, port, how many milters; sets `started`, the parent of Postfix and of its milters
    local home="$work/$1" sockets=() milters=()
    for ((number = 1; number <= $3; number++)); do
        sockets+=("$work/$1-$number.socket")
        milters+=("unix:$work/$1-$number.socket")
    done
    configure_postfix "$1" "$2" "${milters[@]}"
    if [[ ${relay_to-} ]]; then relay_by_postfix "$1" "$relay_to"; fi
    (
        family=()
        trap 'kill "${family[@]}"; wait' TERM
        for socket in "${sockets[@]}"; do
            "$bin/bench" milter --socket "$socket" > /dev/null &
            family+=("$!")
        done
        LD_LIBRARY_PATH="$peers/usr/lib/postfix" "$master" -c "$home" -d &
        family+=("$!")
        wait
    ) 2> "$home/log" &
    started=$!
    pids+=("$started")
    until [[ -s $home/queue/pid/master.pid ]]; do
        kill -0 "$started" || { cat "$home/log"; exit 1; }
        sleep 0.1
    done
}
