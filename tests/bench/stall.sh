#!/usr/bin/env bash
# Shows whether a plug-in that sleeps delays anybody but the session it sleeps for: 200 sessions, alone and beside a
# session whose call sleeps for good; the plug-in is asked about all of them. The sleeping session is answered at its deadline.
# Usage: tests/bench/stall.sh FOLDER, a folder on the disk to measure (not one mounted `discard`).
set -euo pipefail
source "$(dirname "$0")/server.sh"

begin "${1:?usage: tests/bench/stall.sh FOLDER}"
plug_in tests/plugins/sleeper.c sleeper -pthread
plug_in tests/plugins/hold.c hold
configure stall 2670 hold sleeper
echo 'deadline_ms = 1000' >> "$work/stall.toml"
start stall
for sleepers in 1 20; do
    "$bin/bench" stall --target "stagepost=127.0.0.1:2670" --pid "stagepost=$started" --from a@client.test --to b@example.test \
        --sleepers "$sleepers" --sessions 200 --seconds 3 --rounds "${ROUNDS:-5}"
done
