#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need notary openssl docker jq
start_servers
gun=example.com/tools/keys
echo one >one
for user in alice bob carol dora; do new_user $user; done

# hallmark_of takes one word for the verb: this one takes two.
key_of() {
    local user=$1 verb=$2
    shift 2
    as "$user" hallmark key "$verb" --trust-dir "$(home "$user")/.docker/trust" "$@"
}

# key_id PUBLIC-KEY-FILE: its canonical id, by hand.
key_id() {
    local der
    der=$(openssl pkey -pubin -in "$1" -outform DER | base64 --wrap 0)
    printf '{"keytype":"ecdsa","keyval":{"private":null,"public":"%s"}}' "$der" | sha256sum | cut -d ' ' -f 1
}

succeeds hallmark_of alice init --publish --server-managed-snapshot $gun
root=$(key_of alice list --role root --output json | jq --raw-output '.keys[0].id')
targets=$(key_of alice list --role targets --output json | jq --raw-output '.keys[0].id')
equal "$(stat --format %a "$(home alice)/.docker/trust/private/$root.key")" 600 "the mode of the root key's file"

step "keys with OWASP's iterations are read by notary and by docker"
# passwd_of KEY: encrypts it anew, under the passphrase that it has.
passwd_of() { HALLMARK_NEW_PASSPHRASE="repository of alice" succeeds key_of alice passwd "$1"; }
unset HALLMARK_KEY_ITERATIONS
passwd_of "$targets"
succeeds key_of alice generate ecdsa --role heavy -o heavy
# A second or more for each use: those that follow shall be quick.
export HALLMARK_KEY_ITERATIONS=10000
for file in "$(home alice)/.docker/trust/private/$targets.key" heavy-key.pem; do
    openssl asn1parse -in <(sed '/^[a-z]*: /d; /^$/d' "$file") >asn1
    grep -q ':13D620' asn1 || fail "$file is not derived with 1,300,000 iterations"
done
succeeds notary_of alice add --publish $gun v1 one
succeeds as bob env DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE="repository of alice" \
    docker trust key load heavy-key.pem --name heavy
passwd_of "$targets"
succeeds as alice docker trust key generate ann --dir .

step "what hallmark exports, notary imports and signs with"
succeeds key_of alice export --to export.pem
equal "$(stat --format %a export.pem)" 600 "the mode of an export"
equal "$(grep -c '^path: ' export.pem)" 3 "the keys in the export"
equal "$(grep -c 'BEGIN PRIVATE KEY' export.pem || true)" 0 "the keys in clear"
cp "$(home alice)/passphrase" "$(home bob)/passphrase"
succeeds notary_of bob key import export.pem
succeeds notary_of bob key list
says "$root"
succeeds notary_of bob add --publish $gun v2 one

step "what notary exports, hallmark imports and signs with, although nobody says a passphrase then"
rm --recursive "$(home carol)/.docker/trust" 2>/dev/null || true
cp "$(home alice)/passphrase" "$(home carol)/passphrase"
succeeds notary_of bob key export --gun $gun --output notary.pem
succeeds env HOME="$(home carol)" "$HALLMARK" key import notary.pem --trust-dir "$(home carol)/.docker/trust" --output json
json '.imported | length' 1
json '.imported[0].role' targets
json '.imported[0].gun' $gun
json '.failures | length' 0
succeeds hallmark_of carol add --publish $gun v3 one

step "lists are filtered; an id may be cut short, as far as it is the only one"
succeeds key_of alice list --role root --output json
json '[.keys[].role] | unique' '["root"]'
succeeds key_of alice list --gun $gun --output json
json '.keys | length' 1
succeeds key_of alice list --gun other
says "No signing keys found."
succeeds key_of alice export --key "${root:0:9}"
equal "$(grep -c '^path: ' <<<"$OUT")" 1 "the exported keys"
exits 1 key_of alice export --key ""
exits 1 key_of alice export --key 00000000
says "there is no private key 00000000"

step "keys of OpenSSL in every form are imported, several in one file, and encrypted"
openssl ecparam -name prime256v1 -genkey -noout -out sec1.pem
openssl genrsa -traditional -out pkcs1.pem 2048 2>/dev/null
openssl genpkey -algorithm ed25519 -out ed25519.pem
openssl ecparam -name secp384r1 -genkey | openssl pkcs8 -topk8 -out pkcs8.pem -passout "pass:repository of dora"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 |
    openssl pkcs8 -topk8 -scrypt -out scrypt.pem -passout "pass:repository of dora"
cat sec1.pem ed25519.pem >two.pem
succeeds key_of dora import two.pem pkcs1.pem pkcs8.pem scrypt.pem --role user --output json
json '.imported | length' 5
json '[.imported[].encrypted] | unique' '[true]'
json '[.imported[].role] | unique' '["user"]'
for file in "$(home dora)"/.docker/trust/private/*.key; do
    grep -q 'BEGIN ENCRYPTED PRIVATE KEY' "$file" || fail "$file is not encrypted"
    equal "$(stat --format %a "$file")" 600 "the mode of $file"
done
openssl pkey -in sec1.pem -pubout -out sec1.pub
succeeds as alice hallmark delegation add --publish --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
    --trust-dir "$(home alice)/.docker/trust" $gun targets/dora --all-paths sec1.pub
succeeds hallmark_of dora add --publish --roles targets/dora $gun v4 one
succeeds notary_of dora add --publish --roles targets/dora $gun v5 one

step "what cannot be imported is named, and the rest is imported"
new_user erna
echo nothing >nothing.pem
exits 1 key_of erna import nothing.pem sec1.pem missing.pem --role user
says "failed to import all keys: nothing.pem: no PEM block was found; missing.pem: there is no such file"
exits 1 key_of erna import sec1.pem --role targets
says "name it with --gun"
succeeds key_of erna list --output json
json '.keys | length' 1

step "what hallmark exports for OpenSSL, OpenSSL reads, and hallmark imports again"
id=$(key_id sec1.pub)
for format in openssl scrypt; do
    succeeds key_of dora export --key "$id" --format $format --to $format.out
    openssl pkey -in $format.out -passin "pass:repository of dora" -pubout -out $format.pub
    equal "$(<$format.pub)" "$(<sec1.pub)" "the public key of what was exported"
    new_user "$format"
    cp "$(home dora)/passphrase" "$(home "$format")/passphrase"
    succeeds key_of "$format" import $format.out --role user
    succeeds key_of "$format" list
    says "$id"
done

step "docker loads what hallmark exports, and hallmark signs with what docker makes"
new_user greg
cp "$(home alice)/passphrase" "$(home greg)/passphrase"
ann=$(key_of alice list --role ann --output json | jq --raw-output '.keys[0].id')
succeeds key_of alice export --key "$ann" --to ann-key.pem
succeeds as greg docker trust key load ann-key.pem --name ann
[[ -e $(home greg)/.docker/trust/private/$ann.key ]] || fail "docker did not load the key"
new_user frida
succeeds key_of frida generate ecdsa --role frida -o frida
said=$OUT
for file in frida frida-key; do sed '/^role: frida$/d; /^$/d' $file.pem >$file.bare; done
equal "$said" "Generated new ecdsa frida key with keyID: $(key_id frida.bare)" "what is said of a new key"
equal "$(stat --format %a frida-key.pem)" 600 "the mode of the private key"
openssl pkey -in frida-key.bare -passin "pass:repository of frida" -noout
exits 1 key_of frida generate ecdsa --role frida -o frida
says "is there already"
succeeds key_of frida import frida-key.pem
succeeds as frida docker trust key generate greta --dir .
succeeds as alice hallmark delegation add --publish --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
    --trust-dir "$(home alice)/.docker/trust" $gun targets/frida --all-paths greta.pub
succeeds hallmark_of frida add --publish --roles targets/frida $gun v6 one

step "a new passphrase: the old one opens nothing any more, for hallmark and for notary"
targets=$(key_of alice list --gun $gun --output json | jq --raw-output '.keys[0].id')
exits 1 key_of alice passwd "$targets"
says "no passphrase for the targets key"
HALLMARK_NEW_PASSPHRASE="something else" succeeds key_of alice passwd "${targets:0:12}"
says "Successfully updated passphrase for key ID: $targets"
fails hallmark_of alice add --publish $gun v7 one
says "password invalid"
fails notary_of alice add --publish $gun v7 one
echo "something else" >else
succeeds hallmark_of alice add --publish $gun v7 one --passphrase-file else

step "root rotation signs for clients that know only older roots, where it is asked for"
succeeds as alice hallmark key rotate --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
    --trust-dir "$(home alice)/.docker/trust" $gun root --legacy 0
succeeds as alice hallmark key rotate --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
    --trust-dir "$(home alice)/.docker/trust" $gun root --legacy 2
curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/$gun/_trust/tuf/root.json" >root.json
equal "$(jq '.signatures | length' root.json)" 3 "the signatures of a root with --legacy 2"

step "what is removed is gone for everybody"
exits 2 key_of alice remove "$root"
says "say --yes to remove $root"
succeeds key_of alice remove --yes "$root"
says "Deleted $root (role root) from $(home alice)/.docker/trust/private."
succeeds notary_of alice key list
never_says "$root"
