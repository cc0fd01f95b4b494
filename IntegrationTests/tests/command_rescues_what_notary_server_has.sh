#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What notary-server lets a rescue do. Its own clock cannot be set back: everything here expires some seconds after it was made.
SUT=debian
. "$(dirname "$0")/../lib.sh"
. "$HERE/past.sh"

need_hallmark client
need notary faketime openssl

# The publisher's clock is years behind, and the server's certificate must be in force then.
make_certificates() {
    local directory=$1 curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    some_days_ago 4000 openssl req -x509 "${curve[@]}" -keyout "$directory/ca.key" -out "$directory/ca.crt" -days 8000 \
        -subj "/CN=test CA" 2>/dev/null
    openssl req "${curve[@]}" -keyout "$directory/server.key" -out "$directory/server.csr" -subj "/CN=localhost" 2>/dev/null
    some_days_ago 4000 openssl x509 -req -in "$directory/server.csr" -CA "$directory/ca.crt" -CAkey "$directory/ca.key" \
        -CAcreateserial -days 8000 -out "$directory/server.crt" 2>/dev/null \
        -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth')
}

# about_to_expire DAYS VERB ARGUMENT...: by hallmark on a clock on which that many days end in five seconds.
about_to_expire() {
    local seconds=$(($1 * 86400 - 5)) verb=$2
    shift 2
    as alice env FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f "-$seconds" hallmark "$verb" --server "$TRUST_SERVER" \
        --tlscacert "$TRUST_CA" --trust-dir "$(home alice)/.docker/trust" "$@"
}

REGISTRY=127.0.0.1:$(free_port)
start_debian_notary
gun=example.com/rescued
new_user alice
new_user old
new_user fresh
private=$(home alice)/.docker/trust/private

step "collections whose root, root certificate, targets or snapshot end in a moment"
printf '[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\nbasicConstraints=critical,CA:FALSE\n' >root.cnf
openssl ecparam -name prime256v1 -genkey -noout -out root.key
some_days_ago 3651 openssl req -x509 -key root.key -days 7300 -subj "/CN=example.com\/rescued\/root" -config root.cnf -out root.crt
succeeds about_to_expire 3650 init --server-managed-snapshot --rootkey root.key --rootcert root.crt $gun/root
succeeds about_to_expire 3650 init --server-managed-snapshot $gun/certificate
succeeds about_to_expire 1095 init --server-managed-snapshot --publish $gun/targets
succeeds about_to_expire 1095 init --publish $gun/snapshot
# Without the root keys a publish cannot renew the roots.
mkdir hidden
grep --files-with-matches 'role: root' "$private"/* | xargs mv --target-directory hidden
for name in root certificate; do succeeds hallmark_of alice publish $gun/$name; done
mv hidden/* "$private"
for name in root certificate targets snapshot; do succeeds hallmark_of old list $gun/$name; done

step "they expire, and the stock client refuses them"
# by_now: notary no longer takes what a clock made that is all that differs.
by_now() { ! notary_of fresh list $gun/$1; }
for name in root certificate targets snapshot; do
    eventually 15 by_now $name || fail "$name has not expired"
done

step "root, targets and snapshot are rescued, the snapshot although the server no longer gives its timestamp"
rm -rf "$(home fresh)/.docker/trust"
fails notary_of fresh list $gun/snapshot
says "500"
for name in root targets snapshot; do
    succeeds hallmark_of alice rescue --yes $gun/$name
    for user in old fresh; do succeeds notary_of $user list $gun/$name; done
done

step "with an expired root certificate it takes nothing any more, and the error says what helps"
exits 1 hallmark_of alice rescue --yes $gun/certificate
says "hallmark move"
