#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

start_servers
new_user alice
new_user bob
layout source "some content"
image=$REGISTRY/team/app:1.0
succeeds hallmark_of alice push source "$image"
tls=$(home bob)/.docker/tls/${TRUST_SERVER#https://}

step "with the CA where docker has it, nothing else has to be said"
succeeds as bob hallmark pull "$image" known
layout_is_whole known || fail "not whole"

step "an unknown CA: where to put it, and which option names it"
mv "$tls/ca.crt" ca.crt
rm -r "$(home bob)/.docker/trust"
exits 20 as bob hallmark pull "$image" out
says "~/.docker/tls/${TRUST_SERVER#https://}/ca.crt"
says "--tlscacert"
succeeds as bob hallmark pull --tlscacert ca.crt "$image" named
rm -r "$(home bob)/.docker/trust"

step "a CA file that is none is named"
exits 1 as bob hallmark pull --tlscacert source/index.json "$image" out
says source/index.json
cp ca.crt "$tls/"

step "no trust server named, and the registry's host is none: how to name one"
exits 20 as bob env --unset DOCKER_CONTENT_TRUST_SERVER hallmark pull "$image" out
says DOCKER_CONTENT_TRUST_SERVER

step "nobody listens: the address, and why"
exits 20 as bob hallmark pull --server https://127.0.0.1:1 "$image" out
says "https://127.0.0.1:1"
says "Connection refused"
exits 20 as bob hallmark pull "127.0.0.1:1/team/app:1.0" out --server https://127.0.0.1:1

step "not signed: how to see what is"
exits 11 as bob hallmark pull "${image%:*}:other" out
says "hallmark inspect"

step "an older signed timestamp is in force, but the server is away: a warning, and the image"
succeeds as bob hallmark pull "$image" before
succeeds as bob hallmark pull --server https://127.0.0.1:1 "$image" offline
says "Warning: could not ask the trust server"
[[ ! -e out ]] || fail "something was written"
