#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

# The client talks to the registry itself here, tries TLS first even for --insecure, and only goes on with plain HTTP if
# the listener answers a TLS hello in HTTP.
start_servers
start_engine one
new_user alice
repository=$REGISTRY/team/multi
base_image "amd64" "$repository:amd64"
base_image "arm64" "$repository:arm64"
succeeds without_trust alice docker push "$repository:amd64"
succeeds without_trust alice docker push "$repository:arm64"

step "create, annotate and push a list"
list() { DOCKER_CLI_EXPERIMENTAL=enabled without_trust alice docker manifest "$@"; }
succeeds list create --insecure "$repository:1.0" "$repository:amd64" "$repository:arm64"
succeeds list annotate "$repository:1.0" "$repository:arm64" --arch arm64
succeeds list push --insecure "$repository:1.0"

step "it comes back as pushed"
succeeds list inspect --insecure "$repository:1.0"
json '[.manifests[].platform.architecture]' '["amd64","arm64"]'

step "an engine picks its own platform"
start_engine reader
new_user bob
succeeds without_trust bob docker run --rm --network none "$repository:1.0"
equal "$OUT" "amd64" "what the container prints"
