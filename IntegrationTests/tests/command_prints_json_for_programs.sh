#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

start_servers
new_user alice
new_user bob
layout source "some content" --platforms amd64,arm64
digest=$(layout_digest source)
image=$REGISTRY/team/app

step "push"
succeeds hallmark_of alice push --output json source "$image:1.0"
[[ -z $ERR ]] || fail "something is on standard error"
json 'keys' '["digest","image","mediaType","newRootKeys","roles","size"]'
json '[.image, .digest, .mediaType, .roles]' \
    "[\"$image:1.0\",\"$digest\",\"application/vnd.oci.image.index.v1+json\",[\"targets\"]]"
json '.newRootKeys | length' 1
root=$(jq --raw-output '.newRootKeys[0]' <<<"$OUT")

step "pull: what was signed, what was written, and on what trust"
succeeds hallmark_of bob pull --output json --platform linux/arm64 "$image:1.0" out
json 'keys' '["destination","digest","image","pulledDigest","role","size","trust"]'
json '[.digest, .role, .destination]' "[\"$digest\",\"targets\",\"out\"]"
json '.pulledDigest' "$(layout_digest out)"
json '.trust | keys' '["firstUse","freshness","warnings"]'
json '.trust.firstUse' "{\"pinned\":false,\"rootKeys\":[\"$root\"]}"
json '.trust.freshness | keys' '["expires","fromServer","timestampVersion"]'
json '.trust.freshness.fromServer' true
json '.trust.warnings' '[]'
json '.trust.freshness.expires | fromdate > now' true

step "the second time nothing is trusted on first use"
succeeds hallmark_of bob inspect --output json "$image"
json 'keys' '["name","repositoryKeys","rootKeys","signers","tags","trust"]'
json '[.name, .rootKeys, .signers]' "[\"$image\",[\"$root\"],[]]"
json '[.tags[] | [.name, .digest, .signers]]' "[[\"1.0\",\"$digest\",[]]]"
json '.repositoryKeys | length' 1
json '.trust | has("firstUse")' false
succeeds hallmark_of bob inspect --output json "$image:1.0"
json '.tags | length' 1

step "list"
succeeds hallmark_of bob list --output json "$image"
json 'keys' '["name","targets","trust"]'
json '[.targets[] | [.name, .hashes.sha256, .role]]' "[[\"1.0\",\"${digest#sha256:}\",\"targets\"]]"

step "key list"
succeeds as alice hallmark key list --output json
json '[.keys[] | keys | join(" ")]' '["encrypted id location role","encrypted gun id location role"]'
json '[.keys[] | [.role, .gun, .encrypted]]' "[[\"root\",null,true],[\"targets\",\"$image\",true]]"
succeeds as bob hallmark key list --output json
json '.keys' '[]'
