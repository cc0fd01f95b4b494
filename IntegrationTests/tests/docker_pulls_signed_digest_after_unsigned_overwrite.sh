#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

start_servers
start_engine publisher
new_user alice
image=$REGISTRY/team/app:1.0
base_image "good" "$image"
succeeds as alice docker push "$image"
good=$(registry_digest team/app 1.0)

step "somebody overwrites the tag in the registry, unsigned"
base_image "evil" "$image"
succeeds without_trust alice docker push "$image"
evil=$(registry_digest team/app 1.0)
[[ $good != "$evil" ]] || fail "the overwriting image is the same as the first one"

step "trusting clients still get what was signed"
start_engine reader
new_user bob
succeeds as bob docker pull "$image"
says "@$good"
succeeds as bob docker run --rm --network none "$image"
equal "$OUT" "good" "what a trusted pull holds"

step "others get what the registry says"
start_engine careless
new_user carol
succeeds without_trust carol docker run --rm --network none "$image"
equal "$OUT" "evil" "what an untrusted pull holds"

step "run without a pull before uses the signed digest, too"
new_user dave
succeeds as dave docker run --rm --network none "$image"
equal "$OUT" "good" "what a trusted run holds"

step "the publisher signs the overwriting image: clients with a warm cache follow"
succeeds as alice docker push "$image"
equal "$(signed_digest alice team/app 1.0)" "$evil" "signed digest"
succeeds as bob docker pull "$image"
says "@$evil"
succeeds as bob docker run --rm --network none "$image"
equal "$OUT" "evil" "what the newly signed tag holds"
