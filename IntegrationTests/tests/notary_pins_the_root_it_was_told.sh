#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
start_servers
new_user alice
gun=example.com/tools/pinned
echo content >content
succeeds notary_of alice init --publish $gun
succeeds notary_of alice add --publish $gun v1 content
root_key=$(metadata $gun root | jq --raw-output '.signed.roles.root.keyids[0]')

# pinned KEY: a fresh client whose configuration names that root key.
pinned() {
    local directory
    directory=$(mktemp -d)
    jq --null-input --arg gun $gun --arg key "$1" '{trust_pinning: {disable_tofu: true, certs: {($gun): [$key]}}}' \
        >"$directory/config.json"
    notary --configFile "$directory/config.json" --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
        --trustDir "$directory/trust" verify $gun v1 --input content
}

step "the right key"
succeeds pinned "$root_key"

step "another"
fails pinned "${root_key//[0-9]/0}"
