#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need podman busybox
start_servers
start_engine one
new_user alice
image=$REGISTRY/team/app:1.0

export CONTAINERS_CONF=$SCRATCH/tmp/containers.conf CONTAINERS_STORAGE_CONF=$SCRATCH/tmp/storage.conf
printf '[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n' >"$CONTAINERS_CONF"
printf '[storage]\ndriver = "vfs"\nrunroot = "%s"\ngraphroot = "%s"\n' "$SCRATCH/tmp/run" "$SCRATCH/tmp/graph" \
    >"$CONTAINERS_STORAGE_CONF"
limits=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)

step "an image of the engine is pushed from there, by two names in one publish"
base_image "from the engine" app:built
succeeds hallmark_of alice push docker-daemon:app:built "$image" "$REGISTRY/team/app:latest" --digestfile digests
equal "$(sort -u digests)" "$(signed_digest alice team/app 1.0)" "what is signed"
equal "$(metadata "$REGISTRY/team/app" targets | jq .signed.version)" 2 "publishes"

step "another engine gets it, and runs it"
start_engine two
new_user bob
succeeds hallmark_of bob pull "$image" --to docker
says "into docker-daemon:$image"
succeeds without_trust bob docker run --rm --network none "$image"
equal "$OUT" "from the engine" "what the container prints"

step "by another name, and by digest, which every signed tag names that means it"
succeeds hallmark_of bob pull "$image" docker-daemon:other:name
succeeds without_trust bob docker run --rm --network none other:name
succeeds hallmark_of bob pull --output json "$REGISTRY/team/app@$(signed_digest alice team/app 1.0)" --to docker
json '.tags' '["1.0","latest"]'
succeeds without_trust bob docker image inspect "$REGISTRY/team/app:latest"

step "podman's storage gets it, and runs it; and gives it away again"
succeeds hallmark_of bob pull "$image" --to podman
succeeds podman run --rm --network none "${limits[@]}" "$image"
equal "$OUT" "from the engine" "what the container prints"
succeeds hallmark_of alice push "containers-storage:$image" "$REGISTRY/team/copy:1.0"
succeeds hallmark_of bob pull "$REGISTRY/team/copy:1.0" copy
succeeds layout_is_whole copy

step "what is not signed, or not what was signed, no engine is handed"
exits 11 hallmark_of bob pull "$REGISTRY/team/app:unsigned" --to docker
exits 11 hallmark_of bob pull "$REGISTRY/team/app@sha256:$(printf '%064d' 0)" --to docker
exits 20 env DOCKER_HOST="unix://$SCRATCH/nothing" hallmark pull --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
    --trust-dir "$(home bob)/.docker/trust" "$image" --to docker
exits 2 hallmark_of bob pull "$image"

step "the images of a layout are pushed by their tags"
layout source "tagged"
for tag in a b; do succeeds hallmark_of alice push source "$REGISTRY/team/seed:$tag"; done
for tag in a b; do succeeds hallmark_of bob pull "$REGISTRY/team/seed:$tag" many; done
succeeds hallmark_of alice push --all-tags many "$REGISTRY/team/many"
succeeds hallmark_of bob list "$REGISTRY/team/many"
equal "$(metadata "$REGISTRY/team/many" targets | jq .signed.version)" 2 "publishes"
