#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

# Docker skips verification for registries on loopback, whatever the trust server's address: a name of the Docker Hub is
# what it verifies with the files in ~/.docker/tls.
need notary
start_servers
new_user alice
new_user stranger
rm -r "$(home stranger)/.docker/tls"
echo payload >payload
gun=docker.io/library/demo
succeeds notary_of alice init --publish $gun
succeeds notary_of alice add --publish $gun 1.0 payload

step "with the CA's certificate in its place"
succeeds as alice docker trust inspect demo
json '.[0].SignedTags[0].SignedTag' '1.0'

step "without it"
fails as stranger docker trust inspect demo
says "o signatures or cannot access demo"
