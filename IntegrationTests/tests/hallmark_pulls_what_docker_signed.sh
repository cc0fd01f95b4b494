#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
start_servers
start_engine publisher
new_user alice
new_user bob
image=$REGISTRY/team/app:1.0
base_image "signed by docker" "$image"
succeeds as alice docker push "$image"
good=$(registry_digest team/app 1.0)

step "pull verifies and writes a layout that others read"
succeeds hallmark_of bob pull "$image" layout
says "$good"
layout_is_whole layout || fail "the layout is not whole"
equal "$(layout_digest layout)" "$good" "digest"
succeeds skopeo --insecure-policy copy "oci:layout" docker-archive:loaded.tar:loaded:1
succeeds without_trust alice docker load --input loaded.tar
succeeds without_trust alice docker run --rm --network none loaded:1
equal "$OUT" "signed by docker" "content"

step "the tag is overwritten, unsigned: pull still gets what was signed"
base_image "evil" "$image"
succeeds without_trust alice docker push "$image"
succeeds hallmark_of bob pull "$image" again
equal "$(layout_digest again)" "$good" "digest"

step "inspect and list tell the same as docker"
succeeds as alice docker trust inspect "$REGISTRY/team/app"
root=$(jq --raw-output '.[0].AdministrativeKeys[] | select(.Name == "Root").Keys[0].ID' <<<"$OUT")
succeeds hallmark_of bob inspect --output json "$REGISTRY/team/app"
jq --exit-status . <<<"$OUT" >/dev/null || fail "no JSON"
says "${good#sha256:}"
says "$root"
succeeds hallmark_of bob list "$REGISTRY/team/app"
says "1.0"
says "${good#sha256:}"
succeeds hallmark_of bob list --output json "$REGISTRY/team/app"
jq --exit-status . <<<"$OUT" >/dev/null || fail "no JSON"

step "an unsigned tag: exit code 11, and nothing is written"
base_image "unsigned" "$REGISTRY/team/app:unsigned"
succeeds without_trust alice docker push "$REGISTRY/team/app:unsigned"
exits 11 hallmark_of bob pull "$REGISTRY/team/app:unsigned" nothing
[[ ! -e nothing ]] || fail "something was written"
exits 11 hallmark_of bob inspect "$REGISTRY/team/app:unsigned"

step "a repository without trust data: 10"
exits 10 hallmark_of bob pull "$REGISTRY/team/absent:1.0" nothing
exits 10 hallmark_of bob list "$REGISTRY/team/absent"
exits 10 hallmark_of bob inspect "$REGISTRY/team/absent"

step "usage: 2"
exits 2 hallmark_of bob pull "$image"
exits 2 hallmark_of bob pull "NOT A NAME" nothing
exits 2 hallmark no-such-verb
exits 2 hallmark_of bob list --output xml "$REGISTRY/team/app"

step "a trust server that is not there, or whose certificate is not known: 20"
exits 20 as bob hallmark pull --server https://127.0.0.1:1 --tlscacert "$TRUST_CA" --trust-dir new "$image" nothing
make_certificates "$SCRATCH/tmp"
exits 20 as bob hallmark pull --server "$TRUST_SERVER" --tlscacert "$SCRATCH/tmp/ca.crt" --trust-dir new "$image" nothing
[[ ! -e nothing ]] || fail "something was written"

step "nothing of it left a file beside the layouts, or a partial one"
equal "$(find . -maxdepth 1 \( -name '*partial*' -o -name '.*tmp*' -o -name '*.part*' \))" "" "left-overs"
