#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
start_servers
new_user alice
new_user bob
image=$REGISTRY/team/app:1.0

step "the client is killed in the middle: nothing is signed, and the next push completes it"
for delay in 0.05 0.2 0.5; do
    layout "source$delay" "interrupted $delay" --layers 4 --layer-bytes 8000000
    as alice timeout --signal KILL $delay hallmark push --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
        --trust-dir "$(home alice)/.docker/trust" "source$delay" "$image" >"$SCRATCH/logs/push" 2>&1 || true
    succeeds hallmark_of alice push "source$delay" "$image"
    succeeds hallmark_of bob pull "$image" "pulled$delay"
    equal "$(layout_digest "pulled$delay")" "$(layout_digest "source$delay")" "digest"
    layout_is_whole "pulled$delay" || fail "not whole"
done

step "two at once with the same keys: both tags are signed in the end"
for number in 1 2 3; do
    layout "n$number" "number $number"
    hallmark_of alice push "n$number" "$REGISTRY/team/app:n$number" >"$SCRATCH/logs/push$number" 2>&1 &
    pids[$number]=$!
done
for number in 1 2 3; do
    wait "${pids[$number]}" || succeeds hallmark_of alice push "n$number" "$REGISTRY/team/app:n$number"
done
for number in 1 2 3; do
    succeeds hallmark_of bob pull "$REGISTRY/team/app:n$number" "back$number"
    equal "$(layout_digest "back$number")" "$(layout_digest "n$number")" "digest"
done
