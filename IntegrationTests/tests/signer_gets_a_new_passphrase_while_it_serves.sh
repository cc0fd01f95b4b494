#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
need_hallmark
start_hallmark

step "keys under the passphrase of the first start"
publishes_with_notary example.com/passphrase/one

step "a new one, while the signer serves"
succeeds hallmark key passwd --signer --data "$HALLMARK_DATA" --output json
json .alias file-2
json .failures '{}'
(($(jq .count <<<"$OUT") >= 4)) || fail "too few keys: $OUT"
publishes_with_notary example.com/passphrase/two

step "the old one is of no use any more, to the signer that runs or to the next one"
rm "$HALLMARK_DATA/signer/passphrase"
publishes_with_notary example.com/passphrase/three
restart_hallmark
publishes_with_notary example.com/passphrase/four

step "usage"
exits 2 hallmark key passwd
exits 1 hallmark key passwd --signer --data "$PWD/nowhere"
says "--data"
