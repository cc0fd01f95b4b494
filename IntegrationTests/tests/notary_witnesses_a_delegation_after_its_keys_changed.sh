#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary openssl
start_servers
new_user alice
new_user bob
gun=example.com/tools/witnessed
echo one >one
for name in jane john; do
    new_user $name
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$name" \
        -keyout $name.key -out $name.crt 2>/dev/null
    succeeds notary_of $name key import $name.key --role user
done
succeeds notary_of alice init --publish $gun
succeeds notary_of alice key rotate $gun snapshot --server-managed
succeeds notary_of alice delegation add --publish $gun targets/team jane.crt --all-paths
succeeds notary_of jane add --publish --roles targets/team $gun v1 one
succeeds notary_of bob verify $gun v1 --input one

step "jane's key makes room for john's: her signature no longer counts"
key=$(notary_of alice delegation list $gun | awk '$1 == "targets/team" { print $(NF - 1) }')
succeeds notary_of alice delegation add $gun targets/team john.crt
succeeds notary_of alice delegation remove --yes $gun targets/team "$key"
succeeds notary_of alice publish $gun
new_user carol
fails notary_of carol lookup $gun v1

step "john witnesses: the content is trusted again, by his key"
succeeds notary_of john witness --publish $gun targets/team
says "marked for witnessing"
succeeds notary_of carol verify $gun v1 --input one
succeeds notary_of bob verify $gun v1 --input one

step "the owner witnesses the top-level targets: its version rises"
version=$(metadata $gun targets | jq .signed.version)
succeeds notary_of alice witness --publish $gun targets
(($(metadata $gun targets | jq .signed.version) > version)) || fail "the version of targets did not rise"
