#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary openssl
start_servers
new_user alice
new_user jane
new_user bob
gun=example.com/tools/delegated
echo one >one
echo two >two

# signer_key USER: a delegation key in the user's store, and a certificate for it.
signer_key() {
    local directory=$SCRATCH/tmp/keys-$1
    mkdir "$directory"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
        -keyout "$directory/key.pem" -out "$directory/cert.pem" 2>/dev/null
    succeeds notary_of "$1" key import "$directory/key.pem" --role user
}
signer_key jane

step "a delegation for one path prefix, its snapshot key with the server"
succeeds notary_of alice init --publish $gun
succeeds notary_of alice key rotate $gun snapshot --server-managed
succeeds notary_of alice delegation add --publish $gun targets/qa keys-jane/cert.pem --paths qa/
succeeds notary_of alice delegation list $gun
says "targets/qa"
says "qa/"

step "its holder publishes into it without the owner's keys"
succeeds notary_of jane add --publish --roles targets/qa $gun qa/one one
succeeds notary_of bob list $gun
says "targets/qa"
succeeds notary_of bob verify $gun qa/one --input one

step "but not outside of its paths, nor in the owner's role"
fails notary_of jane add --publish --roles targets/qa $gun other/one one
succeeds notary_of jane reset --all $gun
fails notary_of jane add --publish $gun qa/two two
succeeds notary_of jane reset --all $gun
fails notary_of bob lookup $gun other/one
fails notary_of bob lookup $gun qa/two

step "what the owner signed wins over the delegation"
succeeds notary_of alice add --publish $gun qa/one two
succeeds notary_of bob verify $gun qa/one --input two
fails notary_of bob verify $gun qa/one --input one
succeeds notary_of alice remove --publish $gun qa/one
succeeds notary_of bob verify $gun qa/one --input one

step "a delegation below the delegation"
new_user john
signer_key john
succeeds notary_of jane delegation add --publish $gun targets/qa/nightly keys-john/cert.pem --paths qa/nightly/
succeeds notary_of john add --publish --roles targets/qa/nightly $gun qa/nightly/two two
succeeds notary_of bob verify $gun qa/nightly/two --input two

step "the owner purges the key: what it signed is gone"
key=$(notary_of alice delegation list $gun | awk '$1 == "targets/qa" { print $(NF - 1) }')
succeeds notary_of alice delegation purge --publish $gun --key "$key"
fails notary_of bob lookup $gun qa/one
fails notary_of jane add --publish --roles targets/qa $gun qa/three one

step "the delegation is removed"
succeeds notary_of alice delegation remove --yes --publish $gun targets/qa
succeeds notary_of alice delegation list $gun
never_says "targets/qa"
succeeds notary_of bob list $gun
