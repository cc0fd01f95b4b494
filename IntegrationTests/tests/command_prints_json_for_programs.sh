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
json 'keys' '["digest","image","images","mediaType","newRootKeys","roles","size"]'
json '[.image, .digest, .mediaType, .roles]' \
    "[\"$image:1.0\",\"$digest\",\"application/vnd.oci.image.index.v1+json\",[\"targets\"]]"
json '.newRootKeys | length' 1
root=$(jq --raw-output '.newRootKeys[0]' <<<"$OUT")

step "pull: what was signed, what was written, and on what trust"
succeeds hallmark_of bob pull --output json --platform linux/arm64 "$image:1.0" out
json 'keys' '["destination","digest","image","pulledDigest","role","size","tags","trust"]'
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
json '[.tags[0].manifests[].platform]' '["linux/amd64","linux/arm64"]'

step "sign, revoke and signers"
succeeds hallmark_of alice sign --output json "$image:1.0"
json 'keys' '["signed"]'
json '[.signed[] | [.name, .newRootKeys, (.images[] | .image, .digest, .roles)]]' \
    "[[\"$image\",[],\"$image:1.0\",\"$digest\",[\"targets\"]]]"
succeeds hallmark_of bob signer list --output json "$image"
json 'keys' '["name","signers","trust"]'
succeeds hallmark_of alice push source "$image:2.0"
succeeds hallmark_of alice revoke --output json "$image:2.0"
json '[.name, .tags]' "[\"$image\",[{\"name\":\"2.0\",\"otherRoles\":[],\"roles\":[\"targets\"],\"stillCounts\":false}]]"

step "list"
succeeds hallmark_of bob list --output json "$image"
json 'keys' '["name","targets","trust"]'
json '[.targets[] | [.name, .hashes.sha256, .role]]' "[[\"1.0\",\"${digest#sha256:}\",\"targets\"]]"

step "key list"
succeeds as alice hallmark key list --output json
json '[.keys[] | keys | join(" ")]' '["encrypted id location role token","encrypted gun id location role token"]'
json '[.keys[] | [.role, .gun, .encrypted]]' "[[\"root\",null,true],[\"targets\",\"$image\",true]]"
succeeds as bob hallmark key list --output json
json '.keys' '[]'

step "a collection of any files: what was staged, published, and is known"
gun=example.com/tools/json
echo content >file
succeeds hallmark_of alice init $gun --output json
[[ -z $ERR ]] || fail "something is on standard error"
json 'keys' '["name","newRootKeys","staged"]'
root=$(jq --raw-output '.newRootKeys[0]' <<<"$OUT")
succeeds hallmark_of alice status $gun --output json
json '[.read, [.roles[].role], .staged]' '[false,["root","snapshot","targets"],[]]'
succeeds hallmark_of alice add $gun a/file file --output json
json '[.name, .staged]' \
    "[\"$gun\",[{\"action\":\"create\",\"change\":\"add a/file (8 bytes) to targets\",\"path\":\"a/file\",\"role\":\"targets\",\"type\":\"target\"}]]"
json 'has("published")' false
succeeds hallmark_of alice status $gun --output json
json '[.staged[] | [.number, .action, .path]]' '[[0,"create","a/file"]]'
succeeds hallmark_of alice publish $gun --output json
json '[.new, [.published[].role]]' '[true,["root","targets","snapshot"]]'
succeeds hallmark_of alice remove $gun nothing --publish --output json
json '[.published, (.staged | length)]' '[[],1]'
succeeds hallmark_of bob lookup $gun a/file --output json
json 'keys' '["name","target","trust"]'
json '[.target.name, .target.length, .target.role, .trust.firstUse.rootKeys]' "[\"a/file\",8,\"targets\",[\"$root\"]]"
succeeds hallmark_of bob verify $gun a/file file --output json -o copy
json '.target.hashes.sha256' "$(sha256sum <file | cut -d' ' -f1)"
cmp file copy
printf '{"z": [1, true, null], "a": {"b": "c"}}' >custom
succeeds hallmark_of alice add $gun a/custom file --custom custom --publish
succeeds hallmark_of bob lookup $gun a/custom --output json
json '.target.custom' '{"a":{"b":"c"},"z":[1,true,null]}'
succeeds hallmark_of bob list $gun --output json
json '[.targets[] | [.name, has("custom")]]' '[["a/custom",true],["a/file",false]]'
succeeds as alice hallmark delegation list $gun --output json
json '[.name, .delegations]' "[\"$gun\",[]]"
succeeds hallmark_of alice delete $gun --output json
json '[.name, .deleted]' "[\"$gun\",\"local\"]"

step "and of a repository in a directory"
succeeds as alice hallmark init ./repository --output json
json '[.name, [.newKeys[].role], [.published[] | [.role, .version]]]' \
    '["./repository",["root","targets","snapshot","timestamp"],[["targets",1],["snapshot",1],["timestamp",1],["root",1]]]'
succeeds as alice hallmark add ./repository a/file file --publish --output json
json '[[.staged[].change], [.published[].role]]' '[["add a/file (8 bytes)"],["targets","snapshot","timestamp"]]'
succeeds as alice hallmark lookup ./repository a/file --output json
json '[.target.name, .target.length, has("trust")]' '["a/file",8,false]'
exits 11 as alice hallmark lookup ./repository a/other
succeeds as alice hallmark delegation add ./repository qa --generate-key --paths 'qa/*' --publish --output json
id=$(jq --raw-output '.newKeys[0].id' <<<"$OUT")
succeeds as alice hallmark delegation add ./repository qa --generate-key --publish
succeeds as alice hallmark delegation purge ./repository --key "$id" --output json
json '.staged | length' 1
exits 1 as alice hallmark delegation purge ./repository --key none
succeeds as alice hallmark reset ./repository --output json
succeeds as alice hallmark refresh ./repository --output json
json '[.name, .published]' '["./repository",[]]'
