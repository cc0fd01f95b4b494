#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What docs/migration says of a Notary server whose database one does not have: the publisher's trust directory and what the server
# serves are enough.
. "$(dirname "$0")/../lib.sh"

need_hallmark
need notary notary-server notary-signer openssl "$DOCKER_CLIENT"
for text in one two three four; do echo "content $text" >$text; done
gun=example.com/moved
REGISTRY=127.0.0.1:$(free_port)

step "at Notary: collections whose snapshot the server or the publisher signs, a delegation, a root that was rotated twice"
start_debian_notary
new_user alice
new_user old
new_user older
for name in server publisher rotated; do succeeds notary_of alice init --publish $gun/$name; done
for name in server rotated; do succeeds notary_of alice key rotate $gun/$name snapshot --server-managed; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=jane -keyout jane.key -out jane.crt 2>/dev/null
new_user jane
succeeds notary_of jane key import jane.key --role user
succeeds notary_of alice delegation add --publish $gun/server targets/releases jane.crt --all-paths
succeeds notary_of jane add --publish --roles targets/releases $gun/server two two
for name in server publisher rotated; do succeeds notary_of alice add --publish $gun/$name one one; done
succeeds notary_of older list $gun/rotated
for _ in 1 2; do
    as alice notary --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" --trustDir "$(home alice)/.docker/trust" \
        key rotate $gun/rotated root <<<yes >/dev/null
done
# Versions there go on beyond those that a new server begins with.
for _ in 1 2 3 4; do succeeds notary_of alice witness --publish $gun/rotated targets; done
for user in alice old; do
    for name in server publisher rotated; do succeeds notary_of $user list $gun/$name; done
done
metadata $gun/server root | jq --compact-output .signed.roles.targets >targets-keys
metadata $gun/server targets >targets-before
notary_url=$TRUST_SERVER notary_ca=$TRUST_CA

step "hallmark's server knows nothing of them; one is taken from Notary, the others from the trust directory after Notary has ended"
unset TRUST_SERVER REGISTRY
start_hallmark
for user in alice jane old older; do
    mkdir -p "$(home $user)/.docker/tls/${TRUST_SERVER#https://}"
    cp "$TRUST_CA" "$(home $user)/.docker/tls/${TRUST_SERVER#https://}/ca.crt"
done
exits 10 hallmark_of alice move --from "$notary_url" --from-tlscacert "$notary_ca" $gun/nothing
new_user stranger
exits 1 hallmark_of stranger move --from "$notary_url" --from-tlscacert "$notary_ca" $gun/server
says "root must be signed by 1 of the keys"
succeeds hallmark_of alice move --from "$notary_url" --from-tlscacert "$notary_ca" --output json $gun/server
json .serverManagesSnapshot true
json .published '["root","targets","targets/releases"]'
stop notary-server
stop notary-signer
for name in publisher rotated; do succeeds hallmark_of alice move $gun/$name; done
exits 1 hallmark_of alice move $gun/server
says "already"

step "targets went as they were, byte for byte, and no key of the publisher's changed"
metadata $gun/server targets | cmp - targets-before || fail "the targets are others"
metadata $gun/server root | jq --compact-output .signed.roles.targets | cmp - targets-keys || fail "the keys of targets are others"

step "stock clients that know the collections follow to the new server, and so do those that do not"
new_user fresh
for user in old fresh; do
    for name in server publisher rotated; do
        succeeds notary_of $user verify $gun/$name one --input one
        succeeds as $user docker trust inspect $gun/$name
        json '[.[0].SignedTags[].SignedTag] | contains(["one"])' true
    done
    succeeds notary_of $user verify $gun/server two --input two
done
step "so does one that has not seen the rotations of the root"
succeeds notary_of older verify $gun/rotated one --input one

step "and they are published to with the keys that they had"
for name in server publisher rotated; do
    succeeds notary_of alice add --publish $gun/$name three three
    for user in old fresh; do succeeds notary_of $user verify $gun/$name three --input three; done
done
succeeds notary_of jane add --publish --roles targets/releases $gun/server four four
succeeds notary_of old verify $gun/server four --input four
