#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need notary docker softhsm2-util openssl jq
start_servers
gun=example.com/tools/token
echo one >one
for user in alice bob; do new_user $user; done

# A token for each of two people, in files.
mkdir tokens
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$PWD/tokens" >softhsm2.conf
export SOFTHSM2_CONF=$PWD/softhsm2.conf
make_token() { softhsm2-util --init-token --free --label "$1" --pin 1234 --so-pin 567890 >/dev/null; }
make_token alice

module=/usr/lib/softhsm/libsofthsm2.so
options=(--server "$TRUST_SERVER" --tlscacert "$TRUST_CA")
# with_token COMMAND...: alice, who has her token plugged in.
with_token() { HALLMARK_PKCS11_MODULE=$module HALLMARK_PKCS11_PIN=${PIN-1234} as alice "$@" --trust-dir "$(home alice)/.docker/trust"; }

step "a root key is made on the token, and shows without a PIN"
succeeds with_token hallmark key generate ecdsa-p256 --role root --token --public root.pub
root=$(PIN="" with_token hallmark key list --output json | jq --raw-output '.keys[0].id')
PIN="" succeeds with_token hallmark key list --output json
json '.keys | length' 1
json '.keys[0] | [.role, .token]' '["root",true]'
json '.keys[0].location | startswith("pkcs11:token=alice;serial=")' true
[[ ! -e $(home alice)/.docker/trust/private ]] || fail "a key file was made"

step "a collection is made with it; its targets key comes onto the token, too, and out of the directory"
succeeds with_token hallmark init "${options[@]}" --server-managed-snapshot $gun
targets=$(with_token hallmark key list --role targets --output json | jq --raw-output '.keys[0].id')
succeeds with_token hallmark key export --key "$targets" --to targets.pem
succeeds with_token hallmark key import targets.pem --token
succeeds with_token hallmark key remove --yes "$targets"
says "$(home alice)/.docker/trust/private."
[[ -z $(ls "$(home alice)/.docker/trust/private") ]] || fail "a key file is left"
succeeds with_token hallmark publish "${options[@]}" $gun
succeeds with_token hallmark add --publish "${options[@]}" $gun v1 one

step "notary and docker read what the token signed"
succeeds notary_of bob verify $gun v1 --input one
succeeds notary_of bob list $gun
says "v1"
succeeds as bob docker trust inspect $gun
json '.[0].SignedTags | map(.SignedTag)' '["v1"]'
succeeds hallmark_of bob verify $gun v1 one

step "rotation with the token: of targets to another key on it, of the root with the one that is there"
succeeds with_token hallmark key generate ecdsa-p384 --role spare --token --public spare.pub
spare=$(with_token hallmark key list --role spare --output json | jq --raw-output '.keys[0].id')
succeeds with_token hallmark key import targets.pem
succeeds with_token hallmark key rotate "${options[@]}" $gun targets --key "$spare"
[[ -z $(ls "$(home alice)/.docker/trust/private") ]] || fail "the file of the old key is left"
succeeds with_token hallmark add --publish "${options[@]}" $gun v2 one
succeeds notary_of bob verify $gun v2 --input one
PIN="" succeeds with_token hallmark key list --output json
json '[.keys[].token] | unique' '[true]'

step "a wrong PIN is tried once; without one nothing is signed, and what is staged stays"
PIN=4321 fails with_token hallmark add --publish "${options[@]}" $gun v3 one
says "the PIN of pkcs11:token=alice;serial="
says "is wrong"
PIN="" fails with_token hallmark add --publish "${options[@]}" $gun v3 one --passphrase-file /dev/null
never_says "Published"
succeeds with_token hallmark add --publish "${options[@]}" $gun v3 one
succeeds notary_of bob verify $gun v3 --input one
echo 1234 >pin
PIN="" fails with_token hallmark add --publish "${options[@]}" $gun v4 one --passphrase-file pin
says "set HALLMARK_PKCS11_PIN, or run on a terminal"
for _ in 1 2 3 4 5; do openssl ecparam -name prime256v1 -genkey -noout; done >five.pem
PIN=4321 fails with_token hallmark key import --token five.pem --role user
says "key 1: the PIN of pkcs11:token=alice;serial="
never_says "key 2:"
succeeds with_token hallmark add --publish "${options[@]}" $gun v4 one

step "without the token, with the wrong one, or with no module, the refusal says so"
fails hallmark_of alice add --publish $gun v5 one
says "targets must be signed by 1 of the keys $spare; 0 of them are here"
HALLMARK_PKCS11_TOKEN=pkcs11:token=nowhere fails with_token hallmark add --publish "${options[@]}" $gun v5 one
says "0 of them are here"
HALLMARK_PKCS11_TOKEN=nowhere fails with_token hallmark key generate --token
says "HALLMARK_PKCS11_TOKEN"
module=/nonexistent.so fails with_token hallmark key list
says "cannot load the PKCS#11 module /nonexistent.so"
module=libm.so.6 fails with_token hallmark key list
says "it has no C_GetFunctionList"
fails as alice hallmark key generate --token
says "HALLMARK_PKCS11_MODULE"

step "of two tokens one is named"
make_token other
fails with_token hallmark key list
says "several tokens are there"
says "pkcs11:token=other;serial="
HALLMARK_PKCS11_TOKEN=alice succeeds with_token hallmark add --publish "${options[@]}" $gun v6 one
HALLMARK_PKCS11_TOKEN=other succeeds with_token hallmark key list
says "No signing keys found."
export HALLMARK_PKCS11_TOKEN=pkcs11:token=alice
succeeds with_token hallmark key list
says "$root"

step "a repository in a directory, too, and a ceremony with the token's key"
succeeds with_token hallmark key generate ed25519 --role root --token --public ed.pub
succeeds with_token hallmark init ./repository --key root=ed.pub

step "a key leaves a token only by being destroyed"
fails with_token hallmark key export --key "$root"
says "is on a token, from where it cannot be taken"
succeeds with_token hallmark key remove --yes "$root"
says "from pkcs11:token=alice"
fails with_token hallmark key rotate "${options[@]}" $gun targets
says "root must be signed by"
