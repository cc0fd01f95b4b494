#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need python3
start_servers
journal=$SCRATCH/tmp/journal
touch "$journal"

step "four clients push while the registry is killed again and again"
start pusher python3 "$HERE/acknowledged.py" push "$REGISTRY" "$journal"
for round in 1 2 3 4 5 6; do
    before=$(grep -c '^latest' "$journal" || true)
    more() { (($(grep -c '^latest' "$journal") > before + 3)); }
    eventually 20 more || fail "round $round: pushes do not go on"
    sleep "0.$((RANDOM % 40 + 10))"
    crash_registry
    start_registry_again
done
before=$(grep -c '^latest' "$journal")
eventually 20 more || fail "after the last kill pushes do not go on"
stop pusher

step "everything that it acknowledged is there"
python3 "$HERE/acknowledged.py" verify "$REGISTRY" "$journal" || fail "acknowledged content was lost"

step "and still after one more restart"
crash_registry
start_registry_again
python3 "$HERE/acknowledged.py" verify "$REGISTRY" "$journal" || fail "acknowledged content was lost"
