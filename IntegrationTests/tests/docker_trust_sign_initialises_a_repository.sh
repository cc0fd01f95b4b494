#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

start_servers
start_engine one
new_user alice
image=$REGISTRY/alice/app:1.0
base_image "mine" "$image"

step "docker trust sign makes the repository, with the registry's user as signer"
succeeds as alice docker trust sign "$image"
says "Successfully signed $image"
succeeds as alice docker trust inspect "$image"
json '.[0].SignedTags[0].Signers' '["alice"]'
json '.[0].Signers[0].Name' 'alice'

step "signing the unchanged tag again is harmless"
succeeds as alice docker trust sign "$image"
succeeds as alice docker trust inspect "$image"
json '.[0].SignedTags | length' '1'

step "a fresh client pulls it"
start_engine reader
new_user bob
succeeds as bob docker pull "$image"
succeeds as bob docker run --rm --network none "$image"
equal "$OUT" "mine" "what the container prints"

step "revoking all tags leaves a repository without signatures"
succeeds as alice docker trust revoke --yes "$REGISTRY/alice/app"
fails as bob docker pull "$image"
