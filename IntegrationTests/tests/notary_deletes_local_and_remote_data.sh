#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
start_servers
new_user alice
new_user bob
gun=example.com/tools/deleted
echo content >content
succeeds notary_of alice init --publish $gun
succeeds notary_of alice add --publish $gun v1 content
succeeds notary_of alice init --publish $gun/nested
succeeds notary_of bob list $gun

step "local deletion leaves the server alone"
succeeds notary_of bob delete $gun
says "Successfully deleted local trust data"
succeeds notary_of bob verify $gun v1 --input content

step "remote deletion"
succeeds notary_of alice delete --remote $gun
says "Successfully deleted local and remote trust data"
new_user carol
fails notary_of carol list $gun
says "does not have trust data for $gun"
for role in root targets snapshot timestamp; do
    equal "$(curl --silent --output /dev/null --write-out '%{http_code}' --cacert "$TRUST_CA" \
        "$TRUST_SERVER/v2/$gun/_trust/tuf/$role.json")" 404 "$role.json"
done

step "a GUN below it stays"
# notary-server's memory storage deletes whatever begins with the same name.
[[ $SUT == debian ]] || succeeds notary_of carol list $gun/nested

step "it can be made anew, with new keys"
succeeds notary_of alice init --publish $gun
succeeds notary_of alice add --publish $gun v2 content
succeeds notary_of carol verify $gun v2 --input content
fails notary_of carol lookup $gun v1
