#!/usr/bin/env bash
# How fast mail gets out to smtp-sink: 10,000 messages that go on as they come, and 10,000 that wait, once they are flushed; and as it
# comes to the least possible receiver, which leaves more of the machine to the server.
# This server with five no-op plug-ins on every stage, and with --peers beside Postfix doing the same; in one run.
# Usage: tests/bench/delivered.sh [--peers] FOLDER, a folder on the disk to measure (not one mounted `discard`).
set -euo pipefail
source "$(dirname "$0")/server.sh"
source "$(dirname "$0")/postfix.sh"

with_peers=
if [[ ${1-} == --peers ]]; then with_peers=yes; shift; fi
begin "${1:?usage: tests/bench/delivered.sh [--peers] FOLDER}"
# The sink comes with it in any case.
get_postfix
sink=$work/smtp-sink
printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$peers/usr/lib/postfix" "$peers/usr/sbin/smtp-sink" > "$sink"
chmod 755 "$sink"

no_op_plug_ins
configure relaying 2640 noop-{1..5}
cat >> "$work/relaying.toml" <<EOF
[[route]]
domain = "waits.test"
next_hop = "127.0.0.1:2650"
hold = "30d"
[[route]]
domain = "goes.test"
next_hop = "127.0.0.1:2650"
EOF
start relaying
measured=(--target stagepost=127.0.0.1:2640 --sink-at stagepost=127.0.0.1:2650 --pid "stagepost=$started")
flushes=(--flush "stagepost=$bin/stagepost queue flush waits.test --config $work/relaying.toml")
if [[ $with_peers ]]; then
    start_relaying_postfix postfix 2641 127.0.0.1:2651
    measured+=(--target postfix=127.0.0.1:2641 --sink-at postfix=127.0.0.1:2651 --pid "postfix=$started")
    # What its queue manager has not put aside yet, a flush does not find.
    settled="while find $work/postfix/queue/incoming $work/postfix/queue/active -type f | grep -q .; do sleep 0.2; done"
    flushes+=(--settle "postfix=$settled")
    flushes+=(--flush "postfix=LD_LIBRARY_PATH=$peers/usr/lib/postfix MAIL_CONFIG=$work/postfix $peers/usr/sbin/postqueue -f")
fi
sleep 0.5
for size in 4096 51200; do
    coming=(--from a@example.test --to b@goes.test --size "$size" --rounds 3)
    "$bin/bench" delivered --sink "$sink" "${measured[@]}" "${coming[@]}"
    "$bin/bench" delivered "${measured[@]}" "${coming[@]}"
done
"$bin/bench" delivered --sink "$sink" "${measured[@]}" "${flushes[@]}" --from a@example.test --to b@waits.test --rounds 3
