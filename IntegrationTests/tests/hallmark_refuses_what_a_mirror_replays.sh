#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

# Every signature that this mirror shows is genuine. The notary client runs beside hallmark: what it refuses must be refused.
need_hallmark client
need notary python3
start_servers
new_user alice
new_user bob
gun=$REGISTRY/team/app
image=$gun:1.0
mirrored=$SCRATCH/tmp/mirrored

# record: the mirror takes everything that the server has now.
record() {
    local role
    rm -rf "$mirrored"
    mkdir -p "$mirrored/$gun"
    for role in root targets snapshot timestamp 1.root; do metadata "$gun" $role >"$mirrored/$gun/$role.json"; done
    cp -r "$mirrored" "$SCRATCH/tmp/$1"
}
# show NAME: what was recorded under that name is what the mirror has.
show() { rm -rf "$mirrored" && cp -r "$SCRATCH/tmp/$1" "$mirrored"; }

# by_mirror USER PROGRAM VERB ARGUMENT...: as that user, who takes the mirror for the server.
by_mirror() {
    local user=$1 program=$2
    shift 2
    TRUST_SERVER=$MIRROR TRUST_CA=$SCRATCH/tmp/ca.crt "${program}_of" "$user" "$@"
}

# refused CODES WHY: by hallmark with one of these exit codes, leaving nothing; and by notary.
refused() {
    local reference=notary-$RANDOM
    new_user $reference
    cp -r "$(home bob)/.docker/trust" "$(home $reference)/.docker/"
    fails by_mirror $reference notary lookup "$gun" 1.0
    try by_mirror bob hallmark pull "$image" nothing
    [[ " $1 " == *" $CODE "* ]] || fail "$2: should have ended with one of the exit codes $1"
    [[ ! -e nothing ]] || fail "$2: something was written"
}

make_certificates "$SCRATCH/tmp"
port=$(free_port)
MIRROR=https://127.0.0.1:$port
mkdir "$mirrored"
start mirror python3 "$HERE/mirror.py" "$port" "$SCRATCH/tmp/server.crt" "$SCRATCH/tmp/server.key" "$mirrored"
eventually 10 curl --silent --fail --cacert "$SCRATCH/tmp/ca.crt" "$MIRROR/v2/" || fail "the mirror did not start"

layout old "vulnerable"
layout new "fixed"
succeeds hallmark_of alice push old "$image"
record first
succeeds hallmark_of alice push new "$image"
record second

step "an honest mirror is as good as the server"
succeeds by_mirror bob hallmark pull "$image" got
equal "$(layout_digest got)" "$(layout_digest new)" "digest"

step "yesterday's metadata, all of it"
show first
refused "14" "rollback"

step "today's timestamp over yesterday's snapshot and targets"
show first
cp "second/$gun/timestamp.json" "$mirrored/$gun/"
rm "$(home bob)/.docker/trust/tuf/$gun/metadata/snapshot.json" "$(home bob)/.docker/trust/tuf/$gun/metadata/targets.json"
refused "12 14" "mix-and-match"

step "today's timestamp and snapshot over yesterday's targets"
show second
cp "first/$gun/targets.json" "$mirrored/$gun/"
refused "12 14" "mix-and-match"

step "a byte of the targets changed"
show second
sed -i 's/"1\.0"/"1.1"/' "$mirrored/$gun/targets.json"
refused "12 14" "forged targets"

step "the timestamp of another repository, with a valid signature by another key"
show second
succeeds hallmark_of alice push old "$REGISTRY/team/other:1.0"
metadata "$REGISTRY/team/other" timestamp >"$mirrored/$gun/timestamp.json"
refused 12 "foreign timestamp"

step "another repository's whole metadata, root and all"
show second
for role in root targets snapshot timestamp; do
    metadata "$REGISTRY/team/other" $role >"$mirrored/$gun/$role.json"
done
refused 12 "foreign root"

step "a timestamp that never ends"
show second
touch "$mirrored/$gun/timestamp.endless"
exits_in_time() {
    try as bob timeout 60 hallmark pull --server "$MIRROR" --tlscacert "$SCRATCH/tmp/ca.crt" \
        --trust-dir "$(home bob)/.docker/trust" "$image" nothing
    ((CODE != 0 && CODE < 124)) || fail "should have been refused within 60 s"
}
exits_in_time
[[ ! -e nothing ]] || fail "something was written"

step "the attack over, bob goes on where he was"
succeeds hallmark_of bob pull "$image" in-the-end
equal "$(layout_digest in-the-end)" "$(layout_digest new)" "digest"
