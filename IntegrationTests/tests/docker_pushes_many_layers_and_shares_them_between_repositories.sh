#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

start_servers
start_engine publisher
new_user alice
first=$REGISTRY/team/layers:1.0
second=$REGISTRY/other/layers:1.0

step "seven layers, pushed five at a time"
base_image "layers" base
{
    echo "FROM base"
    for number in {1..6}; do
        head -c 1500000 /dev/urandom >"file$number"
        echo "COPY file$number /"
    done
} >Dockerfile
succeeds without_trust alice docker build --quiet --network none --tag "$first" .
succeeds as alice docker push "$first"

step "the same image to another repository, whose layers can be mounted"
succeeds as alice docker tag "$first" "$second"
succeeds as alice docker push "$second"
says "Mounted from team/layers"
equal "$(registry_digest other/layers 1.0)" "$(registry_digest team/layers 1.0)" "digest"

step "both are whole"
for image in "$first" "$second"; do
    start_engine "reader-$((++number))"
    new_user bob
    succeeds as bob docker run --rm --network none --volume "$PWD:/here:ro" --entrypoint /bin/sh "$image" \
        -c 'for n in 1 2 3 4 5 6; do /bin/busybox cmp /file$n /here/file$n || exit 1; done; echo same'
    equal "$OUT" "same" "content"
done

step "pushing again sends nothing"
succeeds as alice docker push "$first"
says "Layer already exists"
