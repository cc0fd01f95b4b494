#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
start_servers
new_user alice
image=$REGISTRY/team/app:1.0

step "an OCI layout with an index of two platforms is pushed and signed"
layout source "from hallmark" --platforms amd64,arm64 --layers 2
succeeds hallmark_of alice push source "$image"
says "$(layout_digest source)"
equal "$(registry_digest team/app 1.0)" "$(layout_digest source)" "digest in the registry"
equal "$(signed_digest alice team/app 1.0)" "$(layout_digest source)" "digest signed"

step "docker pulls it by trust and has its content"
start_engine reader
new_user bob
succeeds as bob docker pull "$image"
says "@$(layout_digest source)"
succeeds as bob docker create --name unpacked "$image"
succeeds as bob docker cp unpacked:/text text
equal "$(<text)" "from hallmark" "content"
succeeds as bob docker trust inspect "$image"
json '.[0].SignedTags[0].SignedTag' 1.0

step "an image that docker saved is pushed, too"
base_image "from docker save" saved:1
succeeds without_trust bob docker save --output saved.tar saved:1
succeeds hallmark_of alice push saved.tar "$REGISTRY/team/app:saved"
start_engine fresh
new_user carol
succeeds as carol docker run --rm --network none "$REGISTRY/team/app:saved"
equal "$OUT" "from docker save" "what the container prints"

step "skopeo and notary agree with what was signed"
succeeds skopeo inspect --raw --tls-verify=false "docker://$image"
equal "sha256:$(sha256sum <"$SCRATCH/stdout" | cut -d' ' -f1)" "$(signed_digest carol team/app 1.0)" "digest"
