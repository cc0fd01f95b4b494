#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

start_servers
start_engine publisher
new_user alice
repository=$REGISTRY/team/app

step "three tags, two of them of the same image, and one that is not signed"
base_image "one" "$repository:1.0"
base_image "two" "$repository:2.0" "$repository:latest"
base_image "three" "$repository:3.0"
for tag in 1.0 2.0 latest; do succeeds as alice docker push "$repository:$tag"; done
succeeds without_trust alice docker push "$repository:3.0"

step "each has its own digest"
for tag in 1.0 2.0 latest; do equal "$(signed_digest alice team/app $tag)" "$(registry_digest team/app $tag)" "$tag"; done
equal "$(signed_digest alice team/app latest)" "$(signed_digest alice team/app 2.0)" "latest"
succeeds as alice docker trust inspect "$repository"
json '[.[0].SignedTags[].SignedTag] | sort' '["1.0","2.0","latest"]'

step "pull of all tags takes the signed ones only"
start_engine reader
new_user bob
succeeds as bob docker pull --all-tags "$repository"
succeeds as bob docker run --rm --network none "$repository:1.0"
equal "$OUT" "one" "1.0"
succeeds as bob docker run --rm --network none "$repository"
equal "$OUT" "two" "latest"
fails as bob docker image inspect "$repository:3.0"

step "a tag is revoked: it goes, the others stay"
succeeds as alice docker trust revoke --yes "$repository:2.0"
says "Successfully deleted signature for $repository:2.0"
fails as bob docker pull "$repository:2.0"
says "No valid trust data for 2.0"
succeeds as bob docker pull "$repository:1.0"
succeeds as bob docker pull "$repository:latest"
succeeds as bob docker trust inspect "$repository"
json '[.[0].SignedTags[].SignedTag] | sort' '["1.0","latest"]'

step "the revoked tag is signed again"
succeeds as alice docker push "$repository:2.0"
succeeds as bob docker pull "$repository:2.0"
