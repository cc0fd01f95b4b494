#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary curl
need_hallmark
REGISTRY=127.0.0.1:1
gun=example.com/signer/away
signer_port=$(free_port)

start_signer() { start_service signer --only signer --data "$PWD/data" --signer-address "127.0.0.1:$signer_port"; }
health() { curl --silent --cacert "$TRUST_CA" "$TRUST_SERVER/_notary_server/health"; }
is_healthy() { [[ $(health) == '{}' ]]; }
says_signer_is_down() { health | grep --quiet '"Trust operational"'; }

step "a server may start before its signer"
start_service server --only server --data "$PWD/data" --server-address 127.0.0.1:0 --signer "127.0.0.1:$signer_port"
TRUST_SERVER=$(ready_address server server) TRUST_CA=$PWD/data/ca.crt
start_signer
eventually 20 is_healthy || fail "not healthy: $(health)"

step "two processes of ours, with certificates of the local CA"
publishes_with_notary example.com/signer/there
new_user alice
echo content >content
succeeds notary_of alice init --publish $gun
succeeds notary_of alice key rotate $gun snapshot --server-managed
succeeds notary_of alice add --publish $gun before content

for way in crash stop; do
    step "the signer is gone ($way): publishers are told so, with 503"
    $way signer
    succeeds notary_of alice add $gun "after-$way" content
    fails notary_of alice publish $gun
    says "unable to reach trust server at this time: 503."
    succeeds curl --silent --show-error --cacert "$TRUST_CA" --include "$TRUST_SERVER/v2/example.com/new/_trust/tuf/timestamp.key"
    says "HTTP/1.1 503"
    says "Retry-After: 5"
    says '"code":"UNAVAILABLE"'
    never_says "127.0.0.1:$signer_port"

    step "readers go on, with and without a cache"
    new_user "reader-$way"
    succeeds notary_of "reader-$way" verify $gun before --input content
    succeeds notary_of alice verify $gun before --input content

    step "health says it"
    eventually 25 says_signer_is_down || fail "health says nothing of it: $(health)"

    step "the signer is back: the same publication goes through"
    start_signer
    eventually 10 as alice notary --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
        --trustDir "$(home alice)/.docker/trust" publish $gun || fail "publishing does not go on"
    succeeds notary_of "reader-$way" verify $gun "after-$way" --input content
    eventually 25 is_healthy || fail "not healthy: $(health)"
done

step "a second server on the same directory is refused"
exits 1 hallmark serve --only server --data "$PWD/data" --server-address 127.0.0.1:0
says "is in use by another hallmark serve"

step "both end cleanly"
stop server
equal "$CODE" 0 "exit code of the server"
stop signer
equal "$CODE" 0 "exit code of the signer"
