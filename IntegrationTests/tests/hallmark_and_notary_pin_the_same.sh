#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need notary
need openssl
start_servers
new_user alice

# authority NAME: a CA.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.crt" -days 365 -subj "/CN=$1" \
        -addext basicConstraints=critical,CA:TRUE 2>"$SCRATCH/logs/openssl"
}
# collection GUN EXTENSIONS: published by notary, with a root certificate that the first CA has signed.
collection() {
    local name=${1##*/}
    openssl ecparam -name prime256v1 -genkey -noout -out "$name.key"
    openssl req -new -key "$name.key" -subj "/CN=${1//\//\\/}" -out "$name.csr"
    printf 'basicConstraints=critical,CA:FALSE\n%s\n' "$2" >"$name.ext"
    openssl x509 -req -in "$name.csr" -CA first.crt -CAkey first.key -CAcreateserial -days 300 -extfile "$name.ext" \
        -out "$name.crt" 2>>"$SCRATCH/logs/openssl"
    succeeds hallmark_of alice init --rootkey "$name.key" --rootcert "$name.crt" --publish "$1"
    succeeds notary_of alice add --publish "$1" v1 content
}
authority first
authority second
echo content >content
gun=example.com/tools/pinned
collection $gun "extendedKeyUsage=serverAuth,codeSigning"
collection example.com/tools/code "extendedKeyUsage=codeSigning"
id=$(metadata $gun root | jq --raw-output '.signed.roles.root.keyids[0]')
other=${id//[0-9]/0}

# lookup PROGRAM GUN CONFIGURATION: as somebody who knows nothing yet.
lookup() {
    local directory
    directory=$(mktemp -d)
    echo "$3" >"$directory/config.json"
    as alice "$1" --config"$([[ $1 == notary ]] && echo File)" "$directory/config.json" --server "$TRUST_SERVER" \
        --tlscacert "$TRUST_CA" --trustDir "$directory/trust" lookup "$2" v1
}
# both accept|refuse PINNING [GUN]
both() {
    local name=${3:-$gun}
    step "$1: $2"
    if [[ $1 == accept ]]; then
        succeeds lookup notary "$name" "{\"trust_pinning\": $2}"
        succeeds lookup hallmark "$name" "{\"trust_pinning\": $2}"
    else
        fails lookup notary "$name" "{\"trust_pinning\": $2}"
        exits 12 lookup hallmark "$name" "{\"trust_pinning\": $2}"
    fi
}

both accept '{}'
both refuse '{"disable_tofu": true}'
both accept "{\"certs\": {\"$gun\": [\"$id\"]}, \"disable_tofu\": true}"
both accept "{\"certs\": {\"$gun\": [\"$other\", \"$id\"]}}"
both refuse "{\"certs\": {\"$gun\": [\"$other\"]}}"
both accept "{\"certs\": {\"example.com/*\": [\"$id\"]}, \"disable_tofu\": true}"
both refuse "{\"certs\": {\"example.com/*\": [\"$id\"], \"example.com/tools/*\": [\"$other\"]}}"
both accept "{\"certs\": {\"example.com/*\": [\"$other\"], \"example.com/tools/*\": [\"$id\"]}}"
both accept "{\"certs\": {\"$gun\": [\"$id\"], \"example.com/tools/*\": [\"$other\"]}}"
both refuse "{\"certs\": {\"example.org/*\": [\"$id\"]}, \"disable_tofu\": true}"
both accept '{"ca": {"example.com/tools": "first.crt"}, "disable_tofu": true}'
both refuse '{"ca": {"example.com/tools": "second.crt"}}'
both accept '{"ca": {"example.com/": "second.crt", "example.com/tools": "first.crt"}}'
both refuse '{"ca": {"example.com/": "first.crt", "example.com/tools": "second.crt"}}'
both refuse '{"ca": {"example.org/": "first.crt"}, "disable_tofu": true}'
both refuse "{\"certs\": {\"$gun\": [\"$other\"]}, \"ca\": {\"example.com/\": \"first.crt\"}}"
both accept "{\"certs\": {\"$gun\": [\"$id\"]}, \"ca\": {\"example.com/\": \"second.crt\"}}"

step "a certificate for signing code alone: notary asks for one of TLS servers, hallmark takes it"
pinning='{"trust_pinning": {"ca": {"example.com/": "first.crt"}, "disable_tofu": true}}'
fails lookup notary example.com/tools/code "$pinning"
succeeds lookup hallmark example.com/tools/code "$pinning"

step "an old pin after the root key was rotated: notary refuses, hallmark follows the rotations from it"
notary_of alice key rotate $gun root <<<yes >/dev/null
pinning="{\"trust_pinning\": {\"certs\": {\"$gun\": [\"$id\"]}, \"disable_tofu\": true}}"
fails lookup notary $gun "$pinning"
succeeds lookup hallmark $gun "$pinning"
new=$(metadata $gun root | jq --raw-output '.signed.roles.root.keyids[0]')
both accept "{\"certs\": {\"$gun\": [\"$new\"]}, \"disable_tofu\": true}"
