#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
start_servers
new_user alice
new_user bob
new_user security
gun=example.com/tools/pinned
echo content >content
succeeds hallmark_of alice init --publish $gun
succeeds hallmark_of alice add --publish $gun v1 content
id=$(metadata $gun root | jq --raw-output '.signed.roles.root.keyids[0]')
settings=$(home bob)/.config/hallmark
mkdir -p "$settings"

step "the security team makes a bundle, from what the machine of the publisher trusts, and signs it"
succeeds as security hallmark key generate --role pins --public pins.pub
succeeds hallmark pin create pins.json --name acme --refuse-first-use
succeeds hallmark_of alice pin add pins.json $gun
says "$id"
exits 12 hallmark pin verify pins.json --key pins.pub --trust-dir unsigned
succeeds as security hallmark pin sign pins.json
succeeds hallmark pin verify pins.json --key pins.pub --trust-dir signed
cp pins.json first.json

step "it is installed where the settings name its key, and counts"
cp pins.pub "$settings/pins.pub"
printf 'pin_bundles:\n  keys: [pins.pub]\n' >"$settings/client.yaml"
succeeds hallmark_of bob pin install pins.json --to "$settings/pins.d"
succeeds hallmark_of bob client check
says client.yaml
succeeds as bob hallmark client show $gun
says "$id"
says "pins.d/acme.json"
succeeds hallmark_of bob lookup --output json $gun v1
json .trust.firstUse.pinned true

step "what is not pinned is refused: 12"
succeeds hallmark_of alice init --publish example.com/tools/other
succeeds hallmark_of alice add --publish example.com/tools/other v1 content
exits 12 hallmark_of bob lookup example.com/tools/other v1
[[ ! -e $(home bob)/.docker/trust/tuf/example.com/tools/other ]] || fail "something of it was kept"

step "a client that knows nothing follows the publisher's rotations from the pinned root"
succeeds hallmark_of alice key rotate $gun root
rm -r "$(home bob)/.docker/trust/tuf"
succeeds hallmark_of bob lookup $gun v1
succeeds hallmark_of bob lookup $gun v1

step "a bundle that was changed, or signed by somebody else, ends everything: 12"
sed --in-place "s/$id/${id//[0-9]/0}/" "$settings/pins.d/acme.json"
exits 12 hallmark_of bob lookup $gun v1
cp first.json "$settings/pins.d/acme.json"
succeeds hallmark_of bob lookup $gun v1

step "an older version is refused once a newer one was seen: 14"
succeeds hallmark_of alice pin add pins.json example.com/tools/other
exits 12 hallmark pin verify pins.json --key pins.pub --trust-dir signed
succeeds as security hallmark pin sign pins.json
succeeds hallmark_of bob pin install pins.json --to "$settings/pins.d"
succeeds hallmark_of bob lookup example.com/tools/other v1
cp first.json "$settings/pins.d/acme.json"
exits 14 hallmark_of bob lookup $gun v1
cp pins.json "$settings/pins.d/acme.json"

step "one that has expired loosens nothing: 13"
exits 13 faketime -f +100d hallmark pin verify pins.json --key pins.pub --trust-dir signed
exits 13 as bob faketime -f +100d hallmark lookup --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" example.com/tools/third v1

step "settings that are not understood are told with their line"
printf 'first_use: refused\npinz: {}\n' >wrong.yaml
exits 1 hallmark_of bob client check --config wrong.yaml
says "wrong.yaml:2"
