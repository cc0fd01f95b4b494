#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/s3.sh"

need_hallmark "only hallmark has this command"
need skopeo docker-registry jq
start_moto

copy() { skopeo --insecure-policy copy --all --quiet --src-tls-verify=false --dest-tls-verify=false "$@"; }
data=$SCRATCH/data
import() { hallmark registry import --data "$data" "${S3_OPTIONS[@]}" --registry-s3-prefix images --output json "$@"; }

start_debian_registry
old=$REGISTRY
layout app "app" --platforms amd64,arm64 --layers 2 --layer-bytes 200000
# More than one part.
layout large "large" --layers 1 --layer-bytes 20000000
succeeds copy oci:app:latest "docker://$old/team/app:1.0"
succeeds copy oci:large:latest "docker://$old/team/large:1"

step "everything comes into the bucket, and is what it was"
succeeds import "$DEBIAN_REGISTRY_ROOT"
json '[.repositories, .tags.set, .problems, .blobs.linked]' '[2,2,[],0]'
json '.blobs.copiedBytes > 20000000' true
succeeds import "$DEBIAN_REGISTRY_ROOT"
json '[.blobs.imported, .manifests.imported, .tags.present]' '[0,0,2]'
s3_keys | grep --quiet --invert-match '^images/' && fail "an object lies outside the prefix"
REGISTRY=127.0.0.1:$(free_port)
start_service registry --only registry --registry-address "$REGISTRY" --data "$data" "${S3_OPTIONS[@]}" --registry-s3-prefix images
for image in app:1.0 large:1; do
    succeeds copy "docker://$REGISTRY/team/$image" "oci:back-${image%:*}:latest"
    layout_is_whole "back-${image%:*}" || fail "a blob that came back has another digest than its name"
done
stop registry

step "a bucket of another registry is refused, and nothing of it is marked"
exits 1 hallmark registry scrub --data "$data" "${S3_OPTIONS[@]}" --registry-s3-prefix others
says "none of the first blobs"
exits 1 timeout 20 hallmark serve --only registry --data "$data" "${S3_OPTIONS[@]}" --registry-s3-prefix others
says "identity"
exits 1 timeout 20 hallmark serve --only registry --data "$SCRATCH/new" "${S3_OPTIONS[@]}" --registry-s3-prefix images
says "belongs to another database"
succeeds hallmark registry scrub --data "$data" "${S3_OPTIONS[@]}" --registry-s3-prefix images --output json
json '.summary.problems' 0
