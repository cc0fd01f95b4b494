#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

start_servers
start_engine publisher
new_user alice
image=$REGISTRY/team/crash:1.0

step "an image with large layers"
base_image "survivor" base
for number in 1 2 3; do head -c 8000000 /dev/urandom >"file$number"; done
printf 'FROM base\nCOPY file1 /\nCOPY file2 /\nCOPY file3 /\n' >Dockerfile
succeeds without_trust alice docker build --quiet --network none --tag "$image" .

step "the server is killed in the middle of the push, and comes back"
as alice docker push "$image" >"$SCRATCH/logs/push" 2>&1 &
pushing=$!
blobs_arrive() { grep -q 'Pushing\|Pushed' "$SCRATCH/logs/push"; }
eventually 10 blobs_arrive || fail "the push did not begin"
sleep 0.3
crash_registry
sleep 0.3
start_registry_again
wait $pushing || true

step "the push is repeated, and succeeds"
succeeds as alice docker push "$image"

step "a fresh client has it whole"
start_engine reader
new_user bob
succeeds as bob docker run --rm --network none --volume "$PWD:/here:ro" --entrypoint /bin/sh "$image" \
    -c 'for n in 1 2 3; do /bin/busybox cmp /file$n /here/file$n || exit 1; done; cat /text'
equal "$OUT" "survivor" "content"
