#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark scrubs"
need python3 curl jq
start_hallmark
push() { python3 "$HERE/registry_content.py" "$1" "$REGISTRY" "${@:2}"; }
status() { curl -s -o /dev/null -w '%{http_code}' --head "http://$REGISTRY/v2/$1/blobs/$2"; }
bytes_of() { find "$HALLMARK_DATA/registry/blobs" -name "${1#sha256:}*"; }

read -r image layer <<<"$(push image team/app v1 one)"
read -r _ other <<<"$(push image team/other v1 two)"
push image team/app v2 three >/dev/null

step "all is well"
succeeds hallmark registry scrub --data "$HALLMARK_DATA" --rate 100MiB
says ": 0 problems"

step "a byte that changed and a file that is gone are found, with those who suffer, while it serves"
equal "$(status team/app "$layer")" 200 "the status of a layer of team/app"
printf X | dd of="$(bytes_of "$layer")" bs=1 seek=100 conv=notrunc status=none
rm "$(bytes_of "$other")"
exits 15 hallmark registry scrub --data "$HALLMARK_DATA" --dry-run
equal "$(status team/app "$layer")" 200 "the status of a layer of team/app"
exits 15 hallmark registry scrub --data "$HALLMARK_DATA"
says "damagedBlob $layer: its bytes hash to"
says "team/app@$image: v1"
says "missingBytes $other"
exits 15 hallmark registry scrub --data "$HALLMARK_DATA" --output json
json "[.problems[] | select(.digest == \"$layer\" and .kind == \"damagedBlob\") | .affected[0].tags] | first" '["v1"]'

step "clients are told that it is not there, so they push it again, which repairs it"
equal "$(status team/app "$layer")" 404 "the status of a layer of team/app"
equal "$(status team/other "$other")" 404 "the status of a layer of team/other"
push image team/app v1 one >/dev/null
push image team/other v1 two >/dev/null
equal "$(status team/app "$layer")" 200 "the status of a layer of team/app"
equal "$(curl -s "http://$REGISTRY/v2/team/app/blobs/$layer" | sha256sum | cut -d' ' -f1)" "${layer#sha256:}" "the hash of what is served"
succeeds hallmark registry scrub --data "$HALLMARK_DATA"
says ": 0 problems"

step "and the bytes that were wrong go with the next collection"
succeeds hallmark registry collect --data "$HALLMARK_DATA"
equal "$(bytes_of "$layer" | wc -l)" 1 "how many files have the layer"
