#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

start_servers
image=$REGISTRY/team/app:1.0

step "the publisher's push signs"
start_engine publisher
new_user alice
base_image "signed content" "$image"
succeeds as alice docker push "$image"
says "Signing and pushing trust metadata"
says "Successfully signed $image"

step "a client on another engine, which never saw the repository, pulls and runs it"
start_engine reader
new_user bob
succeeds as bob docker pull "$image"
says "Pull (1 of 1): $image@$(registry_digest team/app 1.0)"
succeeds as bob docker run --rm --network none "$image"
equal "$OUT" "signed content" "what the container prints"

step "what was pulled is what the publisher pushed"
digest=$(as alice docker inspect --format '{{index .RepoDigests 0}}' "$image")
equal "$(as bob docker inspect --format '{{index .RepoDigests 0}}' "$image")" "$digest" "digest"
equal "$(signed_digest bob team/app 1.0)" "${digest#*@}" "signed digest"

step "inspect tells who signed"
succeeds as bob docker trust inspect "$REGISTRY/team/app"
json '.[0].SignedTags | map([.SignedTag, .Digest, .Signers[0]])' "[[\"1.0\",\"${digest#*@sha256:}\",\"Repo Admin\"]]"

step "a second pull, with a warm cache, works too"
succeeds as bob docker pull "$image"
