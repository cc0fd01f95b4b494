#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

make_certificates "$PWD"
: >ready
start own bash -c 'exec hallmark serve --data "$1/data" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 \
    --tls-certificate "$1/server.crt" --tls-key "$1/server.key" --registry-tls >"$1/ready"' serve "$PWD"
eventually 20 grep --quiet '^ready ' ready || fail "not ready"
registry=$(sed -n 's|^ready registry=\([^ ]*\).*|\1|p' ready) server=$(sed -n 's|^ready .*server=||p' ready)

step "the operator's certificate on both addresses, and no CA of its own"
succeeds curl --silent --show-error --fail --cacert ca.crt "$server/v2/"
succeeds curl --silent --show-error --fail --cacert ca.crt "$registry/v2/"
[[ ! -e data/ca.crt && ! -e data/ca.key ]] || fail "it made a CA"
! grep --quiet 'ca\.crt' ready || fail "it tells clients of a CA that there is not"

step "hallmark with the operator's CA, and not without"
layout source "own"
export HOME=$PWD/home DOCKER_CONTENT_TRUST_SERVER=$server
export DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=passphrase DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=passphrase
exits 20 hallmark push source "${registry#https://}/team/app:1"
says "ca.crt"
succeeds hallmark push --tlscacert ca.crt source "${registry#https://}/team/app:1"
stop own
