#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
start_servers
start_engine one
new_user alice
new_user bob
image=$REGISTRY/team/app:1.0
other=$REGISTRY/team/other:1.0
base_image "first" "$image" "$other"
succeeds as alice docker push "$image"
succeeds as alice docker push "$other"
succeeds as bob docker trust inspect "$image"

step "the publisher deletes the trust data, here and on the server"
succeeds notary_of alice delete --remote "$REGISTRY/team/app"
says "Successfully deleted local and remote trust data"

step "a client that never saw it is refused"
start_engine reader
new_user carol
fails as carol docker pull "$image"
says "does not have trust data for $REGISTRY/team/app"

step "other repositories are untouched"
succeeds as carol docker pull "$other"

step "deleting once more is no error"
succeeds curl --silent --show-error --fail --cacert "$TRUST_CA" --request DELETE \
    "$TRUST_SERVER/v2/$REGISTRY/team/app/_trust/tuf/"

step "the publisher starts anew; fresh clients trust it"
ENGINE=one
new_user alice
base_image "second" "$image"
rm -r "$(home alice)/.docker/trust/tuf/$REGISTRY/team/app" 2>/dev/null || true
succeeds as alice docker push "$image"
succeeds as carol docker pull "$image"
succeeds as carol docker run --rm --network none "$image"
equal "$OUT" "second" "what the container prints"

step "a client that trusted the first root does not silently accept the second"
fails as bob docker trust inspect "$image"
fails as bob docker pull "$image"
