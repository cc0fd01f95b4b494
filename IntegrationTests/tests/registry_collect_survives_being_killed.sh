#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark collects while it serves"
need python3
export HALLMARK_REGISTRY_COLLECT_EVERY=1s HALLMARK_REGISTRY_COLLECT_GRACE=4s HALLMARK_REGISTRY_COLLECT_UNTAGGED=1s \
    HALLMARK_REGISTRY_COLLECT_LEFTOVERS=4s
start_hallmark
journal=$SCRATCH/tmp/journal
touch "$journal"

step "clients push, others leave garbage, collections run inside and beside the server, and all are killed again and again"
start pusher python3 "$HERE/acknowledged.py" push "$REGISTRY" "$journal"
start garbage python3 "$HERE/registry_content.py" garbage "$REGISTRY"
for round in 1 2 3 4; do
    before=$(grep -c '^latest' "$journal" || true)
    more() { (($(grep -c '^latest' "$journal") > before + 3)); }
    for _ in 1 2 3; do
        timeout --signal KILL "0.$((RANDOM % 60 + 10))" hallmark registry collect --data "$HALLMARK_DATA" \
            >>"$SCRATCH/logs/collect" 2>&1 || true
    done
    eventually 20 more || fail "round $round: pushes do not go on"
    sleep "0.$((RANDOM % 40 + 10))"
    crash hallmark
    start_hallmark
done
stop garbage
stop pusher

step "nothing is missing, and everything that was acknowledged is there"
succeeds hallmark registry scrub --data "$HALLMARK_DATA"
says ": 0 problems"
python3 "$HERE/acknowledged.py" verify "$REGISTRY" "$journal" || fail "acknowledged content was lost"

step "what is left over goes"
sleep 5
succeeds hallmark registry collect --data "$HALLMARK_DATA"
# The first one set free what the second one takes.
succeeds hallmark registry collect --data "$HALLMARK_DATA" --output json
count() { python3 - "$HALLMARK_DATA" <<'PYTHON'; }
import os, sqlite3, sys
data = sys.argv[1]
database = sqlite3.connect(f"file:{data}/registry.sqlite?mode=ro", uri=True)
one = lambda sql: database.execute(sql).fetchone()[0]
files = sum(len(names) for _, _, names in os.walk(f"{data}/registry/blobs"))
rows = one("SELECT COUNT(*) FROM blobs")
used = one("SELECT COUNT(DISTINCT digest) FROM manifest_references WHERE kind = 'blob'")
untagged = one(
    "SELECT COUNT(*) FROM manifests AS m WHERE NOT EXISTS"
    " (SELECT 1 FROM tags AS t WHERE t.repository = m.repository AND t.digest = m.digest)"
)
links = one(
    "SELECT COUNT(*) FROM repository_blobs AS l WHERE NOT EXISTS (SELECT 1 FROM manifest_references AS r"
    " WHERE r.digest = l.digest AND r.kind = 'blob' AND r.repository = l.repository)"
)
print(f"files {files - rows} rows {rows - used} untagged {untagged} links {links} trash {one('SELECT COUNT(*) FROM trash')}")
PYTHON
equal "$(count)" "files 0 rows 0 untagged 0 links 0 trash 0" "what is there that nothing needs"

step "and nothing else"
succeeds hallmark registry scrub --data "$HALLMARK_DATA" --restart
python3 "$HERE/acknowledged.py" verify "$REGISTRY" "$journal" || fail "acknowledged content was collected"
