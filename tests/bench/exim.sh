# Exim as a peer to measure: unpacked without being installed, accepting and queueing only, on loopback, ended by its id.
# To be sourced behind postfix.sh.
# shellcheck shell=bash

exim=$peers/usr/sbin/exim4
# The account that its installation would make; the number is that of `mail` on every Debian.
exim_account=8

get_exim() { # unpacks Debian's package where `cargo verify` does, unless it is there
    [[ -x $exim ]] && return
    [[ $EUID == 0 ]] || { echo "Exim is missing: run as root, or run \`cargo verify\` as root once" >&2; exit 1; }
    mkdir -p "$peers/archives/partial"
    DEBIAN_FRONTEND=noninteractive apt-get -o Debug::NoLocking=1 -o "Dir::Cache::archives=$peers/archives" --yes \
        --no-install-recommends --download-only install exim4-daemon-light > /dev/null
    for archive in "$peers"/archives/*.deb; do dpkg-deb -x "$archive" "$peers"; done
}

start_exim() { # name, port; sets `started`
    local home="$work/$1"
    mkdir -p "$home/spool" "$home/log"
    # It gives up being root, and must get there all the same.
    chmod 711 "$work" "$home"
    chown "$exim_account:$exim_account" "$home/spool" "$home/log"
    # Only it sees this account, by mounts of its own.
    for file in passwd group; do grep -v ^Debian-exim: "/etc/$file" > "$home/$file"; done
    echo "Debian-exim:x:$exim_account:$exim_account::/nonexistent:/bin/false" >> "$home/passwd"
    echo "Debian-exim:x:$exim_account:" >> "$home/group"
    local libraries
    libraries=$(find "$peers/usr/lib" -maxdepth 1 -type d | paste -sd :)
    cat > "$home/exim.conf" <<EOF
exim_path = $exim
spool_directory = $home/spool
log_file_path = $home/log/%slog
keep_environment = LD_LIBRARY_PATH
add_environment = LD_LIBRARY_PATH=$libraries
tls_advertise_hosts =
local_interfaces = 127.0.0.1
daemon_smtp_ports = $2
primary_hostname = mx.example.test
# Queued durably, never delivered.
queue_only
smtp_accept_max = 6000
smtp_accept_max_per_connection = 0
smtp_connect_backlog = 1024
smtp_accept_queue_per_connection = 0
host_lookup =
acl_smtp_rcpt = take
begin acl
take:
  accept
EOF
    LD_LIBRARY_PATH=$libraries unshare --mount sh -c 'for file in passwd group; do
        mount --bind "$0/$file" "/etc/$file" || exit 1; done; exec "$@"' \
        "$home" "$exim" -C "$home/exim.conf" -bdf 2> "$home.log" &
    started=$!
    pids+=("$started")
    until (exec 3<> "/dev/tcp/127.0.0.1/$2") 2> /dev/null; do
        kill -0 "$started" || { cat "$home.log"; exit 1; }
        sleep 0.1
    done
}
