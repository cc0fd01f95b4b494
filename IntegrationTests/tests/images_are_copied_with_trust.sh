#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need skopeo
start_servers
new_user alice
new_user carol
new_user bob
from=$REGISTRY/old/app to=$REGISTRY/new/app

step "what is signed is copied, whatever the tag means in the registry now"
layout good "good" --platforms amd64,arm64
layout forged "forged"
for tag in 1.0 2.0; do succeeds hallmark_of alice push good "$from:$tag"; done
succeeds skopeo --insecure-policy copy --all --quiet --dest-tls-verify=false oci:forged "docker://$from:1.0"
succeeds skopeo --insecure-policy copy --all --quiet --dest-tls-verify=false oci:forged "docker://$from:unsigned"
succeeds hallmark_of carol copy --trust "$from:1.0" "$to:1.0"
says "Signed $to:1.0@$(layout_digest good)"
equal "$(registry_digest new/app 1.0)" "$(layout_digest good)" "digest in the destination"
succeeds hallmark_of bob pull "$to:1.0" pulled
succeeds layout_is_whole pulled
exits 11 hallmark_of carol copy --trust "$from:unsigned" "$to:unsigned"

step "all signed tags are one publish, and a second time there is nothing to sign"
succeeds hallmark_of carol copy --trust --all --output json "$from" "$to"
json '[.signed[].images[].image]' "[\"$to:2.0\"]"
equal "$(metadata "$to" targets | jq .signed.version)" 3 "publishes"
succeeds hallmark_of carol copy --trust --all "$from" "$to"
says "Nothing to sign"
equal "$(metadata "$to" targets | jq .signed.version)" 3 "publishes"
fails skopeo inspect --tls-verify=false "docker://$to:unsigned"

step "what cannot go together is refused before anything is asked"
exits 2 hallmark_of carol copy --trust --platform linux/amd64 "$from:1.0" "$to:1.0"
exits 2 hallmark_of carol copy --trust --all "$REGISTRY" "$REGISTRY/below"
exits 2 hallmark_of carol copy --src-server "$TRUST_SERVER" "$from:1.0" "$to:1.0"
