#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
start_servers
new_user alice
new_user bob
gun=example.com/tools/one
printf 'the first file\n' >first
printf 'the second file\n' >second

step "init, add, publish"
succeeds notary_of alice init $gun
succeeds notary_of alice add $gun v1 first
says "staged for next publish"
succeeds notary_of alice status $gun
says "v1"
fails notary_of bob list $gun
says "does not have trust data for $gun"
succeeds notary_of alice publish $gun
says "Successfully published changes for repository $gun"
succeeds notary_of alice status $gun
says "No unpublished changes"

step "another client lists, looks up and verifies"
succeeds notary_of bob list $gun
says "v1"
says "$(sha256sum <first | cut -d' ' -f1)"
succeeds notary_of bob lookup $gun v1
equal "$OUT" "v1 sha256:$(sha256sum <first | cut -d' ' -f1) $(stat -c %s first)" "lookup"
succeeds notary_of bob verify $gun v1 --input first
equal "$OUT" "$(<first)" "the verified file"

step "another file, or a name that is not there, is refused"
fails notary_of bob verify $gun v1 --input second
fails notary_of bob lookup $gun v2
says "No valid trust data for v2"

step "further targets, by file, by hash, and with custom data"
succeeds notary_of alice add --publish $gun v2 second
succeeds notary_of alice addhash --publish $gun v3 12345 --sha256 "$(sha256sum <second | cut -d' ' -f1)"
printf '{"build":7}' >custom
succeeds notary_of alice add --publish $gun v4 first --custom custom
succeeds notary_of bob verify $gun v2 --input second
succeeds notary_of bob lookup $gun v3
says " 12345"
succeeds notary_of bob verify $gun v4 --input first
equal "$(metadata $gun targets | jq --compact-output .signed.targets.v4.custom)" '{"build":7}' "custom data"

step "removal"
succeeds notary_of alice remove --publish $gun v1
fails notary_of bob lookup $gun v1
succeeds notary_of bob lookup $gun v2

step "reset forgets what was staged"
succeeds notary_of alice add $gun v9 first
succeeds notary_of alice reset --all $gun
succeeds notary_of alice publish $gun
fails notary_of bob lookup $gun v9

step "a client that must know the server's CA refuses without it"
fails as bob notary --server "$TRUST_SERVER" --trustDir "$SCRATCH/tmp/other" list $gun
