#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need notary
start_servers
new_user alice
new_user bob
gun=example.com/tools/shared
echo one >one
echo two >two
trust=$(home alice)/.docker/trust

# staged: what lies in alice's changelist of the collection, in order, as one line of JSON each.
staged() {
    local file
    for file in "$trust/tuf/$gun/changelist"/*.change; do
        [[ -e $file ]] || continue
        jq --compact-output '[.action, .role, .type, .path]' "$file"
    done
}

step "hallmark begins and publishes what notary lists and verifies"
succeeds hallmark_of alice init $gun
says "with root key"
fails notary_of bob list $gun
succeeds notary_of alice status $gun
says "No unpublished changes for $gun"
succeeds hallmark_of alice add $gun v1 one
says "Addition of target \"v1\" to repository \"$gun\" staged for next publish."
succeeds hallmark_of alice addhash $gun v2 4 --sha256 "$(sha256sum <two | cut -d' ' -f1)" \
    --sha512 "$(sha512sum <two | cut -d' ' -f1)"
equal "$(staged)" $'["create","targets","target","v1"]\n["create","targets","target","v2"]' "the changelist"
succeeds notary_of alice status $gun
says "v2"
succeeds hallmark_of alice publish $gun
says "Successfully published changes for repository $gun"
equal "$(staged)" "" "the changelist"
succeeds notary_of bob verify $gun v1 --input one
succeeds notary_of bob verify $gun v2 --input two
succeeds notary_of alice list $gun

step "what notary stages hallmark shows and publishes; what hallmark stages notary publishes"
succeeds notary_of alice add $gun v3 two
succeeds notary_of alice remove $gun v1
succeeds hallmark_of alice status $gun
[[ $OUT == *"#    ACTION    SCOPE      TYPE      PATH"*"0    create    targets    target    v3"*"1    delete    targets    target    v1"* ]] ||
    fail "status does not look like notary's"
succeeds hallmark_of alice publish $gun
fails notary_of bob lookup $gun v1
succeeds notary_of bob verify $gun v3 --input two
printf '{"z": [1, true], "a": "b c"}' >custom
succeeds hallmark_of alice add $gun v4 one --custom custom
succeeds hallmark_of alice remove $gun v3
succeeds notary_of alice publish $gun
succeeds notary_of bob verify $gun v4 --input one
fails notary_of bob lookup $gun v3
equal "$(metadata $gun targets | jq --compact-output .signed.targets.v4.custom)" '{"a":"b c","z":[1,true]}' "custom data"
succeeds hallmark_of alice remove --publish $gun v2
succeeds notary_of alice add --publish $gun v5 two
succeeds hallmark_of bob lookup $gun v5
equal "$OUT" "v5 sha256:$(sha256sum <two | cut -d' ' -f1) 4" "lookup"
equal "$(notary_of bob lookup $gun v5)" "$OUT" "notary's lookup"
exits 11 hallmark_of bob lookup $gun v2

step "reset: some, and all, whoever staged them"
for name in a b c d; do succeeds hallmark_of alice add $gun $name one; done
succeeds hallmark_of alice reset $gun -n 0,2
equal "$(staged | jq --raw-output '.[3]' | xargs)" "b d" "what is left"
succeeds notary_of alice reset $gun -n 0
exits 1 hallmark_of alice reset $gun -n 1
says "the last one is 0"
succeeds notary_of alice add $gun e one
succeeds hallmark_of alice reset $gun --all
equal "$(staged)" "" "the changelist"
succeeds hallmark_of alice publish $gun
says "Nothing to publish"

step "verify: from a pipe, from a file, into a file; not a byte of anything else"
equal "$(hallmark_of bob verify $gun v5 <two)" "two" "what comes out of the pipe"
succeeds hallmark_of bob verify $gun v5 two -o out
equal "$(<out)" two "the file"
succeeds hallmark_of bob verify $gun v5 --input two --quiet
[[ -z $OUT ]] || fail "it was not quiet"
exits 15 hallmark_of bob verify $gun v5 one
[[ -z $OUT ]] || fail "what is wrong was handed on"
exits 15 hallmark_of bob verify $gun v5 one -o out
equal "$(<out)" two "the file before"
# try has no input: the pipe is empty.
exits 15 hallmark_of bob verify $gun v5
says "has 0 bytes, but 4 are listed"
exits 11 hallmark_of bob verify $gun v9 one
[[ -z $(find . -name '.*.tmp' -o -name 'hallmark.*.tmp') ]] || fail "temporary files are left"
head -c 3000000 /dev/urandom >large
succeeds hallmark_of alice add --publish $gun large large
cat large | hallmark_of bob verify $gun large >large-out && cmp large-out large || fail "a large file comes out changed"

step "witness"
version=$(metadata $gun targets | jq .signed.version)
succeeds hallmark_of alice witness $gun targets
succeeds notary_of alice publish $gun
(($(metadata $gun targets | jq .signed.version) == version + 1)) || fail "the version of targets did not rise"
succeeds hallmark_of alice witness --publish $gun targets
(($(metadata $gun targets | jq .signed.version) == version + 2)) || fail "the version of targets did not rise again"

step "a collection that notary began, or began to stage, hallmark publishes for the first time"
succeeds notary_of alice init example.com/tools/second
succeeds hallmark_of alice add --publish example.com/tools/second v1 one
succeeds notary_of bob verify example.com/tools/second v1 --input one
succeeds notary_of alice add example.com/tools/third v1 one
succeeds hallmark_of alice publish example.com/tools/third
succeeds notary_of bob verify example.com/tools/third v1 --input one
succeeds hallmark_of alice init example.com/tools/fourth
succeeds notary_of alice publish example.com/tools/fourth
succeeds hallmark_of alice init example.com/tools/fifth --publish --server-managed-snapshot
succeeds notary_of alice add --publish example.com/tools/fifth v1 one
succeeds hallmark_of bob verify example.com/tools/fifth v1 one

step "a root key and a certificate of one's own"
openssl ecparam -name prime256v1 -genkey -noout |
    openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1 -passout "pass:root of alice" -out root.pem
gun=example.com/tools/certified
# root_certificate NAME FILE: of that key, and no CA's.
root_certificate() {
    openssl req -x509 -key root.pem -passin "pass:root of alice" -days 30 -subj "/CN=${1//\//\\/}" -out "$2" \
        -config <(printf '[req]\ndistinguished_name=name\n[name]\n') -addext basicConstraints=critical,CA:FALSE
}
root_certificate $gun root.crt
root_certificate other other.crt
keys=$(ls "$trust/private")
exits 1 hallmark_of alice init $gun --rootkey root.pem --rootcert other.crt
says "not for $gun"
exits 1 hallmark_of alice init $gun --rootcert root.crt
says "is not here"
equal "$(ls "$trust/private")" "$keys" "the keys"
succeeds hallmark_of alice init $gun --publish --rootkey root.pem --rootcert root.crt
succeeds notary_of alice add --publish $gun v1 one
equal "$(metadata $gun root | jq --raw-output '.signed as $s | $s.keys[$s.roles.root.keyids[0]].keyval.public' | base64 -d)" \
    "$(<root.crt)" "the root's certificate"
succeeds hallmark_of bob verify $gun v1 one

step "deletion, here and everywhere"
succeeds hallmark_of alice add $gun v2 one
succeeds hallmark_of alice delete $gun
says "Successfully deleted local trust data for repository $gun"
[[ ! -e $trust/tuf/$gun ]] || fail "something is left here"
succeeds hallmark_of alice list $gun
succeeds hallmark_of alice delete --remote $gun
new_user carol
fails notary_of carol list $gun
exits 10 hallmark_of carol list $gun
