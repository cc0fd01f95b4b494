#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/users.sh"

need notary notary-server openssl curl
need_hallmark
start_with_users
realm=$TRUST_SERVER/auth/token
mkdir conf
make_certificates "$PWD/conf"
cp "$SCRATCH/hallmark/token/certificates.pem" roots.pem
port=$(free_port)
# Paths are relative to the file, but that of the bundle, which is so to where the program is started.
cat >conf/server.json <<JSON
{"server": {"http_addr": "127.0.0.1:$port", "tls_cert_file": "./server.crt", "tls_key_file": "./server.key"},
 "trust_service": {"type": "local"},
 "auth": {"type": "token", "options": {"realm": "$realm", "service": "hallmark-server", "issuer": "hallmark",
                                       "rootcertbundle": "roots.pem"}},
 "storage": {"backend": "memory"}, "logging": {"level": "info"}}
JSON
cat conf/ca.crt "$TRUST_CA" >both.crt
TRUST_SERVER=https://127.0.0.1:$port TRUST_CA=$PWD/both.crt

# is_guarded NAME: whoever serves, strangers are sent for a token; alice may publish, everybody may read what is public, which is
# how the stock client reads, and nobody but her the other collection; bob may publish neither.
is_guarded() {
    local gun user
    succeeds curl --silent --include --cacert both.crt "$TRUST_SERVER/v2/"
    says 401
    says "realm=\"$realm\""
    says 'service="hallmark-server"'
    echo content >content
    for user in alice bob; do new_user $user; done
    export NOTARY_AUTH
    for gun in "public/$1" "example.com/private/$1"; do
        NOTARY_AUTH=$(printf 'alice:alice-password' | base64)
        succeeds notary_of alice init --publish "$gun"
        succeeds notary_of alice add --publish "$gun" v1 content
        NOTARY_AUTH=$(printf 'bob:bob-password' | base64)
        fails notary_of bob key rotate "$gun" snapshot --server-managed
    done
    unset NOTARY_AUTH
    succeeds notary_of bob verify "public/$1" v1 --input content
    fails notary_of bob list "example.com/private/$1"
    succeeds curl --silent --output /dev/null --write-out '%{http_code}' --cacert both.crt \
        "$TRUST_SERVER/v2/example.com/private/$1/_trust/tuf/root.json"
    says 401
}

step "Debian's notary-server with this file"
start notary-server notary-server -config conf/server.json
eventually 10 curl --silent --cacert both.crt "$TRUST_SERVER/v2/" || fail "notary-server did not start"
is_guarded debian
stop notary-server

step "ours with the same file, which warns of what it keeps that Notary would lose"
succeeds hallmark config check -c conf/server.json
says "warning: conf/server.json:2: trust_service.type: is local"
says "warning: conf/server.json:5: storage.backend: is memory"
HALLMARK_DATA=$PWD/ours start_service ours -config conf/server.json
is_guarded hallmark

step "and keeps"
stop ours
HALLMARK_DATA=$PWD/ours start_service ours -config conf/server.json
export NOTARY_AUTH
NOTARY_AUTH=$(printf 'alice:alice-password' | base64)
succeeds notary_of alice add --publish example.com/private/hallmark v2 content
unset NOTARY_AUTH

step "any other type, for which Notary asks nobody for anything, does not start"
sed 's/"type": "token"/"type": "htpasswd"/' conf/server.json >conf/other.json
exits 1 hallmark serve -config conf/other.json --data other
says "conf/other.json:3: auth.type: found \`htpasswd\`, expected token"
