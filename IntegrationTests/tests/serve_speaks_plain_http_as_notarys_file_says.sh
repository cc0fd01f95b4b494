#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary notary-server curl
need_hallmark
REGISTRY=127.0.0.1:1
port=$(free_port)
echo "{\"server\": {\"http_addr\": \":$port\"}, \"trust_service\": {\"type\": \"local\"}, \"storage\": {\"backend\": \"memory\"}}" \
    >least.json
TRUST_SERVER=http://127.0.0.1:$port TRUST_CA=/dev/null

# publishes GUN: the stock client publishes, and another verifies, without TLS.
publishes() {
    local client=(notary --server "$TRUST_SERVER" --trustDir)
    echo content >content
    succeeds env NOTARY_ROOT_PASSPHRASE=password NOTARY_TARGETS_PASSPHRASE=password NOTARY_SNAPSHOT_PASSPHRASE=password \
        "${client[@]}" "$PWD/publisher" init --publish "$1"
    succeeds env NOTARY_TARGETS_PASSPHRASE=password NOTARY_SNAPSHOT_PASSPHRASE=password \
        "${client[@]}" "$PWD/publisher" add --publish "$1" v1 content
    succeeds "${client[@]}" "$PWD/reader" verify "$1" v1 --input content
}

step "the least that Debian's notary-server starts with: a signer of its own, nothing on disk, no TLS"
start notary-server notary-server -config least.json
eventually 10 curl --silent --fail "$TRUST_SERVER/v2/" || fail "notary-server did not start"
publishes example.com/least/debian
stop notary-server

step "ours with the same file, on all addresses too"
HALLMARK_DATA=$PWD/data start_service server -config least.json
grep --quiet 'plain HTTP beyond this machine' "$SCRATCH/logs/server" || fail "no warning of plain HTTP"
publishes example.com/least/hallmark
if [[ -e /proc/net/if_inet6 ]] && grep --quiet ' lo$' /proc/net/if_inet6; then
    succeeds curl --silent --show-error --fail "http://[::1]:$port/v2/"
fi
succeeds curl --silent --fail "$TRUST_SERVER/v2/example.com/least/hallmark/_trust/tuf/root.json"
json '[.signed.keys[] | select(.keytype == "ed25519")] | length' 1

step "what it has is there after it was started again"
stop server
HALLMARK_DATA=$PWD/data start_service server -config least.json
succeeds notary --server "$TRUST_SERVER" --trustDir "$PWD/reader" verify example.com/least/hallmark v1 --input content
stop server
