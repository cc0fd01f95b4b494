#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
start_servers
new_user alice
new_user old
gun=example.com/tools/rotated
echo content >content
succeeds notary_of alice init --publish $gun
succeeds notary_of alice add --publish $gun before content
succeeds notary_of old verify $gun before --input content

# goes_on NAME: publishing works, and clients that know the old keys, or none, verify it.
goes_on() {
    succeeds notary_of alice add --publish $gun "$1" content
    new_user "new-$1"
    local user
    for user in old "new-$1"; do
        succeeds notary_of "$user" verify $gun "$1" --input content
        succeeds notary_of "$user" verify $gun before --input content
    done
}

step "targets";                      succeeds notary_of alice key rotate $gun targets; goes_on targets
step "snapshot, with the client";    succeeds notary_of alice key rotate $gun snapshot; goes_on snapshot
step "snapshot, to the server";      succeeds notary_of alice key rotate $gun snapshot --server-managed; goes_on server
step "snapshot, server to server";   succeeds notary_of alice key rotate $gun snapshot --server-managed; goes_on again
step "timestamp";                    succeeds notary_of alice key rotate $gun timestamp --server-managed; goes_on timestamp
step "root";                         succeeds eval 'notary_of alice key rotate $gun root <<<yes'; goes_on root
step "root to a key made elsewhere"
succeeds notary_of alice key generate ecdsa
succeeds eval 'notary_of alice key rotate $gun root <<<yes'
goes_on root-again

step "every root is there by its number, each the next one's predecessor"
latest=$(metadata $gun root | jq .signed.version)
((latest >= 8)) || fail "there should be eight roots, the latest is $latest"
for ((version = 1; version <= latest; version++)); do
    equal "$(metadata $gun $version.root | jq .signed.version)" "$version" "version of $version.root.json"
done
fails metadata $gun $((latest + 1)).root

step "a snapshot key cannot be taken by the server for the targets, nor the root"
fails notary_of alice key rotate $gun targets --server-managed
fails eval 'notary_of alice key rotate $gun root --server-managed <<<yes'
