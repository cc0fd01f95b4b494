#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary notary-signer openssl curl ss
need_hallmark
REGISTRY=127.0.0.1:1

make_certificates "$PWD"
port=$(free_port)
cat >signer.json <<JSON
{"server": {"grpc_addr": "127.0.0.1:$port", "tls_cert_file": "./server.crt", "tls_key_file": "./server.key",
            "client_ca_file": "./ca.crt"},
 "storage": {"backend": "memory"}, "logging": {"level": "error"}}
JSON
start notary-signer notary-signer -config signer.json
eventually 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" || fail "notary-signer did not start"
start_service server --only server --data "$PWD/data" --server-address 127.0.0.1:0 --signer "127.0.0.1:$port" \
    --signer-ca ca.crt --signer-client-certificate server.crt --signer-client-key server.key
TRUST_SERVER=$(ready_address server server) TRUST_CA=$PWD/data/ca.crt

step "the stock client publishes and verifies"
publishes_with_notary example.com/cross/one

step "the server holds no private key of a collection, and has no place for one"
[[ ! -e data/signer ]] || fail "there is a directory for keys"

step "it finds the signer in order"
succeeds curl --silent --show-error --fail --cacert "$TRUST_CA" "$TRUST_SERVER/_notary_server/health"
json . '{}'

# One after the other: notary-signer's storage in memory dies of two keys made at once ("concurrent map read and map write").
step "fifteen hundred calls as fast as they go, on the same connections"
succeeds curl --silent --show-error --fail --cacert "$TRUST_CA" --request POST \
    "$TRUST_SERVER/v2/example.com/many/[1-750]/_trust/tuf/{snapshot,timestamp}.key"
equal "$(grep --only-matching '"public"' <<<"$OUT" | wc -l)" 1500 "keys"
! grep --quiet 'failed a call' "$SCRATCH/logs/server" || fail "calls failed"
connections=$(ss --no-header --tcp --numeric state established "( dport = :$port )" | wc -l)
((connections <= 2)) || fail "it opened $connections connections"
