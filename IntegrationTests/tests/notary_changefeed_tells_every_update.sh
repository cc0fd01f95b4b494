#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
start_servers
new_user alice
gun=example.com/tools/feed
echo content >content
feed() { curl --silent --show-error --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/$1_trust/changefeed?$2"; }

step "one record for each publication, oldest first"
succeeds notary_of alice init --publish $gun
succeeds notary_of alice add --publish $gun v1 content
succeeds notary_of alice init --publish $gun/other
succeeds feed "" records=100
json '[.records[] | [.GUN, .Version, .Category]]' \
    "[[\"$gun\",1,\"update\"],[\"$gun\",2,\"update\"],[\"$gun/other\",1,\"update\"]]"
equal "$(jq --raw-output '.records[1].SHA256' <<<"$OUT")" "$(metadata $gun timestamp | sha256sum | cut -d' ' -f1)" SHA256
first=$(jq --raw-output '.records[0].ID' <<<"$OUT")

step "of one GUN, after a change, and from the end"
succeeds feed "$gun/" records=100
json '.count' 2
succeeds feed "" "records=100&change_id=$first"
json '.count' 2
succeeds feed "" "records=-1&change_id=-1"
json '[.records[].GUN]' "[\"$gun/other\"]"

step "a deletion"
succeeds notary_of alice delete --remote $gun
succeeds feed "$gun/" records=100
json '.records[-1].Category' deletion

step "the number of records is mandatory"
fails feed "" change_id=0
