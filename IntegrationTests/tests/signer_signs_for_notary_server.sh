#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary notary-server openssl curl jq
need_hallmark
REGISTRY=127.0.0.1:1

make_certificates "$PWD"
start_service signer --only signer --data "$PWD/data" --signer-address 127.0.0.1:0 --log-level info \
    --signer-certificate server.crt --signer-key server.key --signer-client-ca ca.crt
signer=$(ready_address signer signer)

# notary_server KEY_ALGORITHM
notary_server() {
    local port
    port=$(free_port)
    cat >"server-$1.json" <<JSON
{"server": {"http_addr": "127.0.0.1:$port", "tls_cert_file": "./server.crt", "tls_key_file": "./server.key"},
 "trust_service": {"type": "remote", "hostname": "127.0.0.1", "port": "${signer##*:}", "key_algorithm": "$1",
                   "tls_ca_file": "./ca.crt", "tls_client_cert": "./server.crt", "tls_client_key": "./server.key"},
 "storage": {"backend": "memory"}, "logging": {"level": "info"}}
JSON
    start "notary-server-$1" notary-server -config "server-$1.json"
    TRUST_SERVER=https://127.0.0.1:$port TRUST_CA=$PWD/ca.crt
    eventually 10 curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/" || fail "notary-server did not start"
}

for algorithm in ecdsa ed25519; do
    step "notary-server with keys of type $algorithm"
    notary_server $algorithm
    publishes_with_notary "example.com/cross/$algorithm"
    equal "$(metadata "example.com/cross/$algorithm" root |
        jq --raw-output '.signed as $s | $s.roles.timestamp.keyids[0] as $id | $s.keys[$id].keytype')" \
        $algorithm "type of the timestamp key"
done

step "notary-server finds the signer's two services in order"
succeeds curl --silent --show-error --fail --cacert ca.crt "$TRUST_SERVER/_notary_server/health"
json . '{}'

step "a thousand calls in a row"
succeeds curl --silent --show-error --fail --cacert ca.crt --request POST \
    "$TRUST_SERVER/v2/example.com/many/[1-500]/_trust/tuf/{snapshot,timestamp}.key"
equal "$(grep --only-matching '"public"' <<<"$OUT" | wc -l)" 1000 "keys"

step "the log has a line a call, and neither keys nor what was signed"
grep --quiet 'method=Sign ' "$SCRATCH/logs/signer" || fail "no line for a signature"
! grep --quiet -e '_type' -e 'PRIVATE' "$SCRATCH/logs/signer" || fail "it logs what it should keep to itself"

step "who has no certificate of the CA is refused"
fails openssl s_client -connect "$signer" -CAfile ca.crt -alpn h2 -verify_return_error -tls1_2
succeeds openssl s_client -connect "$signer" -CAfile ca.crt -alpn h2 -verify_return_error -cert server.crt -key server.key

step "it ends cleanly"
stop signer
equal "$CODE" 0 "exit code"
