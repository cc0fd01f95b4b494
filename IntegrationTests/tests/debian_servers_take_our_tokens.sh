#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/users.sh"

need docker-registry notary-server notary skopeo openssl
start_with_users
ours=$TRUST_SERVER
make_certificates "$PWD"
layout image "for the team"

step "docker-registry, given the certificates of the token service"
port=$(free_port)
cat >registry.yml <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $PWD/docker-registry}}
http: {addr: "127.0.0.1:$port", secret: test, tls: {certificate: $PWD/server.crt, key: $PWD/server.key}}
auth:
  token:
    realm: $ours/auth/token
    service: hallmark-registry
    issuer: hallmark
    rootcertbundle: $SCRATCH/hallmark/token/certificates.pem
YAML
start docker-registry docker-registry serve registry.yml
cat ca.crt "$TRUST_CA" >certificates/ca.crt
eventually 10 curl --silent --cacert ca.crt "https://127.0.0.1:$port/v2/" || fail "docker-registry did not start"
copy() { skopeo --insecure-policy copy --src-cert-dir certificates --dest-cert-dir certificates "$@"; }
succeeds copy --dest-creds alice:alice-password oci:image:latest "docker://127.0.0.1:$port/team/app:1"
succeeds copy --src-creds bob:bob-password "docker://127.0.0.1:$port/team/app:1" oci:copied:1
fails copy --dest-creds bob:bob-password oci:image:latest "docker://127.0.0.1:$port/team/app:2"
fails copy --src-no-creds "docker://127.0.0.1:$port/team/app:1" oci:none:1

step "notary-server too"
start_service signer --only signer --data "$PWD/signer" --signer-address 127.0.0.1:0 \
    --signer-certificate server.crt --signer-key server.key --signer-client-ca ca.crt
signer=$(ready_address signer signer)
port=$(free_port)
cat >server.json <<JSON
{"server": {"http_addr": "127.0.0.1:$port", "tls_cert_file": "./server.crt", "tls_key_file": "./server.key"},
 "trust_service": {"type": "remote", "hostname": "127.0.0.1", "port": "${signer##*:}", "key_algorithm": "ecdsa",
                   "tls_ca_file": "./ca.crt", "tls_client_cert": "./server.crt", "tls_client_key": "./server.key"},
 "auth": {"type": "token", "options": {"realm": "$ours/auth/token", "service": "hallmark-server", "issuer": "hallmark",
                                       "rootcertbundle": "$SCRATCH/hallmark/token/certificates.pem"}},
 "storage": {"backend": "memory"}, "logging": {"level": "info"}}
JSON
start notary-server notary-server -config server.json
TRUST_SERVER=https://127.0.0.1:$port
eventually 10 curl --silent --cacert ca.crt "$TRUST_SERVER/v2/" || fail "notary-server did not start"
TRUST_CA=$PWD/certificates/ca.crt
new_user alice
new_user bob
echo content >content
export NOTARY_AUTH
NOTARY_AUTH=$(printf 'alice:alice-password' | base64)
succeeds notary_of alice init --publish example.com/tools/one
succeeds notary_of alice add --publish example.com/tools/one v1 content
succeeds notary_of bob verify example.com/tools/one v1 --input content
succeeds notary_of alice init --publish example.com/private/one
NOTARY_AUTH=$(printf 'bob:bob-password' | base64)
fails notary_of bob init --publish example.com/private/two
says "not authorized"
succeeds notary_of bob list example.com/private/one
NOTARY_AUTH=$(printf 'carol:carol-password' | base64)
new_user carol
fails notary_of carol list example.com/private/one
