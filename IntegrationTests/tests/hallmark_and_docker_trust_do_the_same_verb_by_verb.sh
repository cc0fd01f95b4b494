#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need "$DOCKER_CLIENT" openssl python3
# docker trust signer remove does nothing in 26 to 28.
(($(docker_version) < 26)) || skip "docker $(docker_version) cannot remove signers"
start_servers
layout image "some content"

step "the verbs of docker trust by docker, by hallmark, and by either in turn: same server, same disk, same answers"
succeeds python3 "$HERE/docker_walk.py" "$TRUST_SERVER" "$TRUST_CA" "${SEED:-1}" 0 "$REGISTRY" "$PWD/image"
echo "$OUT"
